"""The Free Tier API: how much of each offer is used, and what is left of the account's credits (Free Tier API reference)."""

from __future__ import annotations

from typing import Any

from aegis.sandbox.exchange import Asked, Reply, clip, reply_json
from aegis.sandbox.room import Room
from aegis.sandbox.service import Service

TARGET = "AWSFreeTierService."
PLAN = {
    "accountId": "000000000000",
    "accountPlanType": "PAID",
    "accountPlanStatus": "ACTIVE",
    "accountPlanRemainingCredits": {"amount": 87.5, "unit": "USD"},
    "accountPlanExpirationDate": "2027-06-30T00:00:00Z",
}
OFFERS: tuple[tuple[str, str, str, float, float], ...] = (
    ("Amazon Simple Storage Service", "TimedStorage-ByteHrs", "GB-Mo", 5.0, 1.25),
    ("Amazon Simple Storage Service", "Requests-Tier2", "Requests", 20_000.0, 900.0),
    ("Amazon Simple Storage Service", "Requests-Tier1", "Requests", 2_000.0, 1_500.0),
    ("AWS Lambda", "Lambda-GB-Second", "seconds", 400_000.0, 12.0),
)
"""Service, usage type, unit, limit and used so far."""


def answer(asked: Asked, _room: Room) -> Reply:
    operation = asked.header("x-amz-target").removeprefix(TARGET)
    if operation not in ("GetFreeTierUsage", "GetAccountPlanState"):
        return _no("UnknownOperationException", f"there is no operation {clip(operation, 60)!r}")
    if not asked.header("authorization").startswith("AWS4-HMAC-SHA256 "):
        return _no("AccessDeniedException", "the request is not signed")
    if operation == "GetAccountPlanState":
        return reply_json(200, PLAN, line="the plan and its credits")
    rows: list[dict[str, Any]] = [
        {
            "service": service,
            "operation": "",
            "usageType": f"EUW1-{kind}",
            "region": "eu-west-1",
            "actualUsageAmount": used,
            "forecastedUsageAmount": used * 2,
            "limit": limit,
            "unit": unit,
            "description": f"{limit:,.0f} {unit} are free per month",
            "freeTierType": "12 Months Free",
        }
        for service, kind, unit, limit, used in OFFERS
    ]
    return reply_json(200, {"freeTierUsages": rows}, line=f"{len(rows)} offers")


def _no(code: str, why: str) -> Reply:
    return reply_json(400, {"__type": code, "message": why}, refused=f"{code}: {why}")


def _failure(status: int, _after: int | None) -> Reply:
    code = {401: "AccessDeniedException", 429: "ThrottlingException"}.get(status, "InternalServerException")
    return reply_json(400 if status in (401, 429) else 500, {"__type": code, "message": "the sandbox was told to fail"})


SERVICE = Service(name="freetier", answer=answer, failure=_failure)
