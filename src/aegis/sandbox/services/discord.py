"""Discord: webhook messages that can be posted, edited and read back (docs.discord.com, webhook resource).

Without `wait` a post answers 204 and no id. Limits are told in headers, as by the real one, but not enforced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from aegis.sandbox.checks import Inspector
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service, find, route
from aegis.sandbox.services.discord_checks import check_message, error_tree

FIRST_ID = 1_400_000_000_000_000_000
"""Snowflakes of 2026 begin about here."""

RATE = {
    "x-ratelimit-limit": "5",
    "x-ratelimit-remaining": "4",
    "x-ratelimit-reset-after": "2.000",
    "x-ratelimit-bucket": "sandbox",
}
ACCEPTED = ("content", "embeds", "components", "attachments", "poll")


def answer(asked: Asked, room: Room) -> Reply:
    reply = find(ROUTES, asked, room)
    return reply or _no(404, 0, "404: Not Found", f"no such path for {asked.method}")


def _no(status: int, code: int, message: str, why: str, errors: Document | None = None) -> Reply:
    body: Document = {"message": message, "code": code}
    if errors:
        body["errors"] = errors
    return reply_json(status, body, refused=why, headers=RATE)


def _read(asked: Asked) -> Inspector | Reply:
    """The message of the body, checked, or the refusal."""
    try:
        message = Inspector(asked.json())
    except Unreadable as error:
        return _no(400, 50109, "The body is no JSON", str(error))
    check_message(message)
    if message.problems:
        tree = error_tree(message.problems)
        return _no(400, 50035, "Invalid Form Body", str(message.problems[0]), tree)
    return message


def _post(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    message = _read(asked)
    if isinstance(message, Reply):
        return message
    if not any(message.held.get(name) for name in ACCEPTED):
        return _no(400, 50006, "Cannot send an empty message", "neither content nor embeds")
    number = str(FIRST_ID + room.next("message"))
    kept = {"webhook": found["id"], "at": _time(asked.at), "edited": None, **_kept(message.held)}
    room.put("message", number, kept)
    if asked.param("wait").lower() not in ("true", "1"):
        return Reply(status=204, headers=RATE, line=_line(kept))
    return reply_json(200, _shown(number, kept), headers=RATE, line=_line(kept))


def _edit(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    held = room.get("message", found["message"])
    if held is None or held["webhook"] != found["id"]:
        return _no(404, 10008, "Unknown Message", f"no message {clip(found['message'], 30)}")
    message = _read(asked)
    if isinstance(message, Reply):
        return message
    kept = {**held, **_kept({**held, **message.held}), "edited": _time(asked.at)}
    room.put("message", found["message"], kept)
    return reply_json(200, _shown(found["message"], kept), headers=RATE, line=_line(kept))


def _get(_asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    held = room.get("message", found["message"])
    if held is None or held["webhook"] != found["id"]:
        return _no(404, 10008, "Unknown Message", f"no message {clip(found['message'], 30)}")
    return reply_json(200, _shown(found["message"], held), headers=RATE)


def _delete(_asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    if room.get("message", found["message"]) is None:
        return _no(404, 10008, "Unknown Message", f"no message {clip(found['message'], 30)}")
    room.drop("message", found["message"])
    return Reply(status=204, headers=RATE)


def _kept(held: dict[str, Any]) -> Document:
    return {"content": held.get("content") or "", "embeds": held.get("embeds") or []}


def _line(kept: Document) -> str:
    """What a person sees first."""
    first = kept["embeds"][0] if kept["embeds"] else {}
    return clip(kept["content"] or first.get("title") or first.get("description") or "(a message without text)")


def _time(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _shown(number: str, kept: Document) -> Document:
    """The message as Discord answers it."""
    embeds = [_shown_embed(embed) for embed in kept["embeds"]]
    author = {
        "id": kept["webhook"],
        "username": "Aegis",
        "avatar": None,
        "discriminator": "0000",
        "public_flags": 0,
        "flags": 0,
        "bot": True,
        "global_name": None,
        "primary_guild": None,
    }
    return {
        "id": number,
        "type": 0,
        "channel_id": str(FIRST_ID),
        "webhook_id": kept["webhook"],
        "content": kept["content"],
        "embeds": embeds,
        "attachments": [],
        "components": [],
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": False,
        "pinned": False,
        "tts": False,
        "flags": 0,
        "timestamp": kept["at"],
        "edited_timestamp": kept["edited"],
        "author": author,
    }


def _shown_embed(embed: Document) -> Document:
    shown: Document = {"type": "rich", **{name: value for name, value in embed.items() if value is not None}}
    if "fields" in shown:
        shown["fields"] = [{"inline": False, **field} for field in shown["fields"]]
    return shown


def failure(status: int, retry_after_s: int | None) -> Reply:
    """429 tells the wait in the body too, with decimals (docs.discord.com, rate limits)."""
    if status == 429:
        wait = 1 if retry_after_s is None else retry_after_s
        headers = {"x-ratelimit-scope": "shared"} if retry_after_s is None else {"retry-after": str(wait)}
        body = {"message": "Rate limited", "retry_after": float(wait), "global": False, "code": 0}
        return reply_json(429, body, headers={**RATE, "x-ratelimit-remaining": "0", **headers})
    words = {401: ("401: Unauthorized", 0), 503: ("upstream connect error", 0)}
    message, code = words.get(status, ("500: Internal Server Error", 0))
    return reply_json(status, {"message": message, "code": code})


def secrets(asked: Asked) -> Iterable[str]:
    found = re.match(r"/api(?:/v\d+)?/webhooks/\d+/([^/]+)", asked.path)
    if found:
        yield found[1]


_HOOK = r"/api(?:/v\d+)?/webhooks/(?P<id>\d{1,20})/[A-Za-z0-9_.-]+"
_MESSAGE = rf"{_HOOK}/messages/(?P<message>\d{{1,20}})"


def _hook(_asked: Asked, _room: Room, found: re.Match[str]) -> Reply:
    """The webhook itself, which its own token may read."""
    body = {"id": found["id"], "type": 1, "name": "Aegis", "channel_id": "1", "guild_id": "1", "application_id": None}
    return reply_json(200, body, headers=RATE)


ROUTES = (
    route("GET", _HOOK, _hook),
    route("POST", _HOOK, _post),
    route("PATCH", _MESSAGE, _edit),
    route("GET", _MESSAGE, _get),
    route("DELETE", _MESSAGE, _delete),
)
SERVICE = Service(name="discord", answer=answer, failure=failure, secrets=secrets)
