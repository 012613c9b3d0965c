from aegis.core.budgets import Budget as Budget
from aegis.core.calls import Call as Call
from aegis.core.calls import Priority as Priority
from aegis.core.errors import BudgetExceeded as BudgetExceeded
from aegis.core.errors import Refused as Refused
from aegis.core.errors import ServiceError as ServiceError
from aegis.governor.governor import Governor as Governor
from aegis.library.calling import governed as governed
from aegis.library.clients import govern as govern
from aegis.library.opening import open_governor as open_governor

__version__: str
__all__ = [
    "Budget",
    "BudgetExceeded",
    "Call",
    "Governor",
    "Priority",
    "Refused",
    "ServiceError",
    "__version__",
    "govern",
    "governed",
    "open_governor",
]
