"""The stop switch: which scopes take no calls. Looked at on every admission, in memory; kept in the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aegis.core.budgets import names_service
from aegis.core.calls import Call
from aegis.core.errors import Stopped
from aegis.core.ledger import Switch


class StopSwitch:
    """The switches of record, as this process last read them."""

    def __init__(self, name: Callable[[str, str], str]) -> None:
        """`name` gives the one name of a service's model: a stop holds under all that it answers to."""
        self._name = name
        self._stopped: tuple[Switch, ...] = ()

    def learn(self, switches: Sequence[Switch]) -> None:
        """What the store says now."""
        self._stopped = tuple(switch for switch in switches if switch.stopped)

    @property
    def stopped(self) -> tuple[Switch, ...]:
        return self._stopped

    def check(self, call: Call, model: str) -> None:
        """Raise `Stopped` when a stopped scope covers the call, made with this candidate."""
        for switch in self._stopped:
            if call.alarm and not names_service(switch.scope):
                continue
            if all(self._covers(call, model, name, value) for name, value in switch.scope.items()):
                raise Stopped(f"{scope_text(switch.scope)} is stopped: {switch.reason}")

    def _covers(self, call: Call, model: str, name: str, value: str) -> bool:
        match name:
            case "service" | "provider":
                return call.service == value
            case "model":
                return bool(model) and self._name(call.service, model) == self._name(call.service, value)
            case "severity":
                return call.priority.name == value
            case "operation":
                return call.operation == value
        return call.scope.get(name) == value


def scope_text(scope: Mapping[str, str]) -> str:
    """A scope as people read it."""
    return ", ".join(f"{name} {value}" for name, value in scope.items()) or "everything"
