"""Jira Cloud REST v3: issues with a small workflow, search by JQL, comments, transitions, properties, remote links.

Creating is not idempotent, as in the real one: who repeats it gets a second issue. A search may lag behind
(`Terms.search_lag_ms`). Errors are `errorMessages` and `errors` by field (developer.atlassian.com, REST API v3).
"""

from __future__ import annotations

import re
from typing import Any

from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, credential, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service, find, route
from aegis.sandbox.services.jira_issues import (
    STATUSES,
    issue_problems,
    new_issue,
    set_fields,
    shown,
    status_document,
)
from aegis.sandbox.services.jira_text import BadQuery, document_problem, document_text, labels, parse_jql

BULK_MAX, PAGE_MAX, PROPERTY_MAX, COMMENT_MAX, COMMENT_KEPT = 50, 5_000, 32_768, 32_767, 2_000
MISSING = "There is no such issue"


def answer(asked: Asked, room: Room) -> Reply:
    if not credential(asked, "basic", "bearer"):
        body = {"errorMessages": ["Not signed in"], "errors": {}}
        return reply_json(401, body, refused="no basic or bearer credential")
    if asked.path == "/rest/api/3/search":
        return _no(410, "This address is gone: use /rest/api/3/search/jql")
    return find(ROUTES, asked, room) or _no(404, f"no such path for {asked.method}")


def _no(status: int, message: str = "", errors: dict[str, str] | None = None) -> Reply:
    messages = [message] if message else []
    why = "; ".join([*messages, *(f"{field}: {text}" for field, text in (errors or {}).items())])
    return reply_json(status, {"errorMessages": messages, "errors": errors or {}}, refused=why)


def _body(asked: Asked) -> Document | None:
    """The body as an object, or None."""
    try:
        value = asked.json()
    except Unreadable:
        return None
    return value if isinstance(value, dict) else None


