"""The dashboard as one dictionary for screens: every number of it comes from the ledger or the cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aegis.core.telemetry import LevelCrossed
from aegis.core.wording import rfc3339
from aegis.cost_optimization.engine import Engine
from aegis.cost_optimization.models import ServiceType, ServiceUsage
from aegis.cost_optimization.recommendations import Recommendation
from aegis.cost_optimization.throttling_manager import level_of


def dashboard(
    engine: Engine,
    usage: Mapping[ServiceType, ServiceUsage],
    *,
    cache: Mapping[str, float],
    emergency: str,
    recommendations: Sequence[Recommendation],
) -> dict[str, Any]:
    """`usage_summary`, `cost_analysis`, `cache_performance`, `throttling`, `recommendations` and `alerts`."""
    percents = {service: used.get_usage_percentage(engine.limits) for service, used in usage.items()}
    return {
        "generated_at": rfc3339(engine.clock.now()),
        "usage_summary": {
            service.value: {
                "usage_percentage": percents[service],
                "units": dict(used.units),
                "calls": used.calls,
                "refused": used.refused,
                "throttle_level": level_of(percents[service], engine),
            }
            for service, used in usage.items()
        },
        "cost_analysis": {
            "free_tier_status": status_of(max(percents.values(), default=0.0), engine),
            "estimated_cost_usd": {service.value: used.estimated_cost_usd for service, used in usage.items()},
            "total_estimated_cost_usd": sum(used.estimated_cost_usd for used in usage.values()),
        },
        "cache_performance": {"stats": dict(cache)},
        "throttling": {"emergency_mode": emergency != "", "reason": emergency},
        "recommendations": [asdict(recommendation) for recommendation in recommendations],
        "alerts": [_alert(crossed) for crossed in engine.alerts],
    }


def status_of(percent: float, engine: Engine) -> str:
    """`within_limits`, `approaching_limits`, `critical` or `exceeded`, by the throttle's first and last threshold."""
    if percent >= 100:
        return "exceeded"
    if percent >= engine.throttling.block_threshold:
        return "critical"
    return "approaching_limits" if percent >= engine.throttling.light_throttle_threshold else "within_limits"


def _alert(crossed: LevelCrossed) -> dict[str, Any]:
    return {
        "at": rfc3339(crossed.at),
        "quota": crossed.budget,
        "window": crossed.window,
        "level": crossed.level,
        "used": crossed.spent,
        "limit": crossed.limit,
    }
