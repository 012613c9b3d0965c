"""PagerDuty: Events API v2 with its deduplication, and the short end of the REST API.

A trigger joins the open alert of the same routing key and `dedup_key`; after a resolve it opens a new one; an
acknowledge or resolve without an open alert is dropped (PagerDuty developer docs, Events API v2).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime

from aegis.sandbox.checks import Inspector, names
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service, find, route

BODY_MAX = 512_000
KEY_LENGTH, DEDUP_MAX, SUMMARY_MAX = 32, 255, 1_024
PAGE_MAX, NOTE_MAX = 100, 25_000
SEVERITIES = frozenset({"critical", "error", "warning", "info"})
FIELDS = names("routing_key event_action dedup_key payload images links client client_url")
PAYLOAD = names("summary source severity timestamp component group class custom_details")


def answer(asked: Asked, room: Room) -> Reply:
    reply = find(ROUTES, asked, room)
    why = f"no such path for {asked.method}"
    return reply or reply_json(404, {"error": {"message": "Not Found", "code": 2100}}, refused=why)


def _enqueue(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    if len(asked.body) > BODY_MAX:
        return _invalid(413, "the event is larger than 512 KB")
    try:
        event = Inspector(asked.json())
    except Unreadable as error:
        return _invalid(400, str(error))
    _check(event)
    if event.problems:
        return _invalid(400, *map(str, event.problems))
    action = str(event.held["event_action"])
    digest = hashlib.sha256(str(event.held["routing_key"]).encode()).hexdigest()[:12]
    dedup = str(event.held.get("dedup_key") or f"{digest}{room.next('event'):020d}")
    line = _work(room, action, f"{digest}|{dedup}", event, asked.at)
    return reply_json(202, {"status": "success", "message": "Taken", "dedup_key": dedup}, line=line)


def _invalid(status: int, *errors: str) -> Reply:
    body = {"status": "invalid event", "message": "The event is wrong", "errors": list(errors)}
    return reply_json(status, body, refused="; ".join(errors))


def _check(event: Inspector) -> None:
    event.only(FIELDS)
    event.text("routing_key", required=True, pattern=rf"[^\s]{{{KEY_LENGTH}}}")
    action = event.text("event_action", required=True, one_of=("trigger", "acknowledge", "resolve"))
    event.text("dedup_key", required=action in ("acknowledge", "resolve"), longest=DEDUP_MAX)
    event.text("client")
    event.text("client_url")
    for link in event.objects("links"):
        link.text("href", required=True, pattern=r"https?://\S+")
        link.text("text")
    for image in event.objects("images"):
        image.text("src", required=True, pattern=r"https?://\S+")
    payload = event.child("payload", required=action == "trigger")
    if payload is None:
        return
    payload.only(PAYLOAD)
    payload.text("summary", required=True, longest=SUMMARY_MAX)
    payload.text("source", required=True)
    payload.text("severity", required=True, one_of=SEVERITIES)
    for name in ("component", "group", "class"):
        payload.text(name)
    payload.child("custom_details")
    when = payload.text("timestamp")
    if when and not _is_time(when):
        payload.wrong("timestamp", "must be an ISO 8601 time")


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _work(room: Room, action: str, key: str, event: Inspector, at: datetime) -> str:
    """Apply one event; returns what the people on call would have seen."""
    held = room.get("open", key)
    incident = room.get("incident", str(held["id"])) if held else None
    if action == "trigger":
        payload = event.held["payload"]
        if incident is None:
            incident = _opened(room, key, payload, at)
            room.put("open", key, {"id": incident["id"]})
        else:
            incident = {**incident, "triggers": incident["triggers"] + 1, "updated_at": _time(at)}
        room.put("incident", incident["id"], incident)
        return clip(f"[{payload['severity']}] {payload['summary']}")
    if incident is None:
        return f"{action} dropped: no open alert"
    status = "resolved" if action == "resolve" else "acknowledged"
    incident = {**incident, "status": status, "updated_at": _time(at), "last_status_change_at": _time(at)}
    room.put("incident", incident["id"], incident)
    if status == "resolved":
        room.drop("open", key)
    return clip(f"{status}: {incident['title']}")


def _opened(room: Room, key: str, payload: Document, at: datetime) -> Document:
    number = room.next("incident")
    return {
        "id": f"Q{number:013d}",
        "incident_number": number,
        "title": payload["summary"],
        "severity": payload["severity"],
        "incident_key": key.partition("|")[2],
        "status": "triggered",
        "triggers": 1,
        "created_at": _time(at),
        "updated_at": _time(at),
        "last_status_change_at": _time(at),
    }


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _incidents(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    if not re.fullmatch(r"(Token token=|Bearer ).+", asked.header("authorization")):
        body = {"error": {"message": "Unauthorized", "code": 2006}}
        return reply_json(401, body, refused="no API token")
    key, statuses = asked.param("incident_key"), set(asked.query.get("statuses[]", ()))
    limit, offset = asked.param("limit", "25"), asked.param("offset", "0")
    if not (limit.isdecimal() and offset.isdecimal() and 1 <= int(limit) <= PAGE_MAX):
        body = {"error": {"message": "Invalid Input Provided", "code": 2001, "errors": ["limit or offset is invalid"]}}
        return reply_json(400, body, refused="limit or offset is invalid")
    found = [
        _shown(incident)
        for incident in room.every("incident").values()
        if (not key or incident["incident_key"] == key) and (not statuses or incident["status"] in statuses)
    ]
    page = found[int(offset) : int(offset) + int(limit)]
    more = int(offset) + len(page) < len(found)
    return reply_json(200, {"incidents": page, "limit": int(limit), "offset": int(offset), "more": more, "total": None})


def _note(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    if not re.fullmatch(r"(Token token=|Bearer ).+", asked.header("authorization")):
        return reply_json(401, {"error": {"message": "Unauthorized", "code": 2006}}, refused="no API token")
    if room.get("incident", found["id"]) is None:
        return reply_json(404, {"error": {"message": "Not Found", "code": 2100}}, refused="no such incident")
    try:
        note = Inspector(asked.json()).child("note", required=True)
    except Unreadable:
        note = None
    content = note.text("content", required=True, longest=NOTE_MAX) if note else ""
    if note is None or note.problems or "@" not in asked.header("from"):
        body = {"error": {"message": "Invalid Input Provided", "code": 2001, "errors": ["note or From is invalid"]}}
        return reply_json(400, body, refused="note or From is invalid")
    made = {"id": f"N{room.next('note'):013d}", "content": content, "created_at": _time(asked.at)}
    room.put("note", made["id"], {**made, "incident": found["id"]})
    user = {"id": "PSANDBOX", "type": "user_reference", "summary": "Aegis", "self": None, "html_url": None}
    channel = {"summary": "The PagerDuty website or APIs"}
    return reply_json(200, {"note": {**made, "user": user, "channel": channel}}, line=clip(f"note: {content}"))


def _shown(incident: Document) -> Document:
    address = f"https://sandbox.pagerduty.com/incidents/{incident['id']}"
    names = ("id", "incident_number", "title", "incident_key", "status", "created_at", "updated_at")
    return {
        **{name: incident[name] for name in (*names, "last_status_change_at")},
        "type": "incident",
        "summary": f"[#{incident['incident_number']}] {incident['title']}",
        "self": f"https://api.pagerduty.com/incidents/{incident['id']}",
        "html_url": address,
        "urgency": "high" if incident["severity"] in ("critical", "error") else "low",
    }


def failure(status: int, retry_after_s: int | None) -> Reply:
    """The words of the Events API; its 429 names no time to wait by itself."""
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    words = {
        401: ("unauthorized", "The routing key is not known"),
        429: ("throttle exceeded", "Too many events for this service"),
        503: ("unavailable", "The service is not available"),
    }
    name, message = words.get(status, ("internal error", "The event could not be taken"))
    return reply_json(status, {"status": name, "message": message}, headers=wait)


def secrets(asked: Asked) -> Iterable[str]:
    try:
        event = asked.json()
    except Unreadable:
        return
    if isinstance(event, dict) and isinstance(event.get("routing_key"), str):
        yield event["routing_key"]


def _abilities(asked: Asked, _room: Room, _found: re.Match[str]) -> Reply:
    """What the account may do; asking is free and shows that a REST token works."""
    if not re.fullmatch(r"(Token token=|Bearer ).+", asked.header("authorization")):
        body = {"error": {"message": "Unauthorized", "code": 2006}}
        return reply_json(401, body, refused="no API token")
    return reply_json(200, {"abilities": ["teams", "event_rules"]})


ROUTES = (
    route("POST", "/v2/enqueue", _enqueue),
    route("GET", "/abilities", _abilities),
    route("GET", "/incidents", _incidents),
    route("POST", "/incidents/(?P<id>[A-Z0-9]+)/notes", _note),
)
SERVICE = Service(name="pagerduty", answer=answer, failure=failure, secrets=secrets)
