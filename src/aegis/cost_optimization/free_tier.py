"""What AWS itself says of the Free Tier, where it may be read (`freetier:GetFreeTierUsage`); else the quotas as set.

AWS counts with a delay of hours, so this never admits or refuses a call: it shows how far the quotas are true, and
proposes those that AWS gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from aegis.core.calls import Priority
from aegis.core.errors import ConfigError, ServiceError
from aegis.cost_optimization.aws_config import client_of
from aegis.cost_optimization.engine import Engine
from aegis.cost_optimization.models import FreeTierLimits
from aegis.finance.aws_free_tier import PAGE, PAGES_MAX, FreeTierOffer, offer_of

S3_OFFERS: Final[Mapping[str, str]] = {
    "TimedStorage-ByteHrs": "s3_storage_gb_monthly",
    "Requests-Tier1": "s3_put_requests_monthly",
    "Requests-Tier2": "s3_get_requests_monthly",
}
"""The usage types of S3's offer (a region stands before them) and the quota that each is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeTierReport:
    """`offers` is what AWS says, fullest first; empty with a reason in `why` where it may not be read. `limits` are
    the quotas with what AWS says of S3 in them: Athena and Bedrock have no offer, so theirs stay as they were set.
    """

    offers: Sequence[FreeTierOffer]
    limits: FreeTierLimits
    why: str = ""


async def read_free_tier(engine: Engine) -> FreeTierReport:
    """Ask the Free Tier API. Raises `Refused` and `StoreError`; what AWS refuses is a report that says why."""
    try:
        client = client_of(engine.clients, "freetier")
    except ConfigError:
        return FreeTierReport(
            offers=(), limits=engine.limits, why="no freetier client: the quotas are those that were set"
        )
    call = engine.call("freetier", "GetFreeTierUsage", {"requests": 1}, priority=Priority.LOW)
    offers: list[FreeTierOffer] = []
    try:
        async with engine.governor.parts.governor.admit(call) as reservation:
            offers = await _offers(engine, client)
            reservation.settle({"requests": 1})
    except ServiceError as error:
        return FreeTierReport(offers=(), limits=engine.limits, why=f"{error}: the quotas are those that were set")
    offers.sort(key=lambda offer: -offer.percent)
    return FreeTierReport(offers=tuple(offers), limits=limits_of(offers, engine.limits))


async def _offers(engine: Engine, client: Any) -> list[FreeTierOffer]:
    found: list[FreeTierOffer] = []
    request: dict[str, Any] = {"maxResults": PAGE}
    for _ in range(PAGES_MAX):
        answer = await engine.aws.call("freetier", client, "get_free_tier_usage", request)
        found += [offer for row in answer.get("freeTierUsages", []) if (offer := offer_of(row)) is not None]
        if not answer.get("nextToken"):
            break
        request["nextToken"] = answer["nextToken"]
    return found


def limits_of(offers: Sequence[FreeTierOffer], limits: FreeTierLimits) -> FreeTierLimits:
    """The quotas with those of S3 as AWS gives them."""
    given: dict[str, Any] = {}
    for offer in offers:
        for ending, quota in S3_OFFERS.items():
            if "Simple Storage" in offer.service and offer.usage_type.endswith(ending):
                given[quota] = offer.limit if quota == "s3_storage_gb_monthly" else int(offer.limit)
    return replace(limits, **given)
