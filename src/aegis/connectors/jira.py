"""Jira Cloud: one issue per incident; later versions become comments, a resolution moves it to a done status.

Creating is not idempotent, so an issue is looked for by its label before it is created, unless this is the incident's first
word and nothing was sent before. Text is built as Atlassian Document Format text nodes: log text becomes no markup,
mention or link.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aegis.core.errors import ConfigError, ServiceError
from aegis.core.exchange import failure, from_json, json_object, to_json
from aegis.core.incidents import Severity
from aegis.core.notifications import Change, Notification, Receipt
from aegis.core.plaintext import defang, fit, lines, one_line, web_link
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest, NewId
from aegis.core.secret import Secret
from aegis.core.wording import first_facts, headline, state, told_note

NAME = "jira"

SUMMARY_MAX, LABEL_MAX = 255, 255
"""developer.atlassian.com/cloud/jira/platform/rest/v3: a summary is one line of at most 255, a label has no blanks."""

DOCUMENT_MAX = 30_000
"""Below Jira's 32,767 characters for a text field, counted on the JSON, which is the stricter count."""

LENGTHS = ((6_000, 30, 800), (2_000, 15, 200), (500, 8, 100))
"""Summary and each action, number of facts and actions, one fact: the richest that fits; the last always does."""

TARGETS: Mapping[Change, str] = {"acknowledged": "indeterminate", "resolved": "done", "reopened": "new"}
"""Change to status category: names of statuses and ids of transitions differ by workflow, categories do not."""

