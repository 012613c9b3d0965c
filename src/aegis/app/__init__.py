"""The composition root: the only place that names concrete connectors, stores and transports."""

from importlib import import_module

_HOMES = {
    "App": "aegis.app.running",
    "Hub": "aegis.app.hub",
    "Machine": "aegis.app.opening",
    "ServiceState": "aegis.app.states",
    "Taken": "aegis.app.states",
    "open_app": "aegis.app.opening",
}
"""The public names and where they live: found when they are asked for, so that a program which only governs calls does
not load every connector. The types stand in `__init__.pyi`.
"""

__all__ = [*sorted(_HOMES)]  # noqa: PLE0604 - the keys are the names


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'aegis.app' has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
