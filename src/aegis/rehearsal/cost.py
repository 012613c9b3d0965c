"""The cost demo: Athena, Bedrock and S3's quotas on the real parts of `cost_optimization`, against the sandbox.

Nothing leaves the machine, and time moves only where a call waits: so it ends in seconds, and the same every time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import anyio
import anyio.lowlevel

from aegis.core.calls import Priority
from aegis.core.errors import Refused
from aegis.cost_optimization.cost_optimizer import CostOptimizer
from aegis.cost_optimization.engine import MEMORY
from aegis.cost_optimization.models import (
    GB,
    Accuracy,
    Complexity,
    FreeTierLimits,
    Length,
    ModelSelectionCriteria,
    ServiceType,
)
from aegis.library.opening import TICK_MS
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.transport.aws import make_client

T = TypeVar("T")
STARTS: Final = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LIMITS: Final = FreeTierLimits(athena_data_scanned_gb_monthly=50, bedrock_output_tokens_monthly=10_000)
"""Small enough to be used up while somebody watches."""
CHOICES: Final[tuple[tuple[Complexity, Length, Accuracy], ...]] = (
    ("simple", "short", "cost"),
    ("moderate", "medium", "balanced"),
    ("complex", "long", "accuracy"),
    ("complex", "short", "speed"),
)
QUERIES: Final[tuple[tuple[str, Mapping[str, object]], ...]] = (
    ("SELECT * FROM security_events WHERE severity = :severity", {"severity": "HIGH"}),
    ("SELECT * FROM security_events WHERE severity = :severity", {"severity": "HIGH"}),
    ("SELECT source_ip, severity, events FROM security_events WHERE day = :day", {"day": "2026-11-20"}),
)
PROMPTS: Final[tuple[tuple[str, Complexity], ...]] = (
    ("Who is behind 203.0.113.7?", "simple"),
    (
        "Analyse these events for an account that was taken over: 40 failures, then a success, then a new key.",
        "complex",
    ),
    ("Who is behind 203.0.113.7?", "simple"),
)
FILLS: Final = (50, 60, 75, 85, 95)
"""Percents of the output quota at which the pace of calls is measured."""
WIDE: Final = "SELECT * FROM security_events WHERE host = :host"
WIDE_SCANS: Final = 9
"""So many scans of the whole table that there is a habit to recommend against."""


class PacedClock:
    """Time that passes only where somebody waits for a turn; housekeeping does not carry it away."""

    def __init__(self, starts: datetime) -> None:
        self._starts_ms = int(starts.timestamp()) * 1_000
        self.passed_ms = 0

    def now(self) -> datetime:
        return datetime.fromtimestamp((self._starts_ms + self.passed_ms) / 1_000, UTC)

    def monotonic_ns(self) -> int:
        return (1_000 + self.passed_ms) * 1_000_000

    async def sleep_ms(self, milliseconds: int) -> None:
        if milliseconds == TICK_MS:
            await anyio.sleep_forever()
        self.passed_ms += milliseconds
        await anyio.lowlevel.checkpoint()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the demo plays with."""

    optimizer: CostOptimizer
    clock: PacedClock


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    """An optimiser whose AWS is a sandbox on loopback. Raises `ConfigError` where boto3 is not installed."""
    names = {"athena": "athena", "bedrock-runtime": "bedrock"}
    async with serve(World(clock=PacedClock(STARTS))) as serving:
        addresses = serving.addresses()
        clients = {name: make_client(name, endpoint=addresses[at], stand_in=True) for name, at in names.items()}
        clock = PacedClock(STARTS)
        optimizer = CostOptimizer(clients, limits=LIMITS, home=MEMORY, clock=clock)
        try:
            yield Desk(optimizer=optimizer, clock=clock)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(optimizer.close)


async def play(here: Desk) -> dict[str, Any]:
    """The whole demo as one dictionary, chapter by chapter."""
    return {
        "models": choose(here),
        "athena": [await query(here, sql, parameters) for sql, parameters in QUERIES],
        "bedrock": [await ask(here, prompt, complexity) for prompt, complexity in PROMPTS],
        "throttle": [await fill(here, percent) for percent in FILLS],
        "emergency": await emergency(here),
        "recommendations": await recommended(here),
        "dashboard": await anyio.to_thread.run_sync(here.optimizer.get_optimization_dashboard),
    }


