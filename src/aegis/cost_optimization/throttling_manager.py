"""Slowing down near a quota, and the optimiser's emergency mode: the governor's throttle and stop switch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from aegis.core.calls import Priority
from aegis.core.throttles import ThrottleStep
from aegis.cost_optimization.engine import FUNCTION, PURPOSE, Engine
from aegis.cost_optimization.models import RequestPriority, ServiceType, ThrottlingConfig
from aegis.cost_optimization.usage_tracker import UsageTracker

STOPPED = (Priority.LOW, Priority.MEDIUM, Priority.HIGH)
"""What an emergency stops: everything that is not critical."""
BY_HAND = "emergency mode was switched on by hand"
ASKED_FOR = "emergency cost control was asked for"
BY_ITSELF = "emergency mode: a quota is nearly used up"


class ThrottlingManager:
    """Runs functions at the pace that their service's quota still allows."""

    def __init__(self, usage_tracker: UsageTracker, config: ThrottlingConfig | None = None) -> None:
        """Raises `ConfigError` for another `config` than the one that calls have been made under."""
        self._tracker, self._engine = usage_tracker, usage_tracker.engine
        if config is not None:
            self._engine.configure(config)

    @property
    def config(self) -> ThrottlingConfig:
        return self._engine.throttling

    async def execute_with_throttling(
        self,
        service: ServiceType,
        function: Callable[..., Any],
        priority: RequestPriority = Priority.MEDIUM,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """What `function(*args, **kwargs)` returns, once the throttle of its service lets it begin.

        It counts as one request; what it spends itself it has to account for (`UsageTracker.track_usage`). Raises
        `Throttled`, `Stopped` and the governor's other refusals: then the function was not called.
        """
        models = (FUNCTION,) if service is ServiceType.BEDROCK else ()
        call = self._engine.call(ServiceType(service), "function", {}, models=models, priority=Priority(priority))
        async with self._engine.governor.admit_async(call) as reservation:
            result = function(*args, **kwargs)
            done = await result if inspect.isawaitable(result) else result
            reservation.settle({})
            return done

    def get_throttle_level(self, service: ServiceType) -> str:
        """`none`, `light`, `moderate`, `heavy` or `block`: how hard calls to a service are held back now."""
        used = self._tracker.get_current_usage(service).get_usage_percentage(self._tracker.limits)
        return level_of(used, self._engine)

    @property
    def emergency_mode(self) -> bool:
        """Whether anything but critical calls is stopped; kept in the store, so a restart does not end it."""
        return self._engine.ask(self.emergency_reason) != ""

    def set_emergency_mode(self, enabled: bool) -> None:
        """Stop everything that is not critical, or take it again."""
        self._engine.ask(self.turn, enabled, BY_HAND)

    # --- on the governor's loop ------------------------------------------------------------------------------

    async def turn(self, enabled: bool, reason: str) -> None:
        """`set_emergency_mode`, on the governor's loop."""
        governor = self._engine.governor.parts.governor
        for priority in STOPPED:
            scope = {"purpose": PURPOSE, "severity": priority.name}
            await (governor.stop(scope, reason) if enabled else governor.resume(scope, reason))

    async def emergency_reason(self) -> str:
        """Why there is an emergency; empty when there is none."""
        for switch in await self._engine.governor.parts.ledger.switches():
            if switch.stopped and switch.scope.get("purpose") == PURPOSE:
                return switch.reason
        return ""


def level_of(percent: float, engine: Engine) -> str:
    """The throttle's step at a percentage of a quota, as a word."""
    step = engine.throttling.curve().step(int(percent * 1_000), 100_000)
    return "none" if step is ThrottleStep.NONE else step.name.lower()
