"""Athena, Bedrock and S3 within their quotas: cache, model choice, throttle and emergency around every call.

Policy: this class puts parts together and decides nothing. A cached answer comes first and costs nothing; then the
governor admits; when a quota reaches its last threshold, emergency mode switches itself on, and off in a new month.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from aegis.core.calls import Priority
from aegis.core.errors import StoreError
from aegis.core.money import USD
from aegis.core.ports import Clock
from aegis.core.prices import PriceBook
from aegis.cost_optimization import storage
from aegis.cost_optimization.athena import Athena, Query
from aegis.cost_optimization.athena_sql import bind
from aegis.cost_optimization.bedrock import Question, converse
from aegis.cost_optimization.cache_manager import CacheManager, key_of
from aegis.cost_optimization.dashboard import dashboard
from aegis.cost_optimization.engine import Engine
from aegis.cost_optimization.free_tier import FreeTierReport, read_free_tier
from aegis.cost_optimization.metrics import Metrics
from aegis.cost_optimization.model_selector import OUTPUT_TOKENS, ModelSelector, check_model
from aegis.cost_optimization.models import (
    Accuracy,
    Complexity,
    FreeTierLimits,
    Length,
    ModelSelectionCriteria,
    ServiceType,
    ServiceUsage,
    ThrottlingConfig,
)
from aegis.cost_optimization.throttling_manager import ASKED_FOR, BY_ITSELF, ThrottlingManager
from aegis.cost_optimization.usage_tracker import UsageTracker
from aegis.library.athena_bill import SCAN_MAX

T = TypeVar("T")


class CostOptimizer:
    """Everything in one: `usage_tracker`, `cache_manager`, `model_selector`, `throttling_manager`.

    `aws_clients` is what `create_aws_clients()` returns. State is kept in the folder `home` (None: Aegis' own;
    `":memory:"`: nowhere) from the first call on; `close()` or leaving `with` reports everything.
    """

    def __init__(
        self,
        aws_clients: Mapping[str, Any],
        cache_size_mb: float = 100,
        *,
        cache_ttl_seconds: float = 3_600,
        limits: FreeTierLimits | None = None,
        throttling: ThrottlingConfig | None = None,
        home: str | Path | None = None,
        prices: PriceBook | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.engine = Engine(aws_clients, limits=limits, throttling=throttling, home=home, prices=prices, clock=clock)
        self.usage_tracker = UsageTracker(aws_clients, engine=self.engine)
        self.cache_manager = CacheManager(cache_size_mb, cache_ttl_seconds, engine=self.engine)
        self.model_selector = ModelSelector()
        self.throttling_manager = ThrottlingManager(self.usage_tracker)
        self._athena, self._metrics = Athena(self.engine), Metrics(self.engine)

    # --- calls -----------------------------------------------------------------------------------------------

    async def execute_athena_query(
        self,
        query: str,
        parameters: Mapping[str, object] | Sequence[object] | None = None,
        use_cache: bool = True,
        *,
        priority: Priority = Priority.MEDIUM,
        database: str = "",
        catalog: str = "",
        workgroup: str = "primary",
        output_location: str = "",
        reuse_minutes: int = 60,
        max_bytes_scanned: int = SCAN_MAX,
    ) -> dict[str, Any]:
        """Rows (at most 10,000, as dictionaries) and bill of a query; `from_cache` says that it cost nothing.

        `:name` in the query is bound by Athena to `parameters["name"]`, `?` to a sequence's values in order. A query
        that scans more than `max_bytes_scanned` (or the workgroup's cut-off) is stopped and billed for what it
        scanned. Raises `Refused` (nothing was spent), `BadInput`, `ServiceError`, `StoreError`.
        """
        sql, literals = bind(query, parameters)
        asked = Query(
            sql=sql,
            literals=literals,
            database=database,
            catalog=catalog,
            workgroup=workgroup,
            output_location=output_location,
            reuse_minutes=reuse_minutes if use_cache else 0,
            scan_max=max_bytes_scanned,
            priority=priority,
        )
        key = key_of("athena", query, parameters, database, catalog, workgroup)
        return await self._run(key if use_cache else "", lambda: self._athena.run(asked), lambda _: True)

    async def execute_bedrock_inference(
        self,
        prompt: str,
        query_complexity: Complexity = "moderate",
        accuracy_priority: Accuracy = "balanced",
        use_cache: bool = True,
        *,
        response_length: Length = "medium",
        model_id: str = "",
        system: str = "",
        priority: Priority = Priority.MEDIUM,
    ) -> dict[str, Any]:
        """The answer (`text`), its model, usage and bill; `from_cache` says that it cost nothing.

        The model is chosen by complexity, length, accuracy and the tokens left, unless `model_id` names one. Raises
        `BadInput` for a retired model (the message names its successor), `Refused`, `ServiceError`, `StoreError`.
        """
        models = (check_model(model_id),) if model_id else ()

        async def ask() -> dict[str, Any]:
            criteria = ModelSelectionCriteria(
                query_complexity=query_complexity,
                response_length_required=response_length,
                accuracy_priority=accuracy_priority,
                available_budget_tokens=await self._output_tokens_left(),
            )
            question = Question(
                models=models or self.model_selector.candidates(criteria),
                prompt=prompt,
                system=system,
                output_tokens_max=OUTPUT_TOKENS[response_length],
                priority=priority,
            )
            return await converse(self.engine, question)

        # What the answer depends on, except which candidate the budget allows: that may differ from call to call.
        key = key_of("bedrock", prompt, system, model_id, query_complexity, accuracy_priority, response_length)
        return await self._run(key if use_cache else "", ask, lambda answer: answer["stop_reason"] != "max_tokens")

    async def put_s3_object(self, bucket: str, key: str, body: bytes, priority: Priority = Priority.MEDIUM) -> Any:
        """Store an object within the request and storage quotas. Raises `Refused`, `BadInput`, `ServiceError`."""
        return await self._run("", lambda: storage.put_object(self.engine, bucket, key, body, priority))

    async def get_s3_object(self, bucket: str, key: str, priority: Priority = Priority.MEDIUM) -> bytes:
        """Read an object within the request quota. Raises `Refused`, `BadInput`, `ServiceError`."""
        return await self._run("", lambda: storage.get_object(self.engine, bucket, key, priority))

    # --- reading ---------------------------------------------------------------------------------------------

    def get_optimization_dashboard(self) -> dict[str, Any]:
        """How everything stands: see `dashboard.dashboard` for its keys. Raises `StoreError`."""
        return self.engine.ask(self._dashboard)

    def get_cost_projections(self, days_ahead: int = 30) -> dict[str, Any]:
        """What the next days will cost if they are like those since the first cost of the last month, in USD."""
        daily = self.engine.ask(self.usage_tracker.daily_costs)
        projected = {service: rate * days_ahead / USD for service, rate in daily.items()}
        return {
            "days_ahead": days_ahead,
            "daily_cost": {service: rate / USD for service, rate in daily.items()},
            "projected_cost": projected,
            "total_projected_cost": sum(projected.values()),
        }

    async def read_free_tier(self) -> FreeTierReport:
        """What AWS says of the Free Tier, where the `freetier` client may ask; its `limits` can be those of the next
        optimiser. Raises `Refused` and `StoreError`; where AWS refuses, the report says why and the quotas stand.
        """
        return await self.engine.ask_async(read_free_tier, self.engine)

    # --- emergency -------------------------------------------------------------------------------------------

    async def emergency_cost_control(self, reason: str = ASKED_FOR) -> dict[str, Any]:
        """Stop what is not critical, keep answers longer, publish the metrics; returns what was done and what to do.

        It lasts until `throttling_manager.set_emergency_mode(False)`; one that began by itself ends by itself.
        """
        return await self.engine.ask_async(self._emergency, reason)

    async def publish_metrics(self) -> bool:
        """Send the CloudWatch metrics now (otherwise at most once a minute, after a call)."""

        async def send() -> bool:
            return await self._metrics.send(await self.usage_tracker.usage())

        return await self.engine.ask_async(send)

    def close(self) -> None:
        """Report everything to the ledger and close the store."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- on the governor's loop ------------------------------------------------------------------------------

    async def _run(self, key: str, work: Callable[[], Awaitable[T]], keep: Callable[[T], bool] = lambda _: True) -> T:
        """One call from a loop of the caller's: the cache, the work, then the watch over the quotas."""
        return await self.engine.ask_async(self._watched, key, work, keep)

    async def _watched(self, key: str, work: Callable[[], Awaitable[T]], keep: Callable[[T], bool]) -> T:
        try:
            if not key:
                return await work()
            value, kept = await self.cache_manager.once(key, work, keep=keep)
            return value | {"from_cache": kept}  # type: ignore[operator, no-any-return]
        finally:
            # An answer that was paid for is not lost because the store cannot be read just now.
            with suppress(StoreError):
                await self._look()

    async def _look(self) -> None:
        """Switch emergency mode on or off by how full the quotas are; send metrics when they are due."""
        usage = await self.usage_tracker.usage()
        full = max(used.get_usage_percentage(self.engine.limits) for used in usage.values())
        blocked = full >= self.engine.throttling.block_threshold
        reason = await self.throttling_manager.emergency_reason()
        if blocked and not reason:
            await self._emergency(BY_ITSELF)
        elif reason == BY_ITSELF and not blocked:
            await self.throttling_manager.turn(False, "the quotas have room again")
            self.cache_manager.save_more(emergency=False)
        if self._metrics.due():
            await self._metrics.send(usage)

    async def _emergency(self, reason: str) -> dict[str, Any]:
        await self.throttling_manager.turn(True, reason)
        self.cache_manager.save_more(emergency=True)
        usage = await self.usage_tracker.usage()
        sent = await self._metrics.send(usage)
        return {
            "emergency_mode": True,
            "reason": reason,
            "actions_taken": [
                "LOW, MEDIUM and HIGH calls are stopped; CRITICAL ones go on within their quotas",
                "new answers are kept four times as long",
                *(["metrics were sent to CloudWatch"] if sent else []),
            ],
            "usage_percentage": {s.value: u.get_usage_percentage(self.engine.limits) for s, u in usage.items()},
            "recommendations": [r.text for r in await self.usage_tracker.recommendations()],
        }

    async def _dashboard(self) -> dict[str, Any]:
        usage: Mapping[ServiceType, ServiceUsage] = await self.usage_tracker.usage()
        return dashboard(
            self.engine,
            usage,
            cache=self.cache_manager.get_stats(),
            emergency=await self.throttling_manager.emergency_reason(),
            recommendations=await self.usage_tracker.recommendations(),
        )

    async def _output_tokens_left(self) -> int:
        usage = (await self.usage_tracker.usage())[ServiceType.BEDROCK]
        return self.engine.limits.bedrock_output_tokens_monthly - usage.units["output_tokens"]
