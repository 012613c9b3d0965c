"""The notifiers as the tests see them: how each is built, what its service answers, how its requests are checked."""

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.connectors.contracts import Contract
from tests.connectors.stories import CANARY, SECRET, FixedClock, answer

from aegis.connectors import datadog, discord, jira, pagerduty, sentry, slack, splunk, teams
from aegis.core.notifications import Change
from aegis.core.ports import Http, HttpAnswer, HttpRequest, Notifier
from aegis.core.secret import Secret

Check = Callable[[Path, HttpRequest], list[str]]


@dataclass(frozen=True)
class NotifierCase:
    """One way to notify: `taken` is what the service answers when all goes well, to the first word about an incident;
    `taken_later` and `taken_noted` to others, where that differs.
    """

    name: str
    make: Callable[[Http], Notifier]
    taken: Sequence[HttpAnswer]
    breaches: Check
    remote_id: str
    taken_noted: Sequence[HttpAnswer] = ()
    taken_later: Sequence[HttpAnswer] = ()

    def answers(self, change: Change) -> Sequence[HttpAnswer]:
        if change == "noted" and self.taken_noted:
            return self.taken_noted
        return self.taken_later if change != "opened" and self.taken_later else self.taken


def body_of(request: HttpRequest) -> Any:
    """The JSON of a request; of an envelope, its event."""
    packed = request.headers.get("Content-Encoding") == "gzip"
    body = gzip.decompress(request.body) if packed else request.body
    if request.headers.get("Content-Type") == "application/x-sentry-envelope":
        return json.loads(body.split(b"\n")[2])
    return json.loads(body)


def _by_contract(service: str, *names: str) -> Check:
    def check(shared: Path, request: HttpRequest) -> list[str]:
        return [fault for name in names for fault in Contract.of(shared, service, name).breaches(body_of(request))]

    return check


def _teams(shared: Path, request: HttpRequest) -> list[str]:
    message = body_of(request)
    faults = Contract.of(shared, "teams", "workflow_webhook").breaches(message)
    card = message["attachments"][0]["content"]
    too_long = ["more than 28 KB"] if len(request.body) > 28_672 else []
    return faults + Contract.whole(shared, "adaptive_card_1_5").breaches(card) + too_long


def _discord(shared: Path, request: HttpRequest) -> list[str]:
    name = "execute_webhook" if request.method == "POST" else "update_webhook_message"
    embed = body_of(request)["embeds"][0]
    shown = [embed["title"], embed["description"], embed["footer"]["text"]]
    shown += [text for item in embed["fields"] for text in (item["name"], item["value"])]
    too_long = ["more than 6000 characters in all"] if sum(map(len, shown)) > 6_000 else []
    return Contract.of(shared, "discord", name).breaches(body_of(request)) + too_long


def _jira(shared: Path, request: HttpRequest) -> list[str]:
    if request.method == "GET":
        return []
    last = request.url.rpartition("/")[2]
    known = {"jql": "search_jql", "issue": "issue_create", "comment": "comment_add", "transitions": "transition_do"}
    body = body_of(request)
    faults = Contract.of(shared, "jira", known.get(last, "issue_edit")).breaches(body)
    adf = Contract.whole(shared, "jira_adf")
    fields = body.get("fields")
    for document in (body.get("body"), fields.get("description") if isinstance(fields, dict) else None):
        if isinstance(document, dict):
            faults += adf.breaches(document)
            if len(json.dumps(document)) > 32_767:
                faults.append("a document longer than 32,767 characters")
    if last == "issue" and (len(body["fields"]["summary"]) > 255 or "\n" in body["fields"]["summary"]):
        faults.append("a summary that is too long or has lines")
    return faults


def _sentry(shared: Path, request: HttpRequest) -> list[str]:
    header, item, body, rest = request.body.split(b"\n")
    faults = Contract.whole(shared, "sentry_event").breaches(json.loads(body))
    if json.loads(item) != {"type": "event", "length": len(body)} or rest:
        faults.append("an item of another length")
    if json.loads(header)["event_id"] != json.loads(body)["event_id"]:
        faults.append("an envelope of another event")
    return faults


