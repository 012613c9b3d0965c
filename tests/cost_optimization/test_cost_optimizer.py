"""Quotas are watched, calls slow down and stop in time, what was spent is shown, and a restart forgets nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cost_optimization.aws import MB, PRICES, Clients
from tests.cost_optimization.conftest import Make, SteppingClock, go_on

from aegis.core.calls import Call
from aegis.core.errors import BadInput, BudgetExceeded, ConfigError, Stopped, Throttled
from aegis.cost_optimization import (
    CacheManager,
    CostOptimizer,
    FreeTierLimits,
    RequestPriority,
    ServiceType,
    ThrottlingConfig,
    ThrottlingManager,
    UsageTracker,
)
from aegis.cost_optimization.models import GB

pytestmark = pytest.mark.anyio

DAY_MS = 24 * 3_600_000


async def use(optimizer: CostOptimizer, output_tokens: int) -> None:
    await optimizer.usage_tracker.track_usage(ServiceType.BEDROCK, {"output_tokens": output_tokens})


async def test_calls_are_spaced_as_a_quota_fills_and_blocked_at_its_end(make: Make, clock: SteppingClock) -> None:
    optimizer = make(limits=FreeTierLimits(bedrock_output_tokens_monthly=1_000))
    run = optimizer.throttling_manager.execute_with_throttling
    waits: list[int] = []
    for used in (0, 600, 150, 100):
        await use(optimizer, used)
        before = clock.wall_ms
        for _ in range(2):
            await run(ServiceType.BEDROCK, lambda: None, RequestPriority.MEDIUM)
        waits.append(clock.wall_ms - before)
    assert waits[0] == 0
    spaces = [1_000, 3_000, 10_000]
    assert all(space <= wait <= 2 * space for space, wait in zip(spaces, waits[1:], strict=True))
    await use(optimizer, 100)
    with pytest.raises(Throttled):
        await run(ServiceType.BEDROCK, lambda: None, RequestPriority.MEDIUM)
    assert await run(ServiceType.BEDROCK, lambda: "critical", RequestPriority.CRITICAL) == "critical"
    assert optimizer.throttling_manager.get_throttle_level(ServiceType.BEDROCK) == "block"
    assert await run(ServiceType.ATHENA, lambda: "another service", RequestPriority.LOW) == "another service"


async def test_a_function_gets_its_arguments_and_a_refused_one_does_not_run(make: Make) -> None:
    optimizer = make()

    async def adding(a: int, *, b: int) -> int:
        return a + b

    run = optimizer.throttling_manager.execute_with_throttling
    assert await run(ServiceType.BEDROCK, adding, RequestPriority.HIGH, 1, b=2) == 3
    optimizer.throttling_manager.set_emergency_mode(True)
    with pytest.raises(Stopped):
        await run(ServiceType.BEDROCK, adding, RequestPriority.HIGH, "not", b="added")
    with pytest.raises(ZeroDivisionError):
        await run(ServiceType.BEDROCK, lambda: 1 // 0, RequestPriority.CRITICAL)


async def test_emergency_mode_stops_all_but_critical_calls_and_only_its_own(make: Make, clients: Clients) -> None:
    optimizer = make()
    response = await optimizer.emergency_cost_control()
    assert response["emergency_mode"]
    assert len(response["actions_taken"]) == 3
    with pytest.raises(Stopped):
        await optimizer.execute_bedrock_inference("hello", priority=RequestPriority.HIGH)
    assert await optimizer.execute_bedrock_inference("hello", priority=RequestPriority.CRITICAL)
    assert optimizer.throttling_manager.emergency_mode, "what was asked for does not end by itself"
    optimizer.throttling_manager.set_emergency_mode(False)
    assert await optimizer.execute_bedrock_inference("another")


async def test_emergency_mode_begins_by_itself_near_the_end_of_a_quota_and_ends_with_the_month(
    make: Make, clock: SteppingClock
) -> None:
    optimizer = make(limits=FreeTierLimits(bedrock_output_tokens_monthly=1_000, s3_put_requests_monthly=9))
    await use(optimizer, 955)
    await optimizer.put_s3_object("bucket", "key", b"x")
    assert optimizer.throttling_manager.emergency_mode
    with pytest.raises(Stopped):
        await optimizer.put_s3_object("bucket", "key", b"x", RequestPriority.HIGH)
    assert optimizer.get_optimization_dashboard()["cost_analysis"]["free_tier_status"] == "critical"
    clock.wall_ms += 25 * DAY_MS
    await optimizer.put_s3_object("bucket", "key", b"x", RequestPriority.CRITICAL)
    assert optimizer.get_optimization_dashboard()["throttling"] == {"emergency_mode": False, "reason": ""}
    await optimizer.put_s3_object("bucket", "key", b"x")


async def test_crossing_a_threshold_is_an_alert(make: Make) -> None:
    optimizer = make(limits=FreeTierLimits(bedrock_output_tokens_monthly=1_000))
    await use(optimizer, 700)
    optimizer.get_optimization_dashboard()
    [alert] = optimizer.get_optimization_dashboard()["alerts"]
    assert (alert["quota"], alert["level"], alert["used"]) == ("quota bedrock output_tokens", "warning", 700)


async def test_what_was_used_outside_counts_even_over_the_quota(make: Make) -> None:
    optimizer = make(limits=FreeTierLimits(bedrock_input_tokens_monthly=1_000))
    model = "global.anthropic.claude-haiku-5-5"
    await optimizer.usage_tracker.track_usage(ServiceType.BEDROCK, {"input_tokens": 2_500}, model_id=model)
    usage = optimizer.usage_tracker.get_current_usage(ServiceType.BEDROCK)
    assert usage.get_usage_percentage(optimizer.usage_tracker.limits) == 250.0
    assert usage.estimated_cost_usd == 0.0025
    assert optimizer.get_optimization_dashboard()["cost_analysis"]["free_tier_status"] == "exceeded"
    with pytest.raises(BadInput):
        await optimizer.usage_tracker.track_usage(ServiceType.BEDROCK, {"input_tokens": -1})


async def test_the_quotas_count_the_optimisers_own_calls_only(make: Make) -> None:
    optimizer = make()
    model, governor = "global.anthropic.claude-haiku-5-5", optimizer.engine.governor
    call = Call(id="1", service="bedrock", operation="Converse", worst={"input_tokens": 9}, models=(model,))
    with governor.admit(call) as reservation:
        reservation.settle({"input_tokens": 9})
    assert optimizer.usage_tracker.get_current_usage(ServiceType.BEDROCK).units["input_tokens"] == 0


async def test_s3_requests_and_bytes_have_quotas(make: Make, clients: Clients) -> None:
    optimizer = make(limits=FreeTierLimits(s3_storage_gb_monthly=100 / GB, s3_get_requests_monthly=1))
    await optimizer.put_s3_object("bucket", "key", b"x" * 40)
    assert await optimizer.get_s3_object("bucket", "key") == b"x" * 40
    with pytest.raises((BudgetExceeded, Throttled, Stopped)):
        await optimizer.get_s3_object("bucket", "key")
    with pytest.raises(BudgetExceeded):
        await optimizer.put_s3_object("bucket", "key", b"x" * 70, RequestPriority.CRITICAL)
    units = optimizer.usage_tracker.get_current_usage(ServiceType.S3).units
    assert units == {"stored_bytes": 40, "get_requests": 1, "put_requests": 1}
    assert [name for name, _ in clients.s3.asked] == ["PutObject", "GetObject"]


async def test_metrics_leave_in_one_batch_at_most_once_a_minute(make: Make, clock: SteppingClock, shared: Path) -> None:
    clients = Clients(shared)
    optimizer = make(aws_clients=clients)
    for number in range(5):
        await optimizer.execute_bedrock_inference(f"question {number}")
    assert len(clients.cloudwatch.asked) == 1
    go_on(optimizer, clock, 60_000)
    await optimizer.execute_bedrock_inference("one more")
    [_, batch] = clients.cloudwatch.requests("PutMetricData")
    assert batch["Namespace"] == "AISecurityAnalyst"
    assert len(batch["MetricData"]) == 6
    [bedrock] = [m for m in batch["MetricData"] if m["Dimensions"] == [{"Name": "Service", "Value": "bedrock"}]][:1]
    assert bedrock["MetricName"] == "Usage/FreeTierUsagePercentage"
    assert round(bedrock["Value"], 3) == 2.4  # 600 of 25,000 input tokens


async def test_a_missing_or_failing_cloudwatch_never_fails_a_call(make: Make, clients: Clients) -> None:
    class Broken:
        def put_metric_data(self, **_: object) -> None:
            raise ConnectionResetError

    optimizer = make(aws_clients=clients | {"cloudwatch": Broken()})
    await optimizer.execute_bedrock_inference("hello")
    assert not await optimizer.publish_metrics()
    without = {name: client for name, client in clients.items() if name != "cloudwatch"}
    await make(aws_clients=without).execute_bedrock_inference("hello")


async def test_a_projection_goes_on_from_the_first_day_with_a_cost(make: Make, clock: SteppingClock) -> None:
    optimizer = make()
    assert optimizer.get_cost_projections()["total_projected_cost"] == 0
    for _ in range(4):  # four days, a tenth of a cent each
        model = "global.anthropic.claude-haiku-5-5"
        await optimizer.usage_tracker.track_usage(ServiceType.BEDROCK, {"input_tokens": 1_000}, model_id=model)
        clock.wall_ms += DAY_MS
    clock.wall_ms -= DAY_MS
    projections = optimizer.get_cost_projections(days_ahead=10)
    assert round(projections["total_projected_cost"], 6) == 0.01
    assert projections["projected_cost"].keys() == {"bedrock"}


async def test_a_restart_forgets_neither_usage_nor_answers_nor_an_emergency(
    tmp_path: Path, clients: Clients, clock: SteppingClock
) -> None:
    for life in range(2):
        with CostOptimizer(clients, home=tmp_path / "home", prices=PRICES, clock=clock) as optimizer:
            assert optimizer.throttling_manager.emergency_mode is (life == 1)
            answer = await optimizer.execute_athena_query("SELECT 1")
            assert answer["from_cache"] is (life == 1)
            assert optimizer.usage_tracker.get_current_usage(ServiceType.ATHENA).units == {"bytes_scanned": 25 * MB}
            optimizer.throttling_manager.set_emergency_mode(True)


async def test_recommendations_come_from_the_recorded_calls(make: Make, clients: Clients) -> None:
    optimizer = make()
    assert optimizer.usage_tracker.get_optimization_recommendations() == []
    clients.athena.scanned = 2 * GB
    for number in range(10):
        await optimizer.execute_athena_query(f"SELECT {number}")
        await optimizer.execute_bedrock_inference(f"question {number}")
    found = optimizer.usage_tracker.get_optimization_recommendations()
    assert {r.kind for r in found} == {"parquet", "batching", "model"}
    assert [r.priority for r in found] == sorted(r.priority for r in found)
    assert any("2.0 GB each" in r.text for r in found)
    small = make()
    clients.athena.scanned = MB
    for number in range(10):
        await small.execute_athena_query(f"SELECT {number}")
        await small.execute_bedrock_inference(f"question {number}", query_complexity="simple")
    kinds = [(r.service, r.kind) for r in small.usage_tracker.get_optimization_recommendations()]
    assert sorted(kinds) == [("athena", "batching"), ("bedrock", "batching")]


def test_a_cache_of_its_own_keeps_what_json_can_hold_within_its_size() -> None:
    cache = CacheManager(max_size_mb=1, default_ttl_seconds=60)
    assert cache.get_cached_query_result("SELECT 1", {"a": 1}) is None
    cache.cache_query_result("SELECT 1", {"a": 1, "b": 2}, {"rows": [1]})
    assert cache.get_cached_query_result("SELECT 1", {"b": 2, "a": 1}) == {"rows": [1]}
    assert cache.get_cached_query_result("SELECT 1", {"a": "1", "b": 2}) is None
    cache.cache_ai_insight("events", "model", "insight")
    assert cache.get_cached_ai_insight("events", "model") == "insight"
    assert cache.get_cached_ai_insight("events", "other model") is None
    assert cache.get_stats()["hit_rate"] == 40.0
    for number in range(3):
        cache.cache_query_result(f"large {number}", {}, "x" * 500_000)
    assert cache.get_cached_query_result("large 2", {}) is not None
    with pytest.raises(BadInput):
        cache.cache_query_result("SELECT 1", {}, float)
    with pytest.raises(BadInput):
        CacheManager(max_size_mb=0)


def test_wrong_settings_are_refused_by_name(make: Make) -> None:
    with pytest.raises(ConfigError, match="bytes_scanned"):
        make(limits=FreeTierLimits(athena_data_scanned_gb_monthly=float("nan")))
    with pytest.raises(ConfigError, match="rise"):
        make(throttling=ThrottlingConfig(light_throttle_threshold=90.0))
    with pytest.raises(ConfigError, match="seconds"):
        make(throttling=ThrottlingConfig(light_throttle_delay_seconds=-1.0))
    tracker = UsageTracker({}, engine=make().engine)
    ThrottlingManager(tracker, ThrottlingConfig(block_threshold=99.0))
    tracker.get_current_usage(ServiceType.S3)
    with pytest.raises(ConfigError, match="before the first call"):
        ThrottlingManager(tracker, ThrottlingConfig(block_threshold=98.0))


async def test_a_client_that_is_missing_is_named(make: Make) -> None:
    with pytest.raises(ConfigError, match="bedrock-runtime"):
        await make(aws_clients={}).execute_bedrock_inference("hello")