NOTE_MAX = 4_000

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,100}-[0-9]{1,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An account with an API token, and the project that issues go to."""

    base_url: str = field(metadata={"help": "https://YOUR-SITE.atlassian.net"})
    email: str = field(metadata={"help": "the account's e-mail address"})
    token: Secret = field(metadata={"help": "API token of that account"})
    project: str = field(metadata={"help": "key of the project, such as SEC"})
    issue_type: str = field(default="Task", metadata={"help": "type of the issues"})
    priorities: str = field(
        default="Low, Medium, High, Highest",
        metadata={"help": "priority names for LOW, MEDIUM, HIGH, CRITICAL; empty: send none"},
    )

    due_hours: str = field(
        default="",
        metadata={
            "help": "hours until an issue is due, for LOW, MEDIUM, HIGH, CRITICAL: 720, 168, 48, 24; empty: no date"
        },
    )
    due_field: str = field(
        default="duedate",
        metadata={"help": "field that says when it is due: duedate, or customfield_N (date and time)"},
    )

    allow_private: bool = field(default=False, metadata={"help": "it is reached at a private address"})
    ca_file: str = field(
        default="", metadata={"help": "file of authorities (PEM) that are trusted instead of the system's"}
    )

    def __post_init__(self) -> None:
        if self.due_hours and not re.fullmatch(r"\s*[0-9]{1,5}(\s*,\s*[0-9]{1,5}){3}\s*", self.due_hours):
            raise ConfigError("jira: due_hours must be four whole numbers, or empty")
        if not re.fullmatch(r"duedate|customfield_[0-9]{1,9}", self.due_field):
            raise ConfigError("jira: due_field must be duedate or customfield_N")
        if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,100}", self.project):
            raise ConfigError("jira: project must be a project's key, such as SEC")
        if self.priorities and len(self.priorities.split(",")) != len(Severity):
            raise ConfigError("jira: priorities must be four names, or empty")

    def priority(self, severity: Severity) -> str:
        """The priority's name for a severity, or ""."""
        return self.priorities.split(",")[severity - 1].strip() if self.priorities else ""

    def optional(self, severity: Severity, at: datetime) -> dict[str, Any]:
        """The fields that a project's screens may not have: priority, and when the issue is due, counted from `at`."""
        fields: dict[str, Any] = {}
        if priority := self.priority(severity):
            fields["priority"] = {"name": priority}
        if self.due_hours:
            due = at + timedelta(hours=int(self.due_hours.split(",")[severity - 1]))
            whole = due.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")
            fields[self.due_field] = whole[:10] if self.due_field == "duedate" else whole
        return fields


def label(dedup_key: str) -> str:
    """The label that finds an incident's issue: letters, digits, `_`, `.` and `-` only, so it needs no quoting in JQL."""
    if _PLAIN_KEY.fullmatch(dedup_key):
        return f"aegis-{dedup_key}"
    return f"aegis-{hashlib.sha256(dedup_key.encode('utf-8', 'replace')).hexdigest()}"


def payload(notification: Notification, config: Config) -> dict[str, Any]:
    """The body that creates the issue."""
    fields: dict[str, Any] = {
        "project": {"key": config.project},
        "issuetype": {"name": config.issue_type},
        "summary": fit(one_line(headline(notification)), SUMMARY_MAX, defang),
        "description": document(notification),
        "labels": ["aegis", label(notification.dedup_key)],
    }
    return {"fields": fields | config.optional(notification.severity, notification.at)}


def document(notification: Notification) -> dict[str, Any]:
    """The notification as an Atlassian document of at most `DOCUMENT_MAX` characters; of a note only the note."""
    if note := told_note(notification):
        return {"type": "doc", "version": 1, "content": [_paragraph(_text(lines(note), NOTE_MAX))]}
    for lengths in LENGTHS:
        made = _document(notification, *lengths)
        # Escaped and with blanks, a text is at most three times as long as in UTF-8.
        if 3 * len(to_json(made)) <= DOCUMENT_MAX or len(json.dumps(made)) <= DOCUMENT_MAX:
            break
    return made


def _document(notification: Notification, text_max: int, items_max: int, fact_max: int) -> dict[str, Any]:
    content = [_paragraph(_text(one_line(state(notification)), fact_max, "strong"))]
    if notification.summary.strip():
        content.append(_paragraph(_text(lines(notification.summary), text_max)))
    facts = [
        _item(_text(f"{one_line(fact.label)}: ", 100, "strong"), _text(lines(fact.value), fact_max))
        for fact in first_facts(notification.facts, items_max)
    ]
    if facts:
        content.append({"type": "bulletList", "content": facts})
    actions = [_item(_text(lines(action), fact_max)) for action in notification.actions[:items_max]]
    if actions:
        content += [_paragraph(_text("What to do", 20, "strong")), {"type": "orderedList", "content": actions}]
    if notification.techniques:
        content.append(_paragraph(_text(one_line("ATT&CK " + ", ".join(notification.techniques)), fact_max)))
    if link := web_link(notification.link):
        ours = {"type": "link", "attrs": {"href": link}}
        content.append(_paragraph({"type": "text", "text": "Open in Aegis", "marks": [ours]}))
    return {"type": "doc", "version": 1, "content": content}


def _text(text: str, limit: int, mark: str = "") -> dict[str, Any]:
    node = {"type": "text", "text": fit(text, limit, defang) or "-"}
    return {**node, "marks": [{"type": mark}]} if mark else node


def _paragraph(*inlines: dict[str, Any]) -> dict[str, Any]:
    return {"type": "paragraph", "content": list(inlines)}


def _item(*inlines: dict[str, Any]) -> dict[str, Any]:
    return {"type": "listItem", "content": [_paragraph(*inlines)]}


class Jira:
    """`Notifier`. The receipt's `remote_id` is the issue's key."""

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:
        """Create the issue, or comment on the one there is; move it where the change says.

        A search is a few seconds behind a create at Jira, so a retry must not come sooner than that. For an incident that
        was never told there is nothing to find: half of the requests, which Jira counts too.
        """
        never_told = notification.change == "opened" and not notification.again and not remote_id
        key = remote_id if _KEY.fullmatch(remote_id) else "" if never_told else await self._find(notification)
        if not key:
            key, note = await self._create(notification), "created"
        elif notification.change == "opened":
            note = "an issue for this incident was there already"
        else:
            await self._call("POST", f"/issue/{key}/comment", {"body": document(notification)}, accept=201)
            note = "commented"
        if notification.change == "raised" and note == "commented":
            note += await self._raise_fields(key, notification)
        target = TARGETS.get(notification.change)
        if target and not await self._move(key, target):
            note += f"; no transition leads to a status of category {target}"
        return Receipt(remote_id=key, note=note)

    async def _find(self, notification: Notification) -> str:
        jql = f'project = "{self._config.project}" AND labels = "{label(notification.dedup_key)}"'
        query = {"jql": jql, "fields": ["status"], "maxResults": 1}
        found = from_json(NAME, await self._call("POST", "/search/jql", query, accept=200))
        return next((_key_of(issue) for issue in _list(found.get("issues"))), "")

    async def _create(self, notification: Notification) -> str:
        """Create the issue; without those optional fields that the project's screens do not have."""
        body = payload(notification, self._config)
        answer = await self._send("POST", "/issue", body)
        optional = self._config.optional(notification.severity, notification.at)
        if answer.status == 400 and (wrong := set(_wrong_fields(answer)) & set(optional)):
            fields = {name: value for name, value in body["fields"].items() if name not in wrong}
            answer = await self._send("POST", "/issue", {"fields": fields})
        if answer.status != 201:
            raise self._failure(answer)
        if key := _key_of(from_json(NAME, answer)):
            return key
        raise ServiceError(NAME, "created an issue without a readable key", retryable=True, status=answer.status)

    async def _raise_fields(self, key: str, notification: Notification) -> str:
        """Set what belongs to the severity, but for fields that the project does not have."""
        fields = self._config.optional(notification.severity, notification.at)
        answer = await self._send("PUT", f"/issue/{key}", {"fields": fields}) if fields else None
        if answer is not None and answer.status == 400 and (wrong := set(_wrong_fields(answer)) & set(fields)):
            fields = {name: value for name, value in fields.items() if name not in wrong}
            answer = await self._send("PUT", f"/issue/{key}", {"fields": fields}) if fields else None
        if answer is None:
            return "; the project takes no priority" if self._config.priorities else ""
        if answer.status != 204:
            raise self._failure(answer)
        return f"; set {', '.join(sorted(fields))}"

    async def _move(self, key: str, category: str) -> bool:
        """Use the first transition that leads to a status of the category."""
        answer = from_json(NAME, await self._call("GET", f"/issue/{key}/transitions", None, accept=200))
        for transition in _list(answer.get("transitions")):
            status = transition.get("to")
            kind = status.get("statusCategory") if isinstance(status, dict) else None
            if isinstance(kind, dict) and kind.get("key") == category:
                body = {"transition": {"id": str(transition.get("id", ""))}}
                await self._call("POST", f"/issue/{key}/transitions", body, accept=204)
                return True
        return False

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None, *, accept: int) -> HttpAnswer:
        answer = await self._send(method, path, body)
        if answer.status != accept:
            raise self._failure(answer)
        return answer

    def _failure(self, answer: HttpAnswer) -> ServiceError:
        reason = answer.headers.get("ratelimit-reason") or ".".join(_wrong_fields(answer))
        return failure(NAME, answer, now=self._clock.now(), code=reason)

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> HttpAnswer:
        pair = f"{self._config.email}:{self._config.token.reveal()}".encode()
        return await self._http.send(
            HttpRequest(
                service=NAME,
                method=method,
                url=f"{self._config.base_url.rstrip('/')}/rest/api/3{path}",
                headers={
                    "Authorization": f"Basic {b64encode(pair).decode()}",
                    "Accept": "application/json",
                    "Content-Type": "application/json",
                },
                body=b"" if body is None else to_json(body),
                timeout_ms=15_000,
            )
        )


def _list(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _key_of(issue: Mapping[str, Any]) -> str:
    """The issue's key if it is one: it goes into later addresses."""
    key = issue.get("key")
    return key if isinstance(key, str) and _KEY.fullmatch(key) else ""


def _wrong_fields(answer: HttpAnswer) -> list[str]:
    """The names of the fields that Jira refused."""
    errors = (json_object(answer) or {}).get("errors")
    return sorted(errors) if isinstance(errors, dict) else []


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> Jira:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Jira(config, http, clock=clock)
