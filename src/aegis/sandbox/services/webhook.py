"""A receiver of signed webhooks (standardwebhooks.com): checks the signature on the bytes as they came, keeps each id once.

It knows one secret, the sandbox's own.
"""

from __future__ import annotations

import base64
import hmac
import re

from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.room import Room
from aegis.sandbox.service import Service, find, route

KEY = b"the sandbox signs with these 32b"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
WINDOW_S = 300
"""Seconds that a time may be off (standardwebhooks.com, replay attacks)."""


def answer(asked: Asked, room: Room) -> Reply:
    return find(ROUTES, asked, room) or _no(404, "no such hook")


def _no(status: int, why: str) -> Reply:
    return reply_json(status, {"error": why}, refused=why)


def _hook(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    wrong = _wrong(asked)
    if wrong:
        return _no(401, wrong)
    try:
        body = asked.json()
    except Unreadable as error:
        return _no(400, str(error))
    if (
        not isinstance(body, dict)
        or body.get("schema") != "aegis.notification/1"
        or not isinstance(body.get("data"), dict)
    ):
        return _no(400, "the body is no aegis.notification/1")
    number = asked.header("webhook-id")
    known = room.get("message", number)
    title = str(body["data"].get("title", ""))
    room.put(
        "message",
        number,
        {"type": body.get("type"), "title": clip(title), "times": (known["times"] if known else 0) + 1},
    )
    return Reply(status=204, line=clip(f"{body['data'].get('severity', '')}: {title}"))


def _wrong(asked: Asked) -> str:
    """Why the signature does not hold."""
    number, stamp = asked.header("webhook-id"), asked.header("webhook-timestamp")
    if not number or not stamp.isdecimal():
        return "webhook-id or webhook-timestamp is missing"
    if abs(asked.at.timestamp() - int(stamp)) > WINDOW_S:
        return "the message is too old or from the future"
    signed = f"{number}.{stamp}.".encode() + asked.body
    wanted = "v1," + base64.b64encode(hmac.digest(KEY, signed, "sha256")).decode()
    given = asked.header("webhook-signature").split()
    return "" if any(hmac.compare_digest(wanted, one) for one in given) else "no signature fits"


def failure(status: int, retry_after_s: int | None) -> Reply:
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    return reply_json(status, {"error": "the sandbox was told to fail"}, headers=wait)


ROUTES = (route("POST", r"/hooks/[^/]+", _hook),)
SERVICE = Service(name="webhook", answer=answer, failure=failure)
