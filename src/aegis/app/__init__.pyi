from aegis.app.hub import Hub as Hub
from aegis.app.opening import Machine as Machine
from aegis.app.opening import open_app as open_app
from aegis.app.running import App as App
from aegis.app.states import ServiceState as ServiceState
from aegis.app.states import Taken as Taken

__all__ = ["App", "Hub", "Machine", "ServiceState", "Taken", "open_app"]
