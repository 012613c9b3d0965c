"""Datadog: metric series (v2), events (v1 and v2), service checks and the check of a key (docs.datadoghq.com/api).

Points that are older than an hour or more than ten minutes ahead are dropped without a word, as by the real one; the
sandbox says so in its record.
"""

from __future__ import annotations

import re
from typing import Any

from aegis.sandbox.checks import Inspector, names
from aegis.sandbox.exchange import Asked, Reply, TooLarge, Unreadable, clip, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service, find, route

PACKED_MAX, PLAIN_MAX = 512_000, 5_242_880
"""Bytes of a series payload, packed and unpacked (docs.datadoghq.com, submit metrics)."""

LINKS_MAX, LINK_MAX = 20, 2_048
OLDEST_S, AHEAD_S = 3_600, 600
TEXT_MAX, KEY_MAX, TITLE_MAX, TAGS_MAX = 4_000, 100, 500, 100
METRIC = r"[A-Za-z][A-Za-z0-9_.]{0,199}"
ALERTS = names("error warning info success user_update recommendation snapshot")
EVENT = names(
    """title text alert_type priority aggregation_key tags date_happened source_type_name host device_name
    related_event_id"""
)
SERIES = names("metric type points tags resources unit interval source_type_name metadata")


def answer(asked: Asked, room: Room) -> Reply:
    if not asked.header("dd-api-key"):
        return _no(403, "Forbidden", "no DD-API-KEY")
    return find(ROUTES, asked, room) or _no(404, "Not found", f"no such path for {asked.method}")


def _no(status: int, error: str, why: str = "") -> Reply:
    return reply_json(status, {"errors": [error]}, refused=why or error)


def _read(asked: Asked) -> Any | Reply:
    """The JSON of the body, unpacked within bounds, or the refusal."""
    if len(asked.body) > PACKED_MAX:
        return _no(413, "Payload Too Large", f"{len(asked.body)} bytes; at most {PACKED_MAX}")
    try:
        plain = asked.decoded(PLAIN_MAX)
        return Asked(method=asked.method, path=asked.path, at=asked.at, body=plain).json()
    except TooLarge as error:
        return _no(413, "Payload Too Large", str(error))
    except Unreadable as error:
        return _no(400, "Payload is not in the expected format", str(error))


