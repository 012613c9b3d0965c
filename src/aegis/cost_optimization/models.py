"""The words of the cost optimiser: services, priorities, quotas, throttling and what a model is chosen by.

Numbers are floats where people write them (GB, percent, seconds); the ledger counts whole bytes, tokens and requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from aegis.core.calls import Priority
from aegis.core.errors import ConfigError
from aegis.core.throttles import ThrottleCurve

RequestPriority = Priority
"""LOW, MEDIUM, HIGH, CRITICAL: the governor's own."""

GB = 1024**3
"""Athena's and S3's allowances count binary gigabytes (10 TB are 10,240 GB)."""

Complexity = Literal["simple", "moderate", "complex"]
Length = Literal["short", "medium", "long"]
Accuracy = Literal["speed", "cost", "balanced", "accuracy"]


class ServiceType(StrEnum):
    """The AWS services that are counted."""

    ATHENA = "athena"
    BEDROCK = "bedrock"
    S3 = "s3"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeTierLimits:
    """Monthly quotas. They are yours to set: Athena and Bedrock have no free allowance of their own, and S3's is the
    older 12-month offer. The defaults are those of the first specification.
    """

    athena_data_scanned_gb_monthly: float = 10_240.0
    bedrock_input_tokens_monthly: int = 25_000
    bedrock_output_tokens_monthly: int = 25_000
    s3_storage_gb_monthly: float = 5.0
    s3_get_requests_monthly: int = 20_000
    s3_put_requests_monthly: int = 2_000

    def quotas(self) -> Mapping[ServiceType, Mapping[str, int]]:
        """Units per meter of each service. Raises `ConfigError` for a quota that is no positive number."""
        quotas: Mapping[ServiceType, Mapping[str, float]] = {
            ServiceType.ATHENA: {"bytes_scanned": self.athena_data_scanned_gb_monthly * GB},
            ServiceType.BEDROCK: {
                "input_tokens": self.bedrock_input_tokens_monthly,
                "output_tokens": self.bedrock_output_tokens_monthly,
            },
            ServiceType.S3: {
                "stored_bytes": self.s3_storage_gb_monthly * GB,
                "get_requests": self.s3_get_requests_monthly,
                "put_requests": self.s3_put_requests_monthly,
            },
        }
        wrong = [
            f"FreeTierLimits: {service} {meter} = {units} is no quota; give a number above 0"
            for service, meters in quotas.items()
            for meter, units in meters.items()
            if not 0 < units < float("inf")
        ]
        if wrong:
            raise ConfigError(*wrong)
        return {service: {meter: int(units) for meter, units in meters.items()} for service, meters in quotas.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottlingConfig:
    """From which percentage of a quota calls are spaced, how far apart, and from where they are blocked."""

    light_throttle_threshold: float = 60.0
    moderate_throttle_threshold: float = 75.0
    heavy_throttle_threshold: float = 85.0
    block_threshold: float = 95.0
    light_throttle_delay_seconds: float = 1.0
    moderate_throttle_delay_seconds: float = 3.0
    heavy_throttle_delay_seconds: float = 10.0

    def curve(self) -> ThrottleCurve:
        """The governor's curve: whole percents (rounded down, the strict side) and milliseconds.

        Raises `ConfigError` when thresholds do not rise, leave 0 to 100, or a delay is negative.
        """
        steps = (
            self.light_throttle_threshold,
            self.moderate_throttle_threshold,
            self.heavy_throttle_threshold,
            self.block_threshold,
        )
        delays = (
            self.light_throttle_delay_seconds,
            self.moderate_throttle_delay_seconds,
            self.heavy_throttle_delay_seconds,
        )
        if not (list(steps) == sorted(steps) and steps[0] > 0 and steps[-1] <= 100):
            raise ConfigError(f"ThrottlingConfig: thresholds must rise from above 0 to at most 100, not {steps}")
        if not all(0 <= delay < float("inf") for delay in delays):
            raise ConfigError(f"ThrottlingConfig: delays are seconds, 0 or more, not {delays}")
        light, moderate, heavy, block = map(int, steps)
        light_ms, moderate_ms, heavy_ms = (int(delay * 1_000) for delay in delays)
        return ThrottleCurve(
            light=light,
            moderate=moderate,
            heavy=heavy,
            block=block,
            light_ms=light_ms,
            moderate_ms=moderate_ms,
            heavy_ms=heavy_ms,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSelectionCriteria:
    """What a model is chosen by. `available_budget_tokens` (None: not short) is what the answer and its prompt may
    use.
    """

    query_complexity: Complexity = "moderate"
    response_length_required: Length = "medium"
    accuracy_priority: Accuracy = "balanced"
    available_budget_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUsage:
    """What one service used this month: `units` per meter, settled; calls made and refused; what they cost."""

    service: ServiceType
    units: Mapping[str, int] = field(default_factory=dict)
    calls: int = 0
    refused: int = 0
    estimated_cost_usd: float = 0.0

    def get_usage_percentage(self, limits: FreeTierLimits) -> float:
        """The fullest of the service's quotas, in percent (above 100 where more was used than allowed)."""
        return max((percent for _, percent in self.percentages(limits)), default=0.0)

    def percentages(self, limits: FreeTierLimits) -> Iterator[tuple[str, float]]:
        """Each meter with how full its quota is."""
        for meter, quota in limits.quotas()[self.service].items():
            yield meter, 100 * self.units.get(meter, 0) / quota
