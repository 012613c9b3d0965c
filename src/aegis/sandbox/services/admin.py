"""What the vendors' administrators may do in the sandbox: Claude's API keys and OpenAI's spend limits.

platform.claude.com (Admin API, API keys); developers.openai.com (spend limits). Nobody creates a key there: a key or
project that is asked for is there from the first question on, unless its name begins with `missing`.
"""

from __future__ import annotations

import re
from typing import Any

from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.room import Document, Room

SETTABLE = ("active", "inactive", "archived")


def _body(asked: Asked) -> Document:
    try:
        value = asked.json()
    except Unreadable:
        return {}
    return value if isinstance(value, dict) else {}


# --- Claude ----------------------------------------------------------------------------------------------------


def claude_key(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    """Get or update an API key."""
    if not asked.header("x-api-key").startswith("sk-ant-admin"):
        return _claude_no(403, "permission_error", "an admin key is required")
    number = found["id"]
    if number.startswith("missing"):
        return _claude_no(404, "not_found_error", "no such key")
    held = room.get("api_key", number) or {"status": "active", "name": f"key {number}"}
    if asked.method == "POST":
        status = _body(asked).get("status", held["status"])
        if status not in SETTABLE or held["status"] == "archived":
            return _claude_no(400, "invalid_request_error", "status: not possible")
        held = {**held, "status": status}
        room.put("api_key", number, held)
    return reply_json(200, _claude_shown(number, held), line=f"{clip(number, 80)} is {held['status']}")


def _claude_no(status: int, kind: str, why: str) -> Reply:
    body = {"type": "error", "error": {"type": kind, "message": why}, "request_id": "req_sandbox"}
    return reply_json(status, body, refused=why)


def _claude_shown(number: str, held: Document) -> Document:
    return {
        "type": "api_key",
        "id": number,
        "name": held["name"],
        "status": held["status"],
        "created_at": "2026-01-01T00:00:00Z",
        "created_by": {"type": "user", "id": "user_sandbox"},
        "expires_at": None,
        "partial_key_hint": "sk-ant-api03-abc...xyz",
        "principal": None,
        "scope": {"type": "workspace", "workspace_id": "wrkspc_sandbox"},
        "workspace_id": None,
    }


# --- OpenAI ----------------------------------------------------------------------------------------------------


def spend_limit(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    """Get, set or delete the hard spend limit of the organization or a project."""
    project = found["project"] or "organization"
    what = "project" if found["project"] else "organization"
    held = room.get("spend_limit", project)
    if asked.method == "DELETE":
        room.drop("spend_limit", project)
        return reply_json(200, {"object": f"{what}.spend_limit.deleted", "deleted": True}, line=f"{project}: no limit")
    if asked.method == "POST":
        body = _body(asked)
        cents: Any = body.get("threshold_amount")
        if not isinstance(cents, int) or cents < 1 or (body.get("currency"), body.get("interval")) != ("USD", "month"):
            return _openai_no(400, "threshold_amount, currency or interval is wrong", "invalid_value")
        held = {"cents": cents}
        room.put("spend_limit", project, held)
    if held is None:
        return _openai_no(404, "No spend limit is configured", "not_found")
    shown = {
        "object": f"{what}.spend_limit",
        "threshold_amount": held["cents"],
        "currency": "USD",
        "interval": "month",
        "enforcement": {"status": "enforcing" if held["cents"] == 1 else "inactive"},
    }
    return reply_json(200, shown, line=f"{clip(project, 80)}: {held['cents']} cents a month")


def _openai_no(status: int, why: str, code: str) -> Reply:
    body = {"error": {"message": why, "type": "invalid_request_error", "param": None, "code": code}}
    return reply_json(status, body, refused=why)