def _pagerduty(shared: Path, request: HttpRequest) -> list[str]:
    if request.method == "GET":
        return []
    name = "incident_note" if request.url.endswith("/notes") else "enqueue"
    return Contract.of(shared, "pagerduty", name).breaches(body_of(request))


PAGERDUTY_CONFIG = pagerduty.Config(routing_key=SECRET, rest_token=SECRET, rest_from="aegis@example.com")
JIRA_CONFIG = jira.Config(base_url="https://x.atlassian.net", email="bot@example.com", token=SECRET, project="SEC")
TRANSITIONS = {
    "transitions": [
        {"id": "11", "name": "Reopen", "to": {"statusCategory": {"key": "new"}}},
        {"id": "31", "name": "Done", "to": {"statusCategory": {"key": "done"}}},
    ]
}
JIRA_CREATED = answer(201, {"id": "1", "key": "SEC-7"})
JIRA_TAKEN_LATER = (answer(200, {"issues": []}), JIRA_CREATED, answer(200, TRANSITIONS), answer(204))
POSTED = answer(200, {"ok": True, "channel": "C024BE91L", "ts": "1767323045.000100"})

CASES = (
    NotifierCase(
        "slack",
        lambda http: slack.Slack(slack.Config(token=SECRET, channel="#x"), http, clock=FixedClock()),
        [POSTED],
        _by_contract("slack", "chat_post_message", "limits"),
        "C1:2.3",
    ),
    NotifierCase(
        "slack webhook",
        lambda http: slack.Slack(
            slack.Config(webhook=Secret(f"https://hooks.slack.com/services/{CANARY}")), http, clock=FixedClock()
        ),
        [answer(200, b"ok")],
        _by_contract("slack", "incoming_webhook", "limits"),
        "",
    ),
    NotifierCase(
        "teams",
        lambda http: teams.Teams(
            teams.Config(webhook=Secret(f"https://x.example/workflows/1?sig={CANARY}")), http, clock=FixedClock()
        ),
        [answer(202)],
        _teams,
        "",
    ),
    NotifierCase(
        "discord",
        lambda http: discord.Discord(
            discord.Config(webhook=Secret(f"https://discord.com/api/webhooks/1/{CANARY}")), http, clock=FixedClock()
        ),
        [answer(200, {"id": "1183"})],
        _discord,
        "1183",
    ),
    NotifierCase(
        "pagerduty",
        lambda http: pagerduty.PagerDuty(PAGERDUTY_CONFIG, http, clock=FixedClock()),
        [answer(202, {"status": "success"})],
        _pagerduty,
        "",
        [answer(200, {"incidents": [{"id": "Q1ABC"}]}), answer(200, {"note": {"id": "N1"}})],
    ),
    NotifierCase(
        "jira",
        lambda http: jira.Jira(JIRA_CONFIG, http, clock=FixedClock()),
        [JIRA_CREATED],
        _jira,
        "",
        taken_later=JIRA_TAKEN_LATER,
    ),
    NotifierCase(
        "datadog",
        lambda http: datadog.Datadog(datadog.Config(api_key=SECRET), http, clock=FixedClock()),
        [answer(202, {"status": "ok"})],
        _by_contract("datadog", "events_v1"),
        "",
    ),
    NotifierCase(
        "datadog v2",
        lambda http: datadog.Datadog(datadog.Config(api_key=SECRET, events="v2"), http, clock=FixedClock()),
        [answer(202, {"data": {"type": "event"}})],
        _by_contract("datadog", "events_v2"),
        "",
    ),
    NotifierCase(
        "splunk",
        lambda http: splunk.Splunk(
            splunk.Config(token=SECRET, base_url="https://splunk.example:8088", index="sec"), http, clock=FixedClock()
        ),
        [answer(200, {"text": "Success", "code": 0})],
        _by_contract("splunk_hec", "event"),
        "",
    ),
    NotifierCase(
        "sentry",
        lambda http: sentry.Sentry(
            sentry.Config(dsn=Secret(f"https://{CANARY}@o1.ingest.sentry.io/42")), http, clock=FixedClock()
        ),
        [answer(200, {"id": "x"})],
        _sentry,
        "",
    ),
)
