"""What leaves for people and services: the notification, its delivery and the receipt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from aegis.core.incidents import Severity, Status

Change = Literal[
    "opened",
    "raised",
    "analysed",
    "updated",
    "acknowledged",
    "resolved",
    "reopened",
    "budget",
    "test",
    "noted",
    "digest",
    "unpaged",
    "escalated",
]
"""What a notification is about. `noted`: somebody wrote a note, nothing else changed.
`digest`: many incidents at once. `unpaged`: the pager did not take the first page.
`escalated`: nobody acted in time, and more people are told.
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """One labelled line of a notification."""

    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """Something that the reader can do to the incident from where he reads. `verb` is a word of `core.lifecycle`;
    `url` is a signed link to a page that asks before it does it (empty: there is none).
    """

    label: str
    verb: Literal["acknowledge", "resolve", "reopen"]
    url: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote about an incident: who, in which channel (a service's name where it has one), and the text."""

    by: str
    via: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Everything a person or a service is told about an incident at one version of it, as plain text.

    Text in here may come from an attacker: every connector encodes it by type for its own channel, so that no text
    becomes markup, a mention or a link. `dedup_key` stays the same for the life of the incident; `version` grows.
    `document` is the incident as JSON, for log platforms.
    """

    incident_id: str
    dedup_key: str
    version: int
    change: Change
    severity: Severity
    status: Status
    title: str
    summary: str
    at: datetime
    source: str = "aegis"
    facts: tuple[Fact, ...] = ()
    actions: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    link: str = ""
    buttons: tuple[Button, ...] = ()
    recipient: str = ""
    """Whom it is for alone, as channel and contact (`sms:anna`); empty: for everybody whom the service tells."""
    bridge: str = ""
    """The conference that whoever is told may join."""
    document: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False
    """Whether this may have been said before, to a service that cannot tell: people are told so."""
    note: Note | None = None
    """What a `noted` notification carries; None on every other change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    """One measured value, for services that take metrics. `kind` counts (delta) or gauges. The value is an integer
    in the unit that the name ends in.
    """

    name: str
    kind: Literal["count", "gauge"]
    value: int
    at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)


class DeliveryState(StrEnum):
    """Where a delivery stands: `ready` waits for its due time, `leased` is being sent, the rest are ends."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"
    DEAD = "dead"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One durable attempt chain of one notification or metric batch to one service.

    `id` is deterministic (incident, service, version), so writing it twice is harmless. `remote_id` is the handle
    that the service gave for this incident earlier (Slack ts, Discord message id, Jira key), empty at first.
    """

    id: str
    incident_id: str
    service: str
    notification: Notification
    priority: Severity
    due_at: datetime
    created_at: datetime
    attempts: int = 0
    state: DeliveryState = DeliveryState.READY
    remote_id: str = ""
    last_error: str = ""
    doubtful: bool = False
    """Whether an earlier attempt ended without anybody knowing how: the service may have taken it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a service answered to a delivery. `remote_id` lets a later delivery update the same message;
    `note` says what is worth recording (for example that an existing issue was found).
    """

    remote_id: str = ""
    note: str = ""
