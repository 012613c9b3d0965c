"""Aegis answers security incidents with every paid service a team owns, and can never overspend one of them."""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "Budget": "aegis.core.budgets",
    "BudgetExceeded": "aegis.core.errors",
    "Call": "aegis.core.calls",
    "Governor": "aegis.governor.governor",
    "Priority": "aegis.core.calls",
    "Refused": "aegis.core.errors",
    "ServiceError": "aegis.core.errors",
    "govern": "aegis.library.clients",
    "governed": "aegis.library.calling",
    "open_governor": "aegis.library.opening",
}
"""The public names and where they live: found when they are asked for, so that `import aegis` costs nothing. The types
stand in `__init__.pyi`.
"""

__all__ = ["__version__", *sorted(_HOMES)]  # noqa: PLE0604 - the keys are the names


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'aegis' has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
