"""Slack: the Web API methods that Aegis uses, and incoming webhooks.

The Web API answers 200 also when it refuses (`ok: false`); a webhook answers plain words. A message's `ts` is its
handle, unique in its channel (docs.slack.dev, methods chat.postMessage, chat.update, conversations.history).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import orjson

from aegis.sandbox.checks import Inspector, names
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, credential, reply_json, reply_text
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service, find, route
from aegis.sandbox.services.slack_blocks import check_message

TEXT_MAX = 40_000
HISTORY_MAX = 999
KEPT_TEXT = 1_000
"""Characters of a message's text that are remembered."""

POST = names(
    "channel text blocks attachments thread_ts metadata mrkdwn parse reply_broadcast unfurl_links unfurl_media username "
    "icon_emoji icon_url link_names client_msg_id markdown_text as_user token"
)
UPDATE = names(
    "channel ts text blocks attachments metadata parse link_names reply_broadcast markdown_text as_user token"
)
HOOK = names("text blocks attachments username icon_emoji icon_url channel link_names unfurl_links unfurl_media")
ID = r"[CDG][A-Z0-9]{8,}"
MEMBER = r"[UW][A-Z0-9]{2,}"


def answer(asked: Asked, room: Room) -> Reply:
    hook = re.fullmatch(r"/services/([^/]+)/([^/]+)/([^/]+)", asked.path)
    if hook:
        return _webhook(asked, room)
    if not asked.path.startswith("/api/"):
        return reply_text(404, "not found", refused="no such path")
    if not (credential(asked, "bearer") or _arguments(asked).get("token")):
        return _no("not_authed", "no bearer token")
    return find(ROUTES, asked, room) or _no("unknown_method", f"no such method for {asked.method}")


def _no(error: str, why: str, *messages: str) -> Reply:
    body: Document = {"ok": False, "error": error}
    if messages:
        body["response_metadata"] = {"messages": list(messages)}
    return reply_json(200, body, refused=why)


def _arguments(asked: Asked) -> dict[str, Any]:
    """The arguments, from JSON, a form (lists as JSON in it) or the query."""
    kind = asked.header("content-type")
    try:
        if kind.startswith("application/json"):
            value = asked.json()
            return value if isinstance(value, dict) else {}
        found: dict[str, Any] = {name: values[-1] for name, values in asked.query.items()}
        found.update(asked.form())
        for name in ("blocks", "attachments", "metadata"):
            if isinstance(found.get(name), str):
                found[name] = orjson.loads(found[name])
    except (Unreadable, orjson.JSONDecodeError):
        return {}
    return found


def _refusal(message: Inspector, known: frozenset[str]) -> Reply | None:
    """What is wrong with a message, in Slack's words."""
    message.only(known)
    text = message.text("text")
    if len(text) > TEXT_MAX:
        return _no("msg_too_long", f"text of {len(text)} characters")
    check_message(message)
    for problem in message.problems:
        top = problem.path.partition(".")[0]
        pointer = f"[ERROR] {problem.message} [json-pointer:/{problem.path.replace('.', '/')}]"
        error = {"blocks": "invalid_blocks", "attachments": "invalid_attachments"}.get(top, "invalid_arguments")
        return _no(error, str(problem), pointer)
    if not (text or message.held.get("blocks") or message.held.get("attachments") or message.held.get("markdown_text")):
        return _no("no_text", "neither text nor blocks")
    return None


def channel_id(name: str) -> str:
    """The id of a channel: ids stay, a name always gives the same one; a member's id means the direct messages with them."""
    if re.fullmatch(ID, name):
        return name
    digest = hashlib.sha256(name.lstrip("#").encode()).hexdigest().upper()
    return f"{'D' if re.fullmatch(MEMBER, name) else 'C'}0{digest[:9]}"


def _shown(arguments: dict[str, Any]) -> str:
    """What a person sees first: the text, else the first text of a block."""
    text = arguments.get("text")
    if isinstance(text, str) and text:
        return text
    inside = [block for attachment in arguments.get("attachments") or () for block in attachment.get("blocks") or ()]
    for block in [*(arguments.get("blocks") or ()), *inside]:
        inner = block.get("text")
        if isinstance(inner, dict) and isinstance(inner.get("text"), str):
            return str(inner["text"])
    return "(a message without text)"


