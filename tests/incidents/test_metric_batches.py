"""Metric batches: every number arrives once, late rather than never, in a bounded number of series."""

from datetime import timedelta

import anyio
import pytest

from aegis.core.errors import Billed, ServiceError
from aegis.core.telemetry import (
    CallEnded,
    DeliveryEnded,
    EventsTaken,
    Happened,
    LevelCrossed,
    ServiceAnswered,
    ServiceStands,
)
from aegis.incidents.metric_batches import PUSH_MS, SERIES_MAX, MetricBatches
from aegis.testing import START, FakeClock, FakeSink, Recorder

pytestmark = pytest.mark.anyio


def taken(number: int) -> EventsTaken:
    return EventsTaken(at=START, source="a", taken=number)


def call(service: str, cost: int = 0) -> CallEnded:
    return CallEnded(at=START, call_id="c", service=service, model="m", outcome="settled", cost=cost)


def failing(*, retry_after_ms: int | None = None) -> ServiceError:
    return ServiceError("datadog", "answered 503", retryable=True, billed=Billed.NO, retry_after_ms=retry_after_ms)


def values(sink: FakeSink) -> list[dict[str, int]]:
    return [{point.name: point.value for point in points} for points in sink.pushed]


async def test_numbers_of_one_kind_are_added_up_and_pushed_once() -> None:
    sink = FakeSink()
    batches = MetricBatches(sink)
    for happened in (taken(3), taken(4), call("anthropic", 7), call("anthropic", 8)):
        batches(happened)

    assert await batches.tick(START)
    assert not await batches.tick(START)

    assert values(sink) == [{"aegis.events_total": 7, "aegis.calls_total": 2, "aegis.spend_nanos": 15}]
    assert sink.pushed[0][1].tags == {"service": "anthropic", "outcome": "settled"}


async def test_a_failed_batch_is_counted_into_the_next_one() -> None:
    sink = FakeSink(script=[failing()])
    batches = MetricBatches(sink)
    batches(taken(3))
    assert not await batches.tick(START)
    batches(taken(4))

    assert await batches.tick(START + timedelta(milliseconds=PUSH_MS))

    assert values(sink) == [{"aegis.events_total": 7}]


async def test_a_sink_that_fails_is_left_alone_longer_and_longer() -> None:
    sink = FakeSink(script=[failing(), failing(), failing(), failing(retry_after_ms=600_000)])
    seen = Recorder()
    batches = MetricBatches(sink, observe=seen)
    batches(taken(1))

    for step in range(60):
        await batches.tick(START + timedelta(milliseconds=step * PUSH_MS))

    ends = [one for one in seen.happened if isinstance(one, DeliveryEnded)]
    steps = [(end.at - START) // timedelta(milliseconds=PUSH_MS) for end in ends]
    assert steps == [0, 1, 3, 7, 47]
    assert [end.outcome for end in ends] == ["retry"] * 4 + ["done"]


async def test_its_own_pushes_do_not_keep_it_busy() -> None:
    sink = FakeSink()
    batches = MetricBatches(sink)
    batches(taken(1))
    await batches.tick(START)

    batches(DeliveryEnded(at=START, service="datadog", incident_id="", outcome="done", message="1 series"))

    assert not await batches.tick(START)


async def test_a_level_is_told_as_the_newest_value() -> None:
    sink = FakeSink(script=[failing()])
    batches = MetricBatches(sink)
    for spent, level in ((5, "warning"), (8, "critical")):
        crossed = LevelCrossed(at=START, budget="all", window="day", level=level, spent=spent, limit=10)  # type: ignore[arg-type]
        batches(crossed)
        await batches.tick(START)
    await batches.tick(START + timedelta(minutes=1))

    gauges = {point.name: point.value for point in sink.pushed[-1] if point.kind == "gauge"}
    assert gauges == {"aegis.budget_spent": 8, "aegis.budget_limit": 10}


async def test_the_number_of_series_is_bounded_and_nothing_goes_uncounted() -> None:
    sink = FakeSink()
    batches = MetricBatches(sink)
    for number in range(2 * SERIES_MAX):
        batches(call(f"service-{number}"))

    await batches.tick(START)

    assert len(sink.pushed[0]) == SERIES_MAX
    assert sum(point.value for point in sink.pushed[0]) == 2 * SERIES_MAX


async def test_statuses_are_told_by_class() -> None:
    sink = FakeSink()
    batches = MetricBatches(sink)
    answers: list[Happened] = [
        ServiceAnswered(at=START, service="slack", status=status, took_ms=1) for status in (200, 204, 429, 0)
    ]
    for answer in answers:
        batches(answer)
    await batches.tick(START)

    told = {point.tags["class"]: point.value for point in sink.pushed[0] if point.name == "aegis.requests_total"}
    assert told == {"2xx": 2, "4xx": 1, "0xx": 1}


async def test_how_a_service_stands_is_told_how_slow_it_is_and_what_is_left() -> None:
    sink = FakeSink()
    batches = MetricBatches(sink)
    batches(ServiceAnswered(at=START, service="jira", status=200, took_ms=30, left=9))
    batches(ServiceAnswered(at=START, service="jira", status=200, took_ms=80, left=8))
    batches(ServiceAnswered(at=START, service="jira", status=200, took_ms=20))
    batches(ServiceStands(at=START, service="jira", breaker="open", paused_ms=15_000))
    await batches.tick(START)

    assert {point.name: point.value for point in sink.pushed[0]} == {
        "aegis.requests_total": 3,
        "aegis.request_ms_total": 130,
        "aegis.request_ms_max": 80,
        "aegis.service_requests_left": 8,
        "aegis.service_breaker": 2,
        "aegis.service_paused_ms": 15_000,
    }


async def test_it_runs_on_the_given_clock() -> None:
    sink, clock = FakeSink(), FakeClock()
    batches = MetricBatches(sink)
    async with anyio.create_task_group() as group:
        group.start_soon(batches.run, clock)
        batches(taken(1))
        await clock.advance(PUSH_MS - 1)
        assert sink.pushed == []
        await clock.advance(1)
        group.cancel_scope.cancel()

    assert values(sink) == [{"aegis.events_total": 1}]