def choose(here: Desk) -> list[dict[str, str]]:
    """Which model each kind of question gets."""
    rows = []
    for complexity, length, accuracy in CHOICES:
        criteria = ModelSelectionCriteria(
            query_complexity=complexity,
            response_length_required=length,
            accuracy_priority=accuracy,
        )
        model = here.optimizer.model_selector.select_model(criteria)
        rows.append({"complexity": complexity, "length": length, "accuracy": accuracy, "model": model})
    return rows


async def query(here: Desk, sql: str, parameters: Mapping[str, object]) -> dict[str, Any]:
    """One Athena query."""
    done = await here.optimizer.execute_athena_query(sql, parameters)
    return {
        "sql": sql,
        "rows": len(done["rows"]),
        "scanned_gb": round(done["data_scanned_bytes"] / GB, 3),
        "cost_usd": 0.0 if done["from_cache"] else done["cost_usd"],
        "from_cache": done["from_cache"],
    }


async def ask(here: Desk, prompt: str, complexity: Complexity) -> dict[str, Any]:
    """One question to the model that fits it."""
    done = await here.optimizer.execute_bedrock_inference(prompt, query_complexity=complexity)
    return {
        "prompt": prompt,
        "model": done["model_id"],
        "text": done["text"],
        "tokens": sum(done["usage"].values()),
        "cost_usd": 0.0 if done["from_cache"] else done["cost_usd"],
        "from_cache": done["from_cache"],
    }


async def fill(here: Desk, percent: int) -> dict[str, Any]:
    """Fill the output quota up to a percentage, then see how far apart two calls of each priority are."""
    tracker, manager = here.optimizer.usage_tracker, here.optimizer.throttling_manager
    quota = LIMITS.bedrock_output_tokens_monthly
    used = (await _told(tracker.get_current_usage, ServiceType.BEDROCK)).units["output_tokens"]
    await tracker.track_usage(ServiceType.BEDROCK, {"output_tokens": quota * percent // 100 - used})
    waits: dict[str, float | None] = {}
    for priority in reversed(Priority):
        waits[priority.name] = await _wait(here, priority)
    return {
        "used_percent": percent,
        "level": await _told(manager.get_throttle_level, ServiceType.BEDROCK),
        "seconds_between_calls": waits,
    }


async def _wait(here: Desk, priority: Priority) -> float | None:
    """Seconds from one call to the next; None where it is blocked."""
    manager = here.optimizer.throttling_manager
    try:
        for _ in range(2):
            began_ms = here.clock.passed_ms
            await manager.execute_with_throttling(ServiceType.BEDROCK, lambda: None, priority)
    except Refused:
        return None
    return (here.clock.passed_ms - began_ms) / 1_000


async def emergency(here: Desk) -> dict[str, Any]:
    """What emergency mode stops and what it lets through."""
    done = await here.optimizer.emergency_cost_control("shown in the demo")
    passes = {priority.name: await _passes(here, priority) for priority in reversed(Priority)}
    await _told(here.optimizer.throttling_manager.set_emergency_mode, False)
    return {"actions": done["actions_taken"], "passes": passes}


async def _passes(here: Desk, priority: Priority) -> bool:
    try:
        await here.optimizer.throttling_manager.execute_with_throttling(ServiceType.ATHENA, lambda: None, priority)
    except Refused:
        return False
    return True


async def recommended(here: Desk) -> list[dict[str, Any]]:
    """What would save most, after a few more calls of the same habit."""
    for number in range(WIDE_SCANS):
        await here.optimizer.execute_athena_query(WIDE, {"host": f"web-{number}"}, priority=Priority.CRITICAL)
    found = await _told(here.optimizer.usage_tracker.get_optimization_recommendations)
    return [{"service": one.service, "kind": one.kind, "priority": one.priority, "text": one.text} for one in found]


async def _told(work: Callable[..., T], *args: Any) -> T:
    """A reading of the optimiser, which blocks, in a thread of its own."""
    return await anyio.to_thread.run_sync(lambda: work(*args))
