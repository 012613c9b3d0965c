"""A receiver of what the library Apprise sends to its `json://` addresses: title, message and kind, each kept as it came.

Its own way of writing such a body is version 1.0 (Apprise's page about custom JSON); there is no handle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from aegis.sandbox.checks import Inspector
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.room import Room
from aegis.sandbox.service import Service, find, route

KINDS = ("info", "success", "warning", "failure")


def answer(asked: Asked, room: Room) -> Reply:
    return find(ROUTES, asked, room) or _no(404, "no such address")


def _no(status: int, why: str) -> Reply:
    return reply_json(status, {"error": why}, refused=why)


def _told(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    try:
        message = Inspector(asked.json())
    except Unreadable as error:
        return _no(400, str(error))
    message.only({"version", "title", "message", "attachments", "type"})
    message.text("version", required=True, one_of=("1.0",))
    message.text("title", required=True)
    message.text("message", required=True)
    message.text("type", required=True, one_of=KINDS)
    if message.problems:
        return _no(400, str(message.problems[0]))
    said = message.held
    number = str(room.next("message"))
    room.put("message", number, {"type": said["type"], "title": clip(said["title"]), "text": clip(said["message"])})
    return reply_json(200, {"id": number}, line=clip(said["title"]))


def _secrets(asked: Asked) -> Iterable[str]:
    """Whatever stands behind `/notify/`."""
    return [part for part in asked.path.split("/")[2:] if part]


def failure(status: int, retry_after_s: int | None) -> Reply:
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    return reply_json(status, {"error": "the sandbox was told to fail"}, headers=wait)


ROUTES = (route("POST", r"/notify/[^/]+", _told),)
SERVICE = Service(name="apprise", answer=answer, failure=failure, secrets=_secrets)
