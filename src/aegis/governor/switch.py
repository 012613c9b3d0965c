"""The stop switch: which scopes take no calls. Looked at on every admission, in memory; kept in the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aegis.core.budgets import Amounts, Budget, names_service
from aegis.core.calls import Call
from aegis.core.errors import Stopped
from aegis.core.ledger import Switch
from aegis.core.stops import lets_through
from aegis.core.windows import WindowPolicy

BY_SERVICE = frozenset({"service", "provider"})
"""What a throttle may name to slow the rate of a service; of any other scope it admits a share of the calls."""


class StopSwitch:
    """The switches of record, as this process last read them."""

    def __init__(self, name: Callable[[str, str], str], now_ms: Callable[[], int]) -> None:
        """`name` gives the one name of a service's model: a stop holds under all that it answers to."""
        self._name, self._now_ms = name, now_ms
        self._stopped: tuple[Switch, ...] = ()
        self._refusing: tuple[Switch, ...] = ()

    def learn(self, switches: Sequence[Switch]) -> tuple[Switch, ...]:
        """What the store says now; returns the switches that were not on before and end calls under way."""
        before = {(tuple(s.scope.items()), s.at_ms) for s in self._stopped}
        now_ms = self._now_ms()
        self._stopped = tuple(s for s in switches if s.stopped and not 0 < s.expires_ms <= now_ms)
        self._refusing = tuple(s for s in self._stopped if s.grade or s.scope.keys() - BY_SERVICE)
        return tuple(s for s in self._stopped if s.cancel and (tuple(s.scope.items()), s.at_ms) not in before)

    @property
    def stopped(self) -> tuple[Switch, ...]:
        return self._stopped

    def check(self, call: Call, model: str) -> None:
        """Raise `Stopped` when a stopped scope covers the call, made with this candidate."""
        for switch in self._refusing:
            if self.covers(switch, call, model) and not lets_through(switch, call, now_ms=self._now_ms()):
                raise Stopped(_why(switch))

    def covers(self, switch: Switch, call: Call, model: str) -> bool:
        """Whether a switch is about this call; nothing wider than its service is about an alarm."""
        if call.alarm and not names_service(switch.scope):
            return False
        return all(self._matches(call, model, name, value) for name, value in switch.scope.items())

    def percent(self, service: str) -> int:
        """What switches of grade 0 leave of a service's rate."""
        slowing = (
            s for s in self._stopped if not s.grade and not s.scope.keys() - BY_SERVICE and _is_about(s, service)
        )
        return min((switch.percent for switch in slowing), default=100)

    def pools(self) -> tuple[Budget, ...]:
        """What CRITICAL calls may spend of stopped scopes, as budgets that cover nothing else."""
        return tuple(
            Budget(
                name=f"stop {switch.stop or switch.at_ms}",
                scope={**switch.scope, "severity": "CRITICAL"},
                windows=(Amounts(window=WindowPolicy(kind="month"), emergency=switch.pool),),
            )
            for switch in self._stopped
            if switch.pool and not switch.percent
        )

    def _matches(self, call: Call, model: str, name: str, value: str) -> bool:
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


def _is_about(switch: Switch, service: str) -> bool:
    return all(value == service for value in switch.scope.values())


def _why(switch: Switch) -> str:
    what = f"{scope_text(switch.scope)} is stopped"
    if switch.percent:
        what = f"{switch.percent} of 100 calls of {scope_text(switch.scope)} are admitted"
    return f"{what}: {switch.reason}"
