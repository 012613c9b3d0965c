"""How much of each quota is used: read from the governor's ledger, never counted here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from aegis.core.calls import Priority, Usage
from aegis.cost_optimization.engine import FUNCTION, Engine, budget_name, dollars
from aegis.cost_optimization.models import FreeTierLimits, ServiceType, ServiceUsage
from aegis.cost_optimization.recommendations import Recommendation, recommend

LOOK_BACK_DAYS = 30
"""A projection is drawn from the last month."""


class UsageTracker:
    """The meters of Athena, Bedrock and S3 against their quotas."""

    def __init__(
        self, aws_clients: Mapping[str, Any], *, limits: FreeTierLimits | None = None, engine: Engine | None = None
    ) -> None:
        self.engine = engine or Engine(aws_clients, limits=limits)

    @property
    def limits(self) -> FreeTierLimits:
        return self.engine.limits

    def get_current_usage(self, service: ServiceType) -> ServiceUsage:
        """What a service used this month. Raises `StoreError` when the ledger does not answer."""
        return self.get_usage_summary()[service]

    def get_usage_summary(self) -> Mapping[ServiceType, ServiceUsage]:
        """The same for every service."""
        return self.engine.ask(self.usage)

    def get_optimization_recommendations(self) -> Sequence[Recommendation]:
        """What would save most, from this month's recorded calls; the most urgent first."""
        return self.engine.ask(self.recommendations)

    async def track_usage(self, service: ServiceType, usage: Usage, *, model_id: str = "") -> None:
        """Count what was used outside of the optimiser (`{"input_tokens": 900}`), at the price of `model_id` if it
        is given. It is counted even where it is over the quota: it happened. Raises `BadInput` for counts that cannot
        be true, `UnknownPrice` for a model that has no price.
        """
        models = (model_id or FUNCTION,) if service is ServiceType.BEDROCK else ()
        call = self.engine.call(service, "outside", {}, models=models, priority=Priority.CRITICAL)
        async with self.engine.governor.admit_async(call) as reservation:
            reservation.settle(usage)

    # --- on the governor's loop ------------------------------------------------------------------------------

    async def usage(self) -> Mapping[ServiceType, ServiceUsage]:
        """`get_usage_summary`, on the governor's loop."""
        governor = self.engine.governor.parts.governor
        settled = {balance.budget: balance.settled for balance in await governor.balances()}
        spends = {spend.service: spend for spend in await governor.spent(self._month())}
        found: dict[ServiceType, ServiceUsage] = {}
        for service, meters in self.limits.quotas().items():
            spend = spends.get(service)
            found[service] = ServiceUsage(
                service=service,
                units={meter: settled.get(budget_name(service, meter), 0) for meter in meters},
                calls=spend.calls if spend else 0,
                refused=spend.refused if spend else 0,
                estimated_cost_usd=dollars(spend.cost) if spend else 0.0,
            )
        return found

    async def recommendations(self) -> Sequence[Recommendation]:
        """`get_optimization_recommendations`, on the governor's loop."""
        usage = await self.usage()  # reports what has ended, so that the journal is whole
        return recommend(usage, self.limits, await self.engine.governor.parts.ledger.totals(self._month()))

    async def daily_costs(self) -> Mapping[str, int]:
        """Nano-dollars a day of each service, over the days of the last month since its first recorded cost."""
        today = self.engine.clock.now().date()
        first = today - timedelta(days=LOOK_BACK_DAYS - 1)
        costs = await self._costs(first)
        rates: dict[str, int] = {}
        for service, cost in costs.items():
            begun = await self._first_day(service, cost, first, today)
            rates[service] = -(-cost // ((today - begun).days + 1))
        return rates

    async def _first_day(self, service: str, cost: int, first: date, today: date) -> date:
        """The last day from which on the whole cost was made: found by halving, in five readings."""
        while first < today:
            middle = first + timedelta(days=((today - first).days + 1) // 2)
            if (await self._costs(middle)).get(service, 0) < cost:
                today = middle - timedelta(days=1)
            else:
                first = middle
        return first

    async def _costs(self, since: date) -> Mapping[str, int]:
        spends = await self.engine.governor.parts.governor.spent(since)
        return {spend.service: spend.cost for spend in spends if spend.cost}

    def _month(self) -> date:
        return self.engine.clock.now().date().replace(day=1)
