"""The stop switch: which scopes take no calls. Looked at on every admission, in memory; kept in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aegis.core.calls import Call
from aegis.core.errors import Stopped
from aegis.core.ledger import Switch


class StopSwitch:
    """The switches of record, as this process last read them."""

    def __init__(self) -> None:
        self._stopped: tuple[Switch, ...] = ()

    def learn(self, switches: Sequence[Switch]) -> None:
        """What the store says now."""
        self._stopped = tuple(switch for switch in switches if switch.stopped)

    @property
    def stopped(self) -> tuple[Switch, ...]:
        return self._stopped

    def check(self, call: Call) -> None:
        """Raise `Stopped` when a stopped scope covers the call."""
        for switch in self._stopped:
            if all(_covers(call, name, value) for name, value in switch.scope.items()):
                raise Stopped(f"{scope_text(switch.scope)} is stopped: {switch.reason}")


def _covers(call: Call, name: str, value: str) -> bool:
    match name:
        case "service" | "provider":
            return call.service == value
        case "model":
            # A call that may choose among models is stopped only where no other candidate is left.
            return bool(call.models) and all(model == value for model in call.models)
        case "severity":
            return call.priority.name == value
        case "operation":
            return call.operation == value
    return call.scope.get(name) == value


def scope_text(scope: Mapping[str, str]) -> str:
    """A scope as people read it."""
    return ", ".join(f"{name} {value}" for name, value in scope.items()) or "everything"
