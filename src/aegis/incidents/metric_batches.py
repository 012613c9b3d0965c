"""What happens, counted into metric batches: one push every quarter of a minute instead of one request a number.

Policy: names and tags are a fixed vocabulary (every combination of tags is billed as a metric of its own); a batch that
failed is counted into the next one, so an outage loses the moment of a number and never the number.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal, TypeAlias

from aegis.core.errors import ServiceError
from aegis.core.notifications import MetricPoint
from aegis.core.ports import Clock, MetricSink
from aegis.core.telemetry import (
    BREAKER_VALUES,
    CallEnded,
    DeliveryEnded,
    DetectionMade,
    EventsTaken,
    Happened,
    IncidentChanged,
    LevelCrossed,
    Observer,
    RequestsLeft,
    ServiceAnswered,
    ServiceStands,
)

PUSH_MS = 15_000
"""One submission every 15 seconds is what metric services expect (docs.datadoghq.com/developers/dogstatsd)."""
SERIES_MAX = 1_000
"""Different series in one batch: one request of any service. What is new beyond that is counted as `overflow`."""
PAUSE_MAX_MS = 5 * 60_000
"""The longest pause after failures: metrics older than an hour are refused, so an outage must be noticed to be over."""

_Tags: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values in the order of the names."""
_Series: TypeAlias = tuple[str, Literal["count", "gauge"], _Tags]


class MetricBatches:
    """An observer that counts, and the tick that pushes. One for each sink."""

    def __init__(self, sink: MetricSink, *, observe: Observer | None = None, push_ms: int = PUSH_MS) -> None:
        """`observe` hears how each push ended, as a delivery without an incident."""
        self._sink, self._observe, self._push_ms = sink, observe, push_ms
        self._values: dict[_Series, int] = {}
        self._failures = 0
        self._not_before: datetime | None = None

    def __call__(self, happened: Happened) -> None:
        if isinstance(happened, ServiceAnswered):
            self._count_answer(happened)
            return
        for name, more, tags in _counted(happened):
            self._add((name, "count", tags), more)
        if isinstance(happened, LevelCrossed):
            tags = (("budget", happened.budget), ("window", happened.window))
            self._set("aegis.budget_spent", happened.spent, tags)
            self._set("aegis.budget_limit", happened.limit, tags)
        elif isinstance(happened, ServiceStands):
            tags = (("service", happened.service),)
            self._set("aegis.service_breaker", BREAKER_VALUES[happened.breaker], tags)
            self._set("aegis.service_paused_ms", happened.paused_ms, tags)
        elif isinstance(happened, RequestsLeft):
            self._set("aegis.service_requests_left", happened.left, (("service", happened.service),))

    def _count_answer(self, answered: ServiceAnswered) -> None:
        requests, took, slowest = _of_answers(answered.service, answered.status // 100)
        self._add(requests, 1)
        self._add(took, answered.took_ms)
        if answered.took_ms >= self._values.get(slowest, 0):
            self._set(slowest[0], answered.took_ms, slowest[2])
        if answered.left is not None:
            self._set("aegis.service_requests_left", answered.left, slowest[2])

    def _add(self, series: _Series, more: int) -> None:
        if series not in self._values and len(self._values) >= SERIES_MAX - 1:
            series = ("aegis.metrics_overflow", "count", ())
        self._values[series] = self._values.get(series, 0) + more

    def _set(self, name: str, value: int, tags: _Tags) -> None:
        series: _Series = (name, "gauge", tags)
        if series in self._values or len(self._values) < SERIES_MAX - 1:
            self._values[series] = value

    async def run(self, clock: Clock) -> None:
        """Push as often as the sink wants, for ever."""
        while True:
            await clock.sleep_ms(self._push_ms)
            await self.tick(clock.now())

    async def tick(self, now: datetime) -> bool:
        """Push what was counted. False when there was nothing, the sink refused it, or is left alone for a while."""
        if not self._values or (self._not_before is not None and now < self._not_before):
            return False
        taken, self._values = self._values, {}
        points = [
            MetricPoint(name=name, kind=kind, value=value, at=now, tags=dict(tags))
            for (name, kind, tags), value in taken.items()
        ]
        pushed = False
        try:
            await self._sink.push(points)
            pushed = True
        except ServiceError as error:
            self._leave_alone(error, now)
            return False
        finally:
            if not pushed:  # also when the push was cancelled: the numbers go with the next one
                self._put_back(taken)
        self._failures, self._not_before = 0, None
        self._tell("done", f"{len(points)} series", now)
        return True

    def _put_back(self, taken: dict[_Series, int]) -> None:
        newer, self._values = self._values, taken
        for series, value in newer.items():
            if series[1] == "count":
                self._add(series, value)
            else:
                self._set(series[0], value, series[2])

    def _leave_alone(self, error: ServiceError, now: datetime) -> None:
        self._failures += 1
        pause_ms = min(PAUSE_MAX_MS, PUSH_MS << min(self._failures - 1, 10))
        self._not_before = now + timedelta(milliseconds=max(pause_ms, error.retry_after_ms or 0))
        self._tell("retry", str(error), now)

    def _tell(self, outcome: Literal["done", "retry"], message: str, now: datetime) -> None:
        if self._observe is not None:
            name = self._sink.name
            self._observe(DeliveryEnded(at=now, service=name, incident_id="", outcome=outcome, message=message))


@lru_cache(SERIES_MAX)
def _of_answers(service: str, hundreds: int) -> tuple[_Series, _Series, _Series]:
    """Where answers of one class are counted: how many, how long in all, and the slowest."""
    tags = (("service", service),)
    return (
        ("aegis.requests_total", "count", (("class", f"{hundreds}xx"), *tags)),
        ("aegis.request_ms_total", "count", tags),
        ("aegis.request_ms_max", "gauge", tags),
    )


def _counted(happened: Happened) -> Iterator[tuple[str, int, _Tags]]:
    """What a record adds to which series."""
    match happened:
        case DeliveryEnded() if happened.incident_id:
            yield "aegis.deliveries_total", 1, (("outcome", happened.outcome), ("service", happened.service))
        case CallEnded():
            service = ("service", happened.service)
            yield "aegis.calls_total", 1, (("outcome", happened.outcome), service)
            if happened.cost:
                yield "aegis.spend_nanos", happened.cost, (service,)
        case EventsTaken():
            yield "aegis.events_total", happened.taken, ()
            if happened.rejected:
                yield "aegis.events_rejected_total", happened.rejected, ()
        case DetectionMade():
            yield "aegis.detections_total", 1, (("severity", happened.detection.severity.name),)
        case IncidentChanged():
            severity = ("severity", happened.incident.severity.name)
            yield "aegis.incidents_total", 1, (("change", happened.change), severity)
        case LevelCrossed():
            yield "aegis.levels_crossed_total", 1, (("budget", happened.budget), ("level", happened.level))