def _create(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    body = _body(asked)
    if body is None:
        return _no(400, "The body is no JSON object")
    errors = issue_problems(body)
    if errors:
        return _no(400, errors=errors)
    return reply_json(201, _made(body, asked, room), line=clip(str(body["fields"]["summary"])))


def _made(body: Document, asked: Asked, room: Room) -> Document:
    project = str(body["fields"]["project"]["key"])
    issue = new_issue(body, key=f"{project}-{room.next(project)}", number=room.next("id", 10_001), at=asked.at)
    room.put("issue", issue["key"], issue)
    return {"id": issue["id"], "key": issue["key"], "self": _self(issue["id"])}


def _self(number: str) -> str:
    return f"https://sandbox.atlassian.net/rest/api/3/issue/{number}"


def _bulk(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    body = _body(asked) or {}
    updates = body.get("issueUpdates")
    if not isinstance(updates, list) or not 1 <= len(updates) <= BULK_MAX:
        return _no(400, f"issueUpdates must hold 1 to {BULK_MAX} issues")
    made, failed = [], []
    for number, update in enumerate(updates):
        errors = issue_problems(update if isinstance(update, dict) else {})
        if errors:
            element = {"errorMessages": [], "errors": errors}
            failed.append({"status": 400, "elementErrors": element, "failedElementNumber": number})
        else:
            made.append(_made(update, asked, room))
    answer_body = {"issues": made, "errors": failed}
    if not made:
        return reply_json(400, answer_body, refused="none of the issues was right")
    return reply_json(201, answer_body, line=clip(f"{len(made)} issues created"))


def _issue(room: Room, found: re.Match[str]) -> Document | None:
    """The issue that a path names by key or id."""
    name = found["issue"]
    held = room.get("issue", name.upper())
    if held is not None or not name.isdecimal():
        return held
    return next((issue for issue in room.every("issue").values() if issue["id"] == name), None)


def _get(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    issue = _issue(room, found)
    if issue is None:
        return _no(404, MISSING)
    fields = asked.param("fields")
    return reply_json(200, shown(issue, fields.split(",") if fields else ["*all"], _self(issue["id"])))


def _edit(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    issue, body = _issue(room, found), _body(asked)
    if issue is None:
        return _no(404, MISSING)
    errors = issue_problems(body or {}, new=False)
    if body is None or errors:
        return _no(400, errors=errors or {"fields": "is required"})
    changed = set_fields(issue, body.get("fields") or {}, asked.at)
    room.put("issue", issue["key"], changed)
    return Reply(status=204, line=clip(f"{issue['key']} edited: {changed['fields']['summary']}"))


def _comment(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    issue, body = _issue(room, found), _body(asked)
    if issue is None:
        return _no(404, MISSING)
    problem = document_problem((body or {}).get("body"))
    text = "" if problem else document_text((body or {})["body"])
    if problem or not text.strip() or len(text) > COMMENT_MAX:
        return _no(400, errors={"comment": problem or "is empty or too long"})
    number = str(room.next("comment", 10_001))
    made = {
        "id": number,
        "self": f"{_self(issue['id'])}/comment/{number}",
        "author": {"accountId": "sandbox", "displayName": "Aegis", "active": True},
        "body": (body or {})["body"],
        "created": _time(asked),
        "updated": _time(asked),
    }
    room.put(
        "issue", issue["key"], {**issue, "comments": issue["comments"] + 1, "last_comment": clip(text, COMMENT_KEPT)}
    )
    return reply_json(201, made, line=clip(f"{issue['key']}: {text}"))


def _time(asked: Asked) -> str:
    return asked.at.isoformat(timespec="milliseconds")


def _ms(asked: Asked) -> int:
    return int(asked.at.timestamp() * 1_000)


def _transitions(_asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    issue = _issue(room, found)
    if issue is None:
        return _no(404, MISSING)
    now = issue["fields"]["status"]["id"]
    ways = [
        {"id": status.transition, "name": status.name, "to": status_document(status), "hasScreen": False}
        for status in STATUSES
        if status.id != now
    ]
    return reply_json(200, {"expand": "transitions", "transitions": ways})


def _transition(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    issue, body = _issue(room, found), _body(asked)
    if issue is None:
        return _no(404, MISSING)
    wanted = (body or {}).get("transition")
    number = str(wanted.get("id")) if isinstance(wanted, dict) else ""
    status = next((status for status in STATUSES if status.transition == number), None)
    if status is None or status.id == issue["fields"]["status"]["id"]:
        return _no(400, f"Transition {clip(number, 20)!r} does not lead on from here")
    changed = set_fields(issue, {"status": status_document(status)}, asked.at)
    room.put("issue", issue["key"], changed)
    return Reply(status=204, line=clip(f"{issue['key']} is {status.name}: {changed['fields']['summary']}"))


def _search(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    body = _body(asked) if asked.method == "POST" else {name: values[-1] for name, values in asked.query.items()}
    if body is None:
        return _no(400, "The body is no JSON object")
    fields = body.get("fields") or ["id"]
    names = fields.split(",") if isinstance(fields, str) else fields
    try:
        most, start = int(body.get("maxResults", 50)), int(body.get("nextPageToken") or 0)
        query = parse_jql(str(body.get("jql", "")))
    except BadQuery as error:
        return _no(400, str(error))
    except (TypeError, ValueError):
        return _no(400, "maxResults or nextPageToken is not valid")
    if not 1 <= most <= PAGE_MAX or not isinstance(names, list) or start < 0:
        return _no(400, "maxResults or fields is not valid")
    seen = _ms(asked) - room.terms.search_lag_ms
    candidates = room.having("issue", query.label, labels) if query.label else room.every("issue").values()
    found = [issue for issue in candidates if issue["created_ms"] <= seen and query.matches(issue)]
    page = [shown(issue, names, _self(issue["id"])) for issue in found[start : start + most]]
    result: dict[str, Any] = {"issues": page, "isLast": start + most >= len(found)}
    if not result["isLast"]:
        result["nextPageToken"] = str(start + most)
    return reply_json(200, result)


def _property(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    issue = _issue(room, found)
    if issue is None:
        return _no(404, MISSING)
    key = f"{issue['key']}|{found['name']}"
    held = room.get("property", key)
    if asked.method == "GET":
        if held is None:
            return _no(404, f"The property {clip(found['name'], 80)} does not exist")
        return reply_json(200, {"key": found["name"], "value": held["value"]})
    try:
        value = asked.json()
    except Unreadable:
        return _no(400, "The value is no JSON")
    if len(asked.body) > PROPERTY_MAX:
        return _no(400, f"The property value is larger than {PROPERTY_MAX} bytes")
    room.put("property", key, {"value": value})
    return Reply(status=201 if held is None else 200)


def _link(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    issue, body = _issue(room, found), _body(asked)
    if issue is None:
        return _no(404, MISSING)
    target = (body or {}).get("object")
    if not (isinstance(target, dict) and target.get("url") and target.get("title")):
        return _no(400, errors={"object": "url and title are required"})
    number = room.next("link", 10_001)
    return reply_json(201, {"id": number, "self": f"{_self(issue['id'])}/remotelink/{number}"})


def _myself(_asked: Asked, _room: Room, _found: re.Match[str]) -> Reply:
    return reply_json(200, {"accountId": "sandbox", "displayName": "Aegis", "active": True, "timeZone": "Etc/UTC"})


def failure(status: int, retry_after_s: int | None) -> Reply:
    """429 names its reason in `RateLimit-Reason` (developer.atlassian.com, rate limiting, 2026)."""
    headers = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    if status == 429:
        headers["ratelimit-reason"] = "jira-burst-based"
    words = {401: "Not signed in", 429: "Too many requests", 503: "Jira is away"}
    body = {"errorMessages": [words.get(status, "Internal server error")], "errors": {}}
    return reply_json(status, body, headers=headers)


_ONE = r"/rest/api/3/issue/(?P<issue>[A-Za-z0-9_]+-\d+|\d+)"
ROUTES = (
    route("POST", "/rest/api/3/issue", _create),
    route("POST", "/rest/api/3/issue/bulk", _bulk),
    route("POST", "/rest/api/3/search/jql", _search),
    route("GET", "/rest/api/3/search/jql", _search),
    route("GET", "/rest/api/3/myself", _myself),
    route("GET", _ONE, _get),
    route("PUT", _ONE, _edit),
    route("POST", f"{_ONE}/comment", _comment),
    route("GET", f"{_ONE}/transitions", _transitions),
    route("POST", f"{_ONE}/transitions", _transition),
    route("GET", rf"{_ONE}/properties/(?P<name>[^/]{{1,255}})", _property),
    route("PUT", rf"{_ONE}/properties/(?P<name>[^/]{{1,255}})", _property),
    route("POST", f"{_ONE}/remotelink", _link),
)
SERVICE = Service(name="jira", answer=answer, failure=failure)
