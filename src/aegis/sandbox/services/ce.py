"""Cost Explorer: what each AWS service of the sandbox cost on a day, and a cent for every question (its API reference)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from aegis.core.money import USD, Nanos
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service
from aegis.sandbox.services.bills import BUCKETS_MAX, keep, of_day

TARGET: Final = "AWSInsightsIndexService.GetCostAndUsage"
REQUEST: Final[Nanos] = USD // 100
NAMES: Final[Mapping[str, str]] = {
    "bedrock": "Claude Haiku 4.5 (Amazon Bedrock Edition)",
    "athena": "Amazon Athena",
    "ce": "AWS Cost Explorer",
}
"""What stands on the bill; the computer that nobody asked about is on every bill."""
OTHER: Final = {
    "Keys": ["Amazon Elastic Compute Cloud - Compute"],
    "Metrics": {"UnblendedCost": {"Amount": "12.5", "Unit": "USD"}},
}


def answer(asked: Asked, room: Room) -> Reply:
    if asked.header("x-amz-target") != TARGET:
        return _no("UnknownOperationException", f"there is no operation {clip(asked.header('x-amz-target'), 60)!r}")
    if not asked.header("authorization").startswith("AWS4-HMAC-SHA256 "):
        return _no("AccessDeniedException", "the request is not signed")
    try:
        body = asked.json()
        period = body["TimePeriod"]
        first, end = date.fromisoformat(period["Start"]), date.fromisoformat(period["End"])
        wrong = body["Granularity"] != "DAILY" or body["Metrics"] != ["UnblendedCost"] or first >= end
    except (Unreadable, KeyError, TypeError, ValueError):
        wrong = True
    if wrong or (end - first).days > BUCKETS_MAX + 1:
        return _no("ValidationException", "TimePeriod, Granularity or Metrics is wrong")
    keep(room, asked, "ce", REQUEST, {"requests": 1})
    days = [first + timedelta(days=n) for n in range((end - first).days)]
    results = [_day(room, day, asked) for day in days]
    told = {"ResultsByTime": results, "GroupDefinitions": body.get("GroupBy", []), "DimensionValueAttributes": []}
    return reply_json(200, told, line=f"costs of {len(days)} days", billed=REQUEST, usage={"requests": 1})


def _day(room: Room, day: date, asked: Asked) -> Document:
    groups = [
        {"Keys": [NAMES[name]], "Metrics": {"UnblendedCost": {"Amount": _dollars(one["nanos"]), "Unit": "USD"}}}
        for name, one in of_day(room, day).items()
        if name in NAMES
    ]
    period = {"Start": day.isoformat(), "End": (day + timedelta(days=1)).isoformat()}
    late = day.replace(day=1) == asked.at.date().replace(day=1)
    return {"TimePeriod": period, "Total": {}, "Groups": [*groups, OTHER], "Estimated": late}


def _dollars(nanos: Nanos) -> str:
    whole, rest = divmod(nanos, USD)
    return f"{whole}.{rest:09d}0"


def _no(code: str, why: str) -> Reply:
    return reply_json(400, {"__type": code, "message": why}, refused=f"{code}: {why}")


def _failure(status: int, after: int | None) -> Reply:
    code = {401: "AccessDeniedException", 429: "LimitExceededException"}.get(status, "InternalServerException")
    wait = {} if after is None else {"retry-after": str(after)}
    return reply_json(status, {"__type": code, "message": "the sandbox was told to fail"}, headers=wait)


SERVICE = Service(name="ce", answer=answer, failure=_failure)
