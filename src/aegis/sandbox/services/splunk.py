"""Splunk's HTTP Event Collector: JSON events written one after the other, its codes, and indexer acknowledgement.

Nothing is deduplicated. A request is taken whole or not at all: the number of the first wrong event is told
(help.splunk.com: format events for HEC, troubleshoot HEC, about indexer acknowledgment).
"""

from __future__ import annotations

import json
import re
from typing import Any

from aegis.sandbox.checks import names
from aegis.sandbox.exchange import Asked, Reply, TooLarge, Unreadable, clip, credential, reply_json
from aegis.sandbox.room import Room
from aegis.sandbox.service import Service, find, route

PLAIN_MAX, EVENTS_MAX = 32 * 1024 * 1024, 10_000
"""Bytes and events of one request; Aegis sends at most 1 MB and 1,000."""

ACKS_MAX = 1_000
GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
INDEX = re.compile(r"[a-z0-9_][a-z0-9_-]*")
FIELDS = names("time host source sourcetype index event fields")
CODES = {
    0: (200, "Success"),
    2: (401, "Token is required"),
    3: (401, "Invalid authorization"),
    4: (403, "Invalid token"),
    5: (400, "No data"),
    6: (400, "Invalid data format"),
    7: (400, "Incorrect index"),
    8: (500, "Internal server error"),
    9: (503, "Server is busy"),
    10: (400, "Data channel is missing"),
    11: (400, "Invalid data channel"),
    12: (400, "Event field is required"),
    13: (400, "Event field cannot be blank"),
    15: (400, "Error in handling indexed fields"),
    17: (200, "HEC is healthy"),
}


class _Wrong(ValueError):
    """An event that is refused: its code."""

    def __init__(self, code: int, number: int, why: str) -> None:
        super().__init__(why)
        self.code, self.number = code, number


def answer(asked: Asked, room: Room) -> Reply:
    if asked.path == "/services/collector/health" and asked.method == "GET":
        return reply_json(200, {"text": CODES[17][1], "code": 17})
    if not asked.header("authorization"):
        return _no(2, "no Authorization header")
    if not credential(asked, "splunk") and not credential(asked, "basic"):
        return _no(3, "the Authorization header is not of the form: Splunk TOKEN")
    reply = find(ROUTES, asked, room)
    why = f"no such path for {asked.method}"
    return reply or reply_json(
        404, {"text": "The requested URL was not found on this server.", "code": 404}, refused=why
    )


def _no(code: int, why: str, number: int | None = None) -> Reply:
    status, text = CODES[code]
    body: dict[str, Any] = {"text": text, "code": code}
    if number is not None:
        body["invalid-event-number"] = number
    return reply_json(status, body, refused=why)


def _event(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    try:
        text = asked.decoded(PLAIN_MAX).decode()
    except TooLarge as error:
        return reply_json(413, {"text": "Request entity too large", "code": 27}, refused=str(error))
    except (Unreadable, UnicodeDecodeError) as error:
        return _no(6, str(error), 0)
    if not text.strip():
        return _no(5, "the body is empty")
    channel = asked.header("x-splunk-request-channel") or asked.param("channel")
    if channel and not GUID.fullmatch(channel):
        return _no(11, "the channel is no GUID")
    try:
        events = _parsed(text)
    except _Wrong as wrong:
        return _no(wrong.code, f"event {wrong.number}: {wrong}", wrong.number)
    room.put("count", "events", {"events": ((room.get("count", "events") or {}).get("events", 0)) + len(events)})
    body: dict[str, Any] = {"text": "Success", "code": 0}
    if channel:
        body["ackId"] = room.next(f"ack {channel}", 0)
    more = f" (+{len(events) - 1} more)" if len(events) > 1 else ""
    return reply_json(200, body, line=clip(_gist(events[0])) + more)


def _parsed(text: str) -> list[dict[str, Any]]:
    """The events of a body. Raises `_Wrong`."""
    decoder, at = json.JSONDecoder(), 0
    events: list[dict[str, Any]] = []
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        number = len(events)
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise _Wrong(6, number, "is no JSON object") from error
        if not isinstance(value, dict) or number >= EVENTS_MAX:
            raise _Wrong(6, number, "is no JSON object, or one too many")
        _check(value, number)
        events.append(value)
    return events


def _check(event: dict[str, Any], number: int) -> None:
    unknown = event.keys() - FIELDS
    if unknown:
        raise _Wrong(6, number, f"{clip(min(unknown), 40)} is no field of an event")
    if "event" not in event:
        raise _Wrong(12, number, "event is required")
    if event["event"] in ("", None, {}, []):
        raise _Wrong(13, number, "event is blank")
    when = event.get("time", 0)
    if isinstance(when, bool) or not re.fullmatch(r"\d{1,12}(\.\d{1,9})?", str(when)):
        raise _Wrong(6, number, "time is no epoch time")
    for name in ("host", "source", "sourcetype", "index"):
        if not isinstance(event.get(name, ""), str):
            raise _Wrong(6, number, f"{name} is no string")
    if "index" in event and not INDEX.fullmatch(event["index"]):
        raise _Wrong(7, number, "index is no name of an index")
    fields = event.get("fields", {})
    if not isinstance(fields, dict) or any(isinstance(value, dict | type(None)) for value in fields.values()):
        raise _Wrong(15, number, "fields must be flat")


def _gist(event: dict[str, Any]) -> str:
    """What a search would show of an event."""
    inside = event["event"]
    if isinstance(inside, dict):
        title = next(
            (str(inside[name]) for name in ("title", "message", "name") if inside.get(name)), json.dumps(inside)
        )
        return f"{event.get('sourcetype', 'event')}: {title}"
    return f"{event.get('sourcetype', 'event')}: {inside}"


def _ack(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    channel = asked.param("channel") or asked.header("x-splunk-request-channel")
    if not channel:
        return _no(10, "no channel")
    if not GUID.fullmatch(channel):
        return _no(11, "the channel is no GUID")
    try:
        acks = asked.json().get("acks")
    except (Unreadable, AttributeError):
        acks = None
    if not isinstance(acks, list) or len(acks) > ACKS_MAX or not all(type(one) is int for one in acks):
        return _no(6, "acks must be a list of whole numbers")
    known = int((room.get("counter", f"ack {channel}") or {"next": 0})["next"])
    return reply_json(200, {"acks": {str(one): 0 <= one < known for one in acks}})


def failure(status: int, retry_after_s: int | None) -> Reply:
    """HEC knows no 429; a full indexing queue is 503 with code 9."""
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    code = {401: 4, 503: 9}.get(status, 8)
    said = {"text": "Too many requests", "code": 9} if status == 429 else {"text": CODES[code][1], "code": code}
    return reply_json(403 if status == 401 else status, said, headers=wait)


ROUTES = (
    route("POST", "/services/collector(?:/event(?:/1\\.0)?)?", _event),
    route("POST", "/services/collector/ack", _ack),
)
SERVICE = Service(name="splunk", answer=answer, failure=failure)
