"""What AWS says of its Free Tier and of the credits that are left, as its Free Tier API tells it.

AWS counts with a delay of hours, so none of this ever admits or refuses a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aegis.core.plaintext import one_line
from aegis.core.wording import rfc3339

PAGES_MAX: Final = 10
"""Of a hundred offers each: there are about sixty services with offers."""
PAGE: Final = 100
TEXT_MAX: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeTierOffer:
    """One offer: what is used and forecast of its limit this month, in `unit`."""

    service: str
    usage_type: str
    used: float
    forecast: float
    limit: float
    unit: str
    kind: str

    @property
    def percent(self) -> float:
        return 100 * self.used / self.limit if self.limit else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPlan:
    """The account's plan: `kind` FREE or PAID, its status, what is left of its credits (`credits`, with `unit`; empty: AWS
    does not say) and when it ends (RFC 3339, or empty).
    """

    kind: str
    status: str
    credits: str = ""
    unit: str = ""
    ends_at: str = ""


def offer_of(row: Mapping[str, Any]) -> FreeTierOffer | None:
    """An offer as AWS tells it (FreeTierUsage); None for one whose numbers are none."""
    try:
        used, limit = float(row["actualUsageAmount"]), float(row["limit"])
        forecast = float(row.get("forecastedUsageAmount") or used)
    except (KeyError, TypeError, ValueError):
        return None
    if not (0 <= used < float("inf") and 0 < limit < float("inf")):
        return None
    words = {name: one_line(str(row.get(key, "")))[:TEXT_MAX] for name, key in _WORDS.items()}
    return FreeTierOffer(used=used, forecast=forecast, limit=limit, **words)


_WORDS: Final = {"service": "service", "usage_type": "usageType", "unit": "unit", "kind": "freeTierType"}


def plan_of(answer: Mapping[str, Any]) -> AccountPlan:
    """The plan as AWS tells it (GetAccountPlanState)."""
    left = answer.get("accountPlanRemainingCredits") or {}
    ends = answer.get("accountPlanExpirationDate")
    return AccountPlan(
        kind=one_line(str(answer.get("accountPlanType", "")))[:TEXT_MAX],
        status=one_line(str(answer.get("accountPlanStatus", "")))[:TEXT_MAX],
        credits=f"{float(left['amount']):.2f}" if isinstance(left.get("amount"), int | float) else "",
        unit=one_line(str(left.get("unit", "")))[:TEXT_MAX],
        ends_at=rfc3339(ends) if isinstance(ends, datetime) else "",
    )