def _post(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    arguments = _arguments(asked)
    message = Inspector(arguments)
    channel = message.text("channel")
    if not channel:
        return _no("channel_not_found", "no channel")
    refusal = _refusal(message, POST)
    if refusal:
        return refusal
    where = channel_id(channel)
    thread = message.text("thread_ts")
    if thread and room.get("message", f"{where}|{thread}") is None:
        return _no("thread_not_found", f"no message {clip(thread, 40)} to answer to")
    ts = f"{int(asked.at.timestamp())}.{room.next('ts'):06d}"
    kept = {"channel": where, "ts": ts, "thread_ts": thread, "edits": 0, **_kept(arguments)}
    room.put("message", f"{where}|{ts}", kept)
    return reply_json(
        200, {"ok": True, "channel": where, "ts": ts, "message": _message(kept)}, line=clip(_shown(arguments))
    )


def _kept(arguments: dict[str, Any]) -> Document:
    return {
        "text": clip(_shown(arguments), KEPT_TEXT),
        "metadata": arguments.get("metadata"),
        "buttons": _buttons(arguments),
    }


def _buttons(arguments: dict[str, Any]) -> list[list[str]]:
    """The buttons that somebody could press: `action_id` and `value` of each."""
    inside = [block for attachment in arguments.get("attachments") or () for block in attachment.get("blocks") or ()]
    offered = [
        element
        for block in [*(arguments.get("blocks") or ()), *inside]
        if block.get("type") == "actions"
        for element in block.get("elements") or ()
    ]
    return [[str(one.get("action_id", "")), clip(str(one.get("value", "")), 200)] for one in offered]


def _message(kept: Document) -> Document:
    shown: Document = {
        "type": "message",
        "subtype": "bot_message",
        "text": kept["text"],
        "ts": kept["ts"],
        "username": "Aegis",
        "bot_id": "B0SANDBOX",
    }
    if kept["thread_ts"]:
        shown["thread_ts"] = kept["thread_ts"]
    if kept["metadata"]:
        shown["metadata"] = kept["metadata"]
    return shown


def _update(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    arguments = _arguments(asked)
    message = Inspector(arguments)
    channel, ts = message.text("channel"), message.text("ts")
    if not re.fullmatch(ID, channel):
        return _no("channel_not_found", "chat.update wants the channel's id, not its name")
    kept = room.get("message", f"{channel}|{ts}")
    if kept is None:
        return _no("message_not_found", f"no message {clip(ts, 40)} in {channel}")
    refusal = _refusal(message, UPDATE)
    if refusal:
        return refusal
    changed = {**kept, **_kept(arguments), "edits": kept["edits"] + 1}
    room.put("message", f"{channel}|{ts}", changed)
    body = {"ok": True, "channel": channel, "ts": ts, "text": changed["text"], "message": _message(changed)}
    return reply_json(200, body, line=clip(_shown(arguments)))


def _history(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    arguments = _arguments(asked)
    channel = str(arguments.get("channel", ""))
    if not re.fullmatch(ID, channel):
        return _no("channel_not_found", "conversations.history wants the channel's id")
    limit = str(arguments.get("limit", "100"))
    if not limit.isdecimal() or not 1 <= int(limit) <= HISTORY_MAX:
        return _no("invalid_limit", f"limit {clip(limit, 20)}")
    oldest, latest = str(arguments.get("oldest", "")), str(arguments.get("latest", "") or "9")
    found = [
        _message(kept)
        for kept in reversed(list(room.every("message").values()))
        if kept["channel"] == channel and not kept["thread_ts"] and oldest <= kept["ts"] <= latest
    ]
    shown = found[: int(limit)]
    return reply_json(200, {"ok": True, "messages": shown, "has_more": len(found) > len(shown)})


def _test(_asked: Asked, _room: Room, _found: re.Match[str]) -> Reply:
    return reply_json(
        200, {"ok": True, "team": "Sandbox", "team_id": "T0SANDBOX", "user": "aegis", "bot_id": "B0SANDBOX"}
    )


def _webhook(asked: Asked, room: Room) -> Reply:
    if asked.method != "POST":
        return reply_text(405, "method_not_allowed", refused=f"{asked.method} on a webhook")
    try:
        value = asked.json() if asked.header("content-type").startswith("application/json") else None
        value = orjson.loads(asked.form().get("payload", "")) if value is None else value
    except (Unreadable, orjson.JSONDecodeError):
        return reply_text(400, "invalid_payload", refused="the body is no JSON")
    message = Inspector(value)
    refusal = _refusal(message, HOOK)
    if refusal:
        words = "no_text" if b'"no_text"' in refusal.body else "invalid_payload"
        return reply_text(400, words, refused=refusal.refused)
    room.put("posted", str(room.next("posted")), _kept(message.held))
    return reply_text(200, "ok", line=clip(_shown(message.held)))


def failure(status: int, retry_after_s: int | None) -> Reply:
    """429 carries `Retry-After` (docs.slack.dev, rate limits); the rest is what Slack's front door answers."""
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    words = {401: "invalid_auth", 429: "ratelimited", 503: "service_unavailable"}.get(status, "internal_error")
    return reply_json(200 if status == 401 else status, {"ok": False, "error": words}, headers=wait)


def secrets(asked: Asked) -> Iterable[str]:
    if asked.path.startswith("/services/"):
        yield asked.path.rpartition("/")[2]
    elif not asked.header("authorization"):
        yield str(_arguments(asked).get("token", ""))


ROUTES = (
    route("POST", "/api/chat.postMessage", _post),
    route("POST", "/api/chat.update", _update),
    route("GET", "/api/conversations.history", _history),
    route("POST", "/api/conversations.history", _history),
    route("POST", "/api/auth.test", _test),
)
SERVICE = Service(name="slack", answer=answer, failure=failure, secrets=secrets)
