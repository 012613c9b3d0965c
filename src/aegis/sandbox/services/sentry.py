"""Sentry: envelopes (develop.sentry.dev: envelopes, event payloads, rate limiting).

An event is known by its `event_id`: the same one again is taken and changes nothing. Limits are told by category.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from aegis.sandbox.checks import Inspector
from aegis.sandbox.exchange import Asked, Reply, TooLarge, Unreadable, clip, read_json, reply_json
from aegis.sandbox.room import Room
from aegis.sandbox.service import Service, find, route

PACKED_MAX, PLAIN_MAX, EVENT_MAX, ITEMS_MAX = 20_971_520, 104_857_600, 1_048_576, 100
"""Bytes of an envelope, packed and unpacked, and of an event (develop.sentry.dev, envelopes: size limits)."""

LEVELS = ("fatal", "error", "warning", "info", "debug")
TAG_KEY_MAX, TAG_VALUE_MAX = 200, 200


def answer(asked: Asked, room: Room) -> Reply:
    return find(ROUTES, asked, room) or _no(404, f"no such path for {asked.method}")


def _no(status: int, why: str, *causes: str) -> Reply:
    return reply_json(status, {"detail": why, "causes": list(causes)}, refused="; ".join((why, *causes)))


def _key(asked: Asked, header: dict[str, Any]) -> str:
    """The public key: from the header, the query or the envelope's DSN."""
    found = re.search(r"sentry_key=([^,\s]+)", asked.header("x-sentry-auth"))
    dsn = re.match(r"https?://([^:@/]+)@", str(header.get("dsn", "")))
    return (found[1] if found else "") or asked.param("sentry_key") or (dsn[1] if dsn else "")


def _envelope(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    if len(asked.body) > PACKED_MAX:
        return _no(413, "envelope exceeded size limits")
    try:
        plain = asked.decoded(PLAIN_MAX)
        header, rest = _line(plain)
        items = list(_items(rest))
    except TooLarge as error:
        return _no(413, "envelope exceeded size limits", str(error))
    except Unreadable as error:
        return _no(400, "invalid event envelope", str(error))
    if not _key(asked, header):
        return _no(401, "missing authorization information")
    if asked.header("x-sentry-auth") and "sentry_version=" not in asked.header("x-sentry-auth"):
        return _no(400, "bad sentry authentication", "sentry_version is missing")
    line = ""
    for kind, payload in items:
        if kind != "event":
            continue
        problem = _problem(payload, header)
        if isinstance(problem, Reply):
            return problem
        line = _remember(room, problem)
    number = str(header.get("event_id", ""))
    return reply_json(200, {"id": number} if number else {}, line=line)


def _line(plain: bytes) -> tuple[dict[str, Any], bytes]:
    """The header on the first line, and what follows."""
    first, _, rest = plain.partition(b"\n")
    value = read_json(first)
    if not isinstance(value, dict):
        raise Unreadable("a header is no object")
    return value, rest


def _items(rest: bytes) -> Iterator[tuple[str, bytes]]:
    """Type and payload of each item. Raises `Unreadable`."""
    for _ in range(ITEMS_MAX):
        if not rest.strip(b"\n"):
            return
        header, rest = _line(rest)
        length = header.get("length")
        if length is None:
            payload, _, rest = rest.partition(b"\n")
        elif type(length) is int and 0 <= length <= len(rest):
            payload, rest = rest[:length], rest[length:]
            if rest and not rest.startswith(b"\n"):
                raise Unreadable("an item is longer than its length says")
            rest = rest[1:]
        else:
            raise Unreadable("an item is shorter than its length says")
        yield str(header.get("type", "")), payload
    raise Unreadable(f"more than {ITEMS_MAX} items")


def _problem(payload: bytes, header: dict[str, Any]) -> Inspector | Reply:
    """The event if it is right, else the refusal."""
    if len(payload) > EVENT_MAX:
        return _no(413, "envelope exceeded size limits", "event")
    try:
        event = Inspector(read_json(payload))
    except Unreadable as error:
        return _no(400, "invalid event envelope", str(error))
    number = event.text("event_id", required=True, pattern=r"[0-9a-f]{32}|[0-9a-fA-F-]{36}")
    if number and header.get("event_id") not in (None, number):
        event.wrong("event_id", "differs from the envelope's")
    event.text("level", one_of=LEVELS)
    event.text("platform")
    if "timestamp" not in event.held:
        event.wrong("timestamp", "is required", "required")
    event.texts("fingerprint", longest=1_000)
    tags = event.child("tags")
    for name, value in (tags.held if tags is not None else {}).items():
        if len(name) > TAG_KEY_MAX or not isinstance(value, str) or len(value) > TAG_VALUE_MAX:
            event.wrong(f"tags.{name[:40]}", "is too long or no string")
    entry = event.child("logentry")
    if entry is not None and not (entry.text("formatted") or entry.text("message")):
        entry.wrong("formatted", "is empty", "required")
    if event.problems:
        return _no(400, "invalid event envelope", *map(str, event.problems))
    return event


def _remember(room: Room, event: Inspector) -> str:
    """Keep the event once; returns what the issue's list shows."""
    entry = event.held.get("logentry") or {}
    title = clip(str(entry.get("formatted") or entry.get("message") or event.held.get("message") or "(no message)"))
    number = str(event.held["event_id"])
    held = room.get("event", number) or {"times": 0}
    group = "|".join(map(str, event.held.get("fingerprint") or (title,)))
    room.put("event", number, {"title": title, "group": clip(group, 400), "times": held["times"] + 1})
    return f"[{event.held.get('level', 'error')}] {title}"


def failure(status: int, retry_after_s: int | None) -> Reply:
    """429 names the limited categories in `X-Sentry-Rate-Limits`."""
    headers = {}
    if status == 429 and retry_after_s is not None:
        headers = {
            "retry-after": str(retry_after_s),
            "x-sentry-rate-limits": f"{retry_after_s}:error;default:organization:quota_exceeded",
        }
    words = {401: "missing authorization information", 429: "too many events"}
    return reply_json(status, {"detail": words.get(status, "Internal error"), "causes": []}, headers=headers)


def secrets(asked: Asked) -> Iterable[str]:
    found = re.search(rb'"dsn"\s*:\s*"https?://([^:@/"]+)@', asked.body[:2_000])
    if found:
        yield found[1].decode("utf-8", "replace")


ROUTES = (route("POST", r"/api/\d+/envelope/?", _envelope),)
SERVICE = Service(name="sentry", answer=answer, failure=failure, secrets=secrets)
