"""What the vendors of the sandbox say that was used and what it cost, by day: everything they really answered, whoever asked.

Shapes: platform.claude.com (cost report, usage report), AWS Cost Explorer API reference, twilio.com/docs (usage records).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from aegis.core.calls import Usage
from aegis.core.money import USD, Nanos
from aegis.sandbox.exchange import Asked, Reply, reply_json
from aegis.sandbox.room import Document, Room

KIND: Final = "billed"
BUCKETS_MAX: Final = 31
CENT: Final = USD // 100


def keep(room: Room, asked: Asked, what: str, cost: Nanos, usage: Usage) -> None:
    """Add an answered request to the day's bill under a name (a model, a category)."""
    key = f"{asked.at.date().isoformat()}|{what}"
    held = room.get(KIND, key) or {"nanos": 0, "usage": {}}
    added = {meter: held["usage"].get(meter, 0) + units for meter, units in usage.items()}
    room.put(KIND, key, {"nanos": held["nanos"] + cost, "usage": {**held["usage"], **added}})


def of_day(room: Room, day: date) -> Mapping[str, Document]:
    """What a day came to, by name."""
    head = f"{day.isoformat()}|"
    return {key.removeprefix(head): one for key, one in room.every(KIND).items() if key.startswith(head)}


def billed_messages(asked: Asked, room: Room, model: str, reply: Reply) -> Reply:
    """A message of Claude on its way out, put on the bill."""
    keep(room, asked, model, reply.billed, reply.usage)
    return reply


# --- Claude ----------------------------------------------------------------------------------------------------


def claude_report(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    """The cost report in cents, or the usage report of messages, in buckets of a day, `limit` on a page."""
    if not asked.header("x-api-key").startswith("sk-ant-admin"):
        return _claude_no(403, "permission_error", "an admin key is required")
    try:
        first, last = _moment(asked.param("page") or asked.param("starting_at")), _moment(asked.param("ending_at"))
        limit = int(asked.param("limit", "7"))
    except ValueError:
        return _claude_no(400, "invalid_request_error", "starting_at, ending_at, limit or page is wrong")
    if not 1 <= limit <= BUCKETS_MAX or asked.param("bucket_width", "1d") != "1d":
        return _claude_no(400, "invalid_request_error", "limit or bucket_width is wrong")
    end = min(last.date(), asked.at.date() + timedelta(days=1))
    days = [first.date() + timedelta(days=n) for n in range(max(0, (end - first.date()).days))]
    shown, rest = days[:limit], days[limit:]
    rows = _claude_costs if found["report"] == "cost_report" else _claude_usage
    buckets = [
        {"starting_at": _stamp(day), "ending_at": _stamp(day + timedelta(days=1)), "results": rows(of_day(room, day))}
        for day in shown
    ]
    page = _stamp(rest[0]) if rest else None
    body = {"data": buckets, "has_more": bool(rest), "next_page": page}
    return reply_json(200, body, line=f"{found['report']} of {len(shown)} days")


def _claude_costs(models: Mapping[str, Document]) -> list[Document]:
    nanos = sum(one["nanos"] for one in models.values())
    whole, rest = divmod(nanos, CENT)
    row = {"amount": f"{whole}.{rest:07d}", "currency": "USD", "workspace_id": None, "description": None}
    more = dict.fromkeys(("cost_type", "context_window", "model", "service_tier", "token_type", "inference_geo"))
    return [{**row, **more}] if models else []


def _claude_usage(models: Mapping[str, Document]) -> list[Document]:
    none = dict.fromkeys(("api_key_id", "workspace_id", "service_tier", "context_window", "inference_geo"))
    return [
        {
            "model": model,
            "uncached_input_tokens": one["usage"].get("input_tokens", 0),
            "output_tokens": one["usage"].get("output_tokens", 0),
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "server_tool_use": {"web_search_requests": 0},
            **none,
        }
        for model, one in models.items()
    ]


def _claude_no(status: int, kind: str, why: str) -> Reply:
    body = {"type": "error", "error": {"type": kind, "message": why}, "request_id": "req_sandbox"}
    return reply_json(status, body, refused=why)


# --- Twilio ----------------------------------------------------------------------------------------------------


def twilio_records(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    """What each category came to in a span of days, both ends included."""
    try:
        first, last = (date.fromisoformat(asked.param(name)) for name in ("StartDate", "EndDate"))
    except ValueError:
        return reply_json(
            400, {"code": 20001, "message": "StartDate or EndDate is no date", "status": 400}, refused="dates"
        )
    sums: dict[str, Document] = {
        name: {"nanos": 0, "count": 0} for name in ("sms", "calls", "phonenumbers", "totalprice")
    }
    for number in range(min((last - first).days, BUCKETS_MAX) + 1):
        for name, one in of_day(room, first + timedelta(days=number)).items():
            for category in (name, "totalprice"):
                sums[category]["nanos"] += one["nanos"]
                sums[category]["count"] += sum(one["usage"].get(meter, 0) for meter in ("messages", "calls"))
    records = [
        {
            "account_sid": found["account"],
            "api_version": "2010-04-01",
            "category": name,
            "count": str(one["count"]),
            "count_unit": name,
            "description": name,
            "start_date": first.isoformat(),
            "end_date": last.isoformat(),
            "price": one["nanos"] / USD,
            "price_unit": "usd",
            "subresource_uris": {},
            "usage": str(one["count"]),
            "usage_unit": name,
        }
        for name, one in sums.items()
    ]
    body: dict[str, Any] = {"usage_records": records, "page": 0, "page_size": len(records), "next_page_uri": None}
    return reply_json(200, body, line=f"usage of {first}")


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _stamp(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
