"""CloudWatch: how full the quotas are and what it cost, one batched request, at most once a minute.

Two metrics and one dimension with three values are six custom metrics, inside the ten that cost nothing
(aws.amazon.com/cloudwatch/pricing). Metrics that cannot be sent never fail the call they came after.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aegis.core.calls import Priority
from aegis.core.errors import ConfigError, Refused, ServiceError
from aegis.cost_optimization.aws_config import client_of
from aegis.cost_optimization.engine import Engine
from aegis.cost_optimization.models import FreeTierLimits, ServiceType, ServiceUsage

NAMESPACE: Final = "AISecurityAnalyst"
USAGE_METRIC: Final = "Usage/FreeTierUsagePercentage"
COST_METRIC: Final = "Cost/EstimatedCostUSD"
EVERY_NS: Final = 60 * 1_000_000_000


def metric_data(usage: Mapping[ServiceType, ServiceUsage], limits: FreeTierLimits) -> list[dict[str, Any]]:
    """The data of one PutMetricData."""
    data: list[dict[str, Any]] = []
    for service, used in usage.items():
        dimensions = [{"Name": "Service", "Value": service.value}]
        percent = used.get_usage_percentage(limits)
        data += [
            {"MetricName": USAGE_METRIC, "Dimensions": dimensions, "Value": percent, "Unit": "Percent"},
            {"MetricName": COST_METRIC, "Dimensions": dimensions, "Value": used.estimated_cost_usd, "Unit": "None"},
        ]
    return data


class Metrics:
    """Sends the metrics; everything here runs on the governor's loop. `failed` counts batches that did not arrive."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sent_ns: int | None = None
        self.failed = 0

    def due(self) -> bool:
        """Whether the last batch is a minute old."""
        return self._sent_ns is None or self._engine.clock.monotonic_ns() - self._sent_ns >= EVERY_NS

    async def send(self, usage: Mapping[ServiceType, ServiceUsage]) -> bool:
        """Send one batch; False when there is no client for it or it did not arrive."""
        self._sent_ns = self._engine.clock.monotonic_ns()
        try:
            client = client_of(self._engine.clients, "cloudwatch")
        except ConfigError:
            return False
        request = {"Namespace": NAMESPACE, "MetricData": metric_data(usage, self._engine.limits)}
        call = self._engine.call("cloudwatch", "PutMetricData", {"requests": 1}, priority=Priority.CRITICAL, wait_ms=0)
        try:
            async with self._engine.governor.parts.governor.admit(call) as reservation:
                await self._engine.aws.call("cloudwatch", client, "put_metric_data", request)
                reservation.settle({"requests": 1})
        except (Refused, ServiceError):
            self.failed += 1
            return False
        return True