def _series(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    value = _read(asked)
    if isinstance(value, Reply):
        return value
    body = Inspector(value)
    body.only({"series"})
    series = body.objects("series", required=True)
    now, points, dropped = int(asked.at.timestamp()), 0, 0
    for one in series:
        taken, late = _check_series(one, now)
        points, dropped = points + taken, dropped + late
    if body.problems:
        return _no(400, f"Payload is not in the expected format: {body.problems[0]}")
    for one in series:
        _remember(room, one)
    names_seen = ", ".join(dict.fromkeys(str(one.held["metric"]) for one in series))
    lost = f"; {dropped} points are too old or too far ahead and were dropped" if dropped else ""
    return reply_json(202, {"errors": []}, line=clip(f"{points} points of {names_seen}{lost}"))


def _check_series(one: Inspector, now: int) -> tuple[int, int]:
    """Check one series; returns how many points it has, and how many are outside the window."""
    one.only(SERIES)
    one.text("metric", required=True, pattern=METRIC)
    kind = one.whole("type", least=0, most=3)
    if kind in (1, 2) and not one.whole("interval", least=0):
        one.wrong("interval", "is required for a count or rate", "required")
    one.text("unit")
    one.texts("tags")
    for resource in one.objects("resources"):
        resource.only({"name", "type"})
        resource.text("name", required=True)
        resource.text("type", required=True)
    points = one.objects("points", required=True, least=1)
    stamps = []
    for point in points:
        point.only({"timestamp", "value"})
        stamps.append(point.whole("timestamp", required=True))
        point.number("value", required=True)
    return len(points), sum(not now - OLDEST_S <= stamp <= now + AHEAD_S for stamp in stamps)


def _remember(room: Room, one: Inspector) -> None:
    """The last value of each metric and tag combination: what a dashboard would show, and what is billed by."""
    key = f"{one.held['metric']}|{','.join(sorted(one.held.get('tags') or ()))}"
    held = room.get("metric", key) or {"submitted": 0}
    last = one.held["points"][-1]
    room.put("metric", clip(key, 400), {**last, "type": one.held.get("type", 0), "submitted": held["submitted"] + 1})


def _event(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    value = _read(asked)
    if isinstance(value, Reply):
        return value
    event = Inspector(value)
    event.only(EVENT)
    event.text("title", required=True)
    event.text("text", required=True, longest=TEXT_MAX)
    event.text("alert_type", one_of=ALERTS)
    event.text("priority", one_of=("normal", "low"))
    event.text("aggregation_key", longest=KEY_MAX)
    event.texts("tags", most=TAGS_MAX)
    event.whole("date_happened")
    if event.problems:
        return _no(400, str(event.problems[0]))
    number = 7_000_000_000_000_000_000 + room.next("event")
    room.put("event", str(number), {name: event.held.get(name) for name in ("title", "alert_type", "aggregation_key")})
    shown: Document = {name: event.held[name] for name in ("title", "text", "tags", "priority") if name in event.held}
    made: Document = {
        **shown,
        "id": number,
        "id_str": str(number),
        "date_happened": event.held.get("date_happened", int(asked.at.timestamp())),
        "url": f"https://app.datadoghq.com/event/event?id={number}",
    }
    return reply_json(202, {"status": "ok", "event": made}, line=clip(str(event.held["title"])))


def _event_v2(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    value = _read(asked)
    if isinstance(value, Reply):
        return value
    body = Inspector(value)
    body_data = body.child("data", required=True)
    inside = body_data.child("attributes", required=True) if body_data is not None else None
    if body_data is not None and inside is not None:
        body_data.text("type", required=True, one_of=("event",))
        inside.text("title", required=True, longest=TITLE_MAX)
        inside.text("category", required=True, one_of=("alert", "change"))
        inside.text("message", longest=TEXT_MAX)
        inside.text("aggregation_key", longest=KEY_MAX)
        inside.texts("tags", most=TAGS_MAX)
        details = inside.child("attributes", required=True)
        if details is not None and inside.held.get("category") == "alert":
            details.text("status", required=True, one_of=("error", "warn", "ok"))
            details.text("priority", one_of=("1", "2", "3", "4", "5"))
            for link in details.objects("links", most=LINKS_MAX):
                link.only({"category", "title", "url"})
                link.text("category", required=True, one_of=("dashboard", "documentation", "resource", "runbook"))
                link.text("url", required=True, longest=LINK_MAX)
    if body.problems or inside is None:
        return _no(400, str(body.problems[0]))
    number = str(room.next("event"))
    room.put("event", f"v2-{number}", {name: inside.held.get(name) for name in ("title", "aggregation_key")})
    shown = {"type": "event", "id": number, "attributes": {"timestamp": asked.at.isoformat()}}
    return reply_json(202, {"data": shown}, line=clip(str(inside.held["title"])))


def _check_run(asked: Asked, _room: Room, _found: re.Match[str]) -> Reply:
    value = _read(asked)
    if isinstance(value, Reply):
        return value
    body = Inspector({"checks": value if isinstance(value, list) else [value]})
    for check in body.objects("checks"):
        check.text("check", required=True)
        check.text("host_name", required=True)
        check.whole("status", required=True, least=0, most=3)
        check.texts("tags", required=True)
    if body.problems:
        return _no(400, str(body.problems[0]))
    return reply_json(202, {"status": "ok"}, line=clip(f"check {body.held['checks'][0]['check']}"))


def _validate(_asked: Asked, _room: Room, _found: re.Match[str]) -> Reply:
    return reply_json(200, {"valid": True})


def failure(status: int, retry_after_s: int | None) -> Reply:
    """The wait stands in `X-RateLimit-Reset` (docs.datadoghq.com, rate limits); a wrong key is 403."""
    headers = {"x-ratelimit-limit": "1000", "x-ratelimit-period": "60", "x-ratelimit-remaining": "0"}
    if retry_after_s is not None:
        headers["x-ratelimit-reset"] = str(retry_after_s)
    words = {401: "Forbidden", 429: "Too many requests", 503: "Service Unavailable"}
    body = {"errors": [words.get(status, "Internal Server Error")]}
    return reply_json(403 if status == 401 else status, body, headers=headers if status == 429 else {})


ROUTES = (
    route("POST", "/api/v2/series", _series),
    route("POST", "/api/v1/events", _event),
    route("POST", "/api/v2/events", _event_v2),
    route("POST", "/api/v1/check_run", _check_run),
    route("GET", "/api/v1/validate", _validate),
)
SERVICE = Service(name="datadog", answer=answer, failure=failure)
