"""Sentry's integration platform: issue alerts, metric alerts and issues that are resolved or come back.

Sources: docs.sentry.io/integrations/integration-platform/webhooks (`Sentry-Hook-Signature`, hex HMAC-SHA256 of the body
under the client secret; `Sentry-Hook-Resource`; a `Sentry-Hook-Timestamp` in seconds that is not signed) and its pages
issue-alerts, metric-alerts and issues. The time is not signed: what was seen once is known by its body.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aegis.core.inbound import Alert, Received
from aegis.core.incidents import Severity
from aegis.web.inbound.signed import (
    ID_CHARS,
    Door,
    Headers,
    digest,
    from_epoch,
    hmac_matches,
    parsed_object,
    part,
    require,
    require_fresh,
    text,
    unsigned,
)

NAME = "sentry"
SIGNATURE, RESOURCE, TIMESTAMP = "sentry-hook-signature", "sentry-hook-resource", "sentry-hook-timestamp"
LEVELS = {
    "fatal": Severity.CRITICAL,
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "info": Severity.LOW,
    "debug": Severity.LOW,
}
METRIC = {"critical": Severity.CRITICAL, "warning": Severity.MEDIUM, "resolved": Severity.LOW}
OURSELVES = "aegis"
"""The `logger` of what our own connector sends: an alert about it would go round for ever."""
ISSUE_FIRES = frozenset({"created", "unresolved"})
ISSUE_ENDS = frozenset({"resolved", "archived", "ignored"})


def receive(headers: Headers, body: bytes, door: Door, now: datetime) -> Received:
    """What the webhook says. Raises `Untrusted` and `BadInput`."""
    signature = headers.get(SIGNATURE, "")
    if not signature:
        raise unsigned("Sentry-Hook-Signature")
    sent = from_epoch(headers.get(TIMESTAMP, ""))
    require(matched=hmac_matches(door.secrets, body, [signature]))
    require_fresh(sent, now)
    document = parsed_object(body)
    action, data = text(document, "action"), part(document, "data")
    alert: Alert | None = None
    match headers.get(RESOURCE, ""):
        case "event_alert" if action == "triggered":
            alert = _event(part(data, "event"), text(data, "triggered_rule"), now)
        case "metric_alert" if action in METRIC:
            alert = _metric(data, action, now)
        case "issue" if action in ISSUE_FIRES | ISSUE_ENDS:
            alert = _issue(part(data, "issue"), action, now)
    ours = OURSELVES in (text(data, "event", "logger"), text(data, "issue", "logger"))
    return Received(service=NAME, ids=(digest(body),), alerts=(alert,) if alert and not ours else ())


def _event(event: dict[str, Any], rule: str, now: datetime) -> Alert:
    return Alert(
        product=NAME,
        key=f"issue:{text(event, 'issue_id')[:ID_CHARS]}",
        name=text(event, "title"),
        firing=True,
        severity=LEVELS.get(text(event, "level"), Severity.MEDIUM),
        at=now,
        round=text(event, "event_id"),
        summary=text(event, "culprit"),
        link=text(event, "web_url"),
        labels={"rule": rule, "environment": text(event, "environment")},
    )


def _metric(data: dict[str, Any], action: str, now: datetime) -> Alert:
    alert = part(data, "metric_alert")
    return Alert(
        product=NAME,
        key=f"metric:{text(alert, 'id')[:ID_CHARS]}",
        name=text(alert, "alert_rule", "name") or text(alert, "title"),
        firing=action != "resolved",
        severity=METRIC[action],
        at=now,
        round=f"{text(alert, 'date_started')}:{action}",
        summary=text(data, "description_title"),
        description=text(data, "description_text"),
        link=text(data, "web_url"),
    )


def _issue(issue: dict[str, Any], action: str, now: datetime) -> Alert:
    return Alert(
        product=NAME,
        key=f"issue:{text(issue, 'id')[:ID_CHARS]}",
        name=text(issue, "title"),
        firing=action in ISSUE_FIRES,
        severity=LEVELS.get(text(issue, "level"), Severity.MEDIUM),
        at=now,
        round=f"{text(issue, 'lastSeen')}:{action}",
        summary=text(issue, "culprit"),
        link=text(issue, "web_url") or text(issue, "permalink"),
        labels={"project": text(issue, "project", "slug"), "issue": text(issue, "shortId")},
    )
