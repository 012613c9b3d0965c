"""What comes in from the services that people work in: acts on incidents of ours, alerts of others, budget notices.

A verified webhook becomes one `Received`; whoever verified it has looked at the signature first. All text in here comes
from outside and stays plain text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Literal

from aegis.core.incidents import Severity
from aegis.core.plaintext import fit, one_line
from aegis.core.wording import rfc3339

Verb = Literal["acknowledge", "resolve", "reopen", "note", "escalate", "assign"]

NAME_CHARS, HOST_CHARS = 120, 80
"""Of an alert's own name and host: with the key they stay under the 256 characters of an observable."""
KEY_BYTES = 8
"""64 bits of BLAKE2b tell the alerts of one installation apart."""
LABELS_MAX, TEXT_CHARS = 32, 1_000
"""Of an alert: more than a rule or a person looks at."""
BY_CHARS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What somebody did to an incident of ours, elsewhere.

    `incident_id` is set where the message itself holds it; else `handle` is what `via` calls the incident (issue key,
    channel:ts, the pager's own id). `at` is when it happened there. `text` is the note, or to whom it was assigned.
    """

    verb: Verb
    via: str
    by: str
    at: datetime
    incident_id: str = ""
    handle: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert of another system. `product` and `key` make it one and the same from firing to resolved; `round` tells
    one firing from the next (the start time, where the sender gives it).
    """

    product: str
    key: str
    name: str
    firing: bool
    severity: Severity
    at: datetime
    round: str = ""
    host: str = ""
    summary: str = ""
    description: str = ""
    link: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What the alert is known by: 16 hex digits of product and key."""
        return blake2b(f"{self.product}\0{self.key}".encode("utf-8", "replace"), digest_size=KEY_BYTES).hexdigest()

    @property
    def named(self) -> str:
        """How people see it, `HighLatency on web-1 [alertmanager 1f2e...]`: readable, and unique by its end."""
        host, name = fit(_shown(self.host), HOST_CHARS), fit(_shown(self.name), NAME_CHARS) or "alert"
        return f"{name}{f' on {host}' if host else ''} [{self.product} {self.digest}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsettledAlert:
    """An alert that is over, whose incident has not been told."""

    digest: str
    named: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetNotice:
    """A budget of another system (AWS Budgets) passed a threshold. Amounts are as that system wrote them."""

    name: str
    window: str
    level: str
    spent: str
    limit: str
    severity: Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What one verified webhook said. `ids` make it one and the same when it comes again (each alone suffices).

    `handles` are names that the sender uses for incidents of ours, by that name: kept for later messages that say only
    the name. `confirm` is an address that has to be fetched once to accept a subscription.
    """

    service: str
    ids: tuple[str, ...]
    acts: tuple[Act, ...] = ()
    alerts: tuple[Alert, ...] = ()
    budgets: tuple[BudgetNotice, ...] = ()
    handles: Mapping[str, str] = field(default_factory=dict)
    confirm: str = ""


def _shown(text: str) -> str:
    """The text on one line, without what cannot be printed: an observable holds nothing else."""
    line = one_line(text)
    return line if line.isprintable() else " ".join("".join(c if c.isprintable() else " " for c in line).split())


def alert_digest(named: str) -> str:
    """The digest at the end of an alert's name; empty when the text is no such name."""
    head, _, digest = named.removesuffix("]").rpartition(" ")
    whole = named.endswith("]") and " [" in head and len(digest) == 2 * KEY_BYTES
    return digest if whole and all(c in "0123456789abcdef" for c in digest) else ""


def alert_record(alert: Alert) -> dict[str, Any]:
    """The alert as a record for intake: log source `product: ..., service: alerts`, the same id for the same news."""
    status = "firing" if alert.firing else "resolved"
    labels = {one_line(name)[:NAME_CHARS]: fit(one_line(text), TEXT_CHARS) for name, text in alert.labels.items()}
    return {
        "id": f"{alert.digest}:{status}:{one_line(alert.round)[:HOST_CHARS]}",
        "time": rfc3339(alert.at),
        "logsource": {"product": alert.product, "service": "alerts"},
        "product": alert.product,
        "alert": alert.named,
        "status": status,
        "severity": alert.severity.name.lower(),
        "name": fit(one_line(alert.name), NAME_CHARS),
        "host": fit(one_line(alert.host), HOST_CHARS),
        "summary": fit(one_line(alert.summary), TEXT_CHARS),
        "description": fit(one_line(alert.description), TEXT_CHARS),
        "link": alert.link if len(alert.link) <= TEXT_CHARS else "",
        "labels": dict(list(labels.items())[:LABELS_MAX]),
    }
