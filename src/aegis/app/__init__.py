"""The composition root: the only place that names concrete connectors, stores and transports."""

from aegis.app.hub import Hub
from aegis.app.opening import Machine, open_app
from aegis.app.running import App, ServiceState, Taken

__all__ = ["App", "Hub", "ServiceState", "Taken", "Machine", "open_app"]
