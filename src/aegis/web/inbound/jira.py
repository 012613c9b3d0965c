"""Jira Cloud's admin webhooks: our issues that people move, assign or comment on.

Sources: developer.atlassian.com/cloud/jira/platform/webhooks (`X-Hub-Signature: sha256=HEX`, HMAC-SHA256 of the raw body
for webhooks with a secret; `timestamp` in milliseconds; at most five more attempts within the hour; the same body each
time). Only status categories are looked at: names differ by workflow.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aegis.core.inbound import Act, Received, Verb
from aegis.web.inbound.signed import (
    ID_CHARS,
    Door,
    Headers,
    digest,
    hmac_matches,
    items,
    parsed_object,
    part,
    require,
    require_fresh,
    text,
    unsigned,
)

NAME = "jira"
SIGNATURE = "x-hub-signature"
RETRIED = timedelta(days=1)
"""Longer than Jira keeps trying."""
LABEL = "aegis-"
"""Our own label on each issue, followed by the incident's id: see the connector."""

CATEGORIES: dict[str, Verb] = {"done": "resolve", "indeterminate": "acknowledge", "new": "reopen"}
"""`statusCategory.key` of the status that an issue was moved to."""


def receive(headers: Headers, body: bytes, door: Door, now: datetime) -> Received:
    """What the webhook says. Raises `Untrusted` and `BadInput`."""
    signature = headers.get(SIGNATURE, "")
    if not signature.startswith("sha256="):
        raise unsigned("X-Hub-Signature")
    require(matched=hmac_matches(door.secrets, body, [signature.removeprefix("sha256=")]))
    document = parsed_object(body)
    at = _at(document.get("timestamp"), now)
    require_fresh(at, now, within=RETRIED)
    issue = part(document, "issue")
    key, incident_id = text(issue, "key")[:ID_CHARS], _incident_id(issue)
    acts = (
        ()
        if _is_ours(document, door.user)
        else tuple(
            Act(verb=verb, via=NAME, by=by, at=at, incident_id=incident_id, handle=key, text=said)
            for verb, by, said in _acts(document, issue)
        )
    )
    handles = {key: incident_id} if key and incident_id else {}
    return Received(service=NAME, ids=(digest(body),), acts=acts if key else (), handles=handles)


def _is_ours(document: dict[str, Any], account: str) -> bool:
    """Whether the connector's own account did it: what it does follows us, so it may come after what people did since."""
    who = part(document, "comment", "author") or part(document, "user")
    return bool(account) and account in (text(who, "accountId"), text(who, "emailAddress"))


def _acts(document: dict[str, Any], issue: dict[str, Any]) -> list[tuple[Verb, str, str]]:
    match text(document, "webhookEvent"):
        case "jira:issue_updated":
            by = text(document, "user", "displayName") or "Jira"
            return [one for change in items(part(document, "changelog"), "items") for one in _moved(change, issue, by)]
        case "comment_created":
            comment = part(document, "comment")
            by = text(comment, "author", "displayName") or "Jira"
            return [("note", by, text(comment, "body"))]
        case "jira:issue_deleted":
            return [("note", text(document, "user", "displayName") or "Jira", "The issue was deleted")]
    return []


def _moved(change: dict[str, Any], issue: dict[str, Any], by: str) -> list[tuple[Verb, str, str]]:
    if text(change, "field") == "status":
        category = text(issue, "fields", "status", "statusCategory", "key")
        return [(CATEGORIES[category], by, "")] if category in CATEGORIES else []
    if text(change, "field") == "assignee":
        return [("assign", by, text(change, "toString"))] if text(change, "toString") else []
    return []


def _incident_id(issue: dict[str, Any]) -> str:
    labels = part(issue, "fields").get("labels")
    found = [one for one in labels if isinstance(one, str)] if isinstance(labels, list) else []
    return next((one.removeprefix(LABEL)[:ID_CHARS] for one in found if one.startswith(LABEL)), "")


def _at(milliseconds: object, now: datetime) -> datetime:
    """The time of the event; a message without one counts as sent now, its digest alone keeps it from coming again."""
    if not isinstance(milliseconds, int) or not 0 < milliseconds < 1 << 43:
        return now
    return datetime.fromtimestamp(milliseconds // 1_000, UTC).replace(microsecond=milliseconds % 1_000 * 1_000)
