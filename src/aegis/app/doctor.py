"""Answers what people ask when something seems wrong, by looking: too many model calls, calls that fail, metrics that are
missing, pages that do not come. Each finding names the next command.

Policy: it reads configuration, store and the running Aegis, and changes and sends nothing. What is wrong is told apart
from what is only worth knowing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from aegis.app.people import usable_channels
from aegis.app.reviewing import owner_name
from aegis.config.settings import Config
from aegis.core.contacts import WAKING
from aegis.core.errors import ConfigError
from aegis.core.incidents import Incident, Severity
from aegis.core.ports import Ledger
from aegis.core.references import Reference
from aegis.core.silences import Silence
from aegis.incidents.routing import LEAST
from aegis.stores.database import Database
from aegis.stores.incidents import SqliteIncidents
from aegis.stores.lookups import SqliteLookups
from aegis.stores.outbox import SqliteOutbox
from aegis.stores.reviews import SqliteReviews
from aegis.stores.silences import SqliteSilences
from aegis.stores.spending import newest, spent_on

DAY: Final = timedelta(hours=24)
ATTEMPTS: Final = 2_000
"""The newest attempts that are looked at: about a day of a busy installation."""
INCIDENTS: Final = 500
CALLS_EACH: Final = 2
"""Model calls for each HIGH or CRITICAL incident: one when it opens, one when it is raised."""
FAILED_PERCENT: Final = 10
"""A share of failed calls above this is not chance."""
MODELS: Final = ("anthropic", "openai", "bedrock")

Topic: TypeAlias = Literal["model calls", "failing calls", "metrics", "pages", "people", "deliveries", "reviews"]
Kind: TypeAlias = Literal["config", "remote", "later", "note"]
"""What has to be done about it: change the configuration, look at a service, wait or resume, nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found. `bad` unless it is only worth knowing; `next` is the command that goes on from here."""

    topic: Topic
    kind: Kind
    text: str
    next: str = ""

    @property
    def bad(self) -> bool:
        return self.kind != "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at. `scrape` gives what /metrics of the running Aegis answers: None when none runs, empty when it
    runs and does not answer.
    """

    config: Config
    database: Database | None
    ledger: Ledger | None
    now: datetime
    resolve: Callable[[Reference], object]
    scrape: Callable[[], Awaitable[str | None]]

    @property
    def since(self) -> datetime:
        return self.now - DAY


async def examine(patient: Patient) -> Sequence[Finding]:
    """Everything that was found, topic by topic. Raises `StoreError`."""
    return [found for look in LOOKS async for found in look(patient)]


async def model_calls(patient: Patient) -> AsyncIterator[Finding]:
    """Too many model calls: is the cache on, and are only HIGH and CRITICAL incidents asked about?"""
    anthropic = patient.config.services.get("anthropic")
    if anthropic is not None and not anthropic.cache_ms:
        text = "the cache is off: the same question is paid for again"
        yield Finding(topic="model calls", kind="config", text=text, next="aegis config show --origin")
    if patient.database is None:
        return
    rows = await spent_on(patient.database, ("service", "purpose", "severity"), patient.since)
    asked = [row for row in rows if row.values[0] in MODELS]
    calls, cached = sum(row.calls for row in asked), sum(row.cached for row in asked)
    own = [row for row in asked if row.values[1] == "incident"]
    low = sum(row.calls for row in own if row.values[2] in ("LOW", "MEDIUM"))
    if low:
        text = f"{low} calls in 24 h were made for LOW or MEDIUM incidents: only HIGH and CRITICAL should ask a model"
        yield Finding(topic="model calls", kind="config", text=text, next="aegis spend --by severity,model --days 1")
    worth = sum(one.severity >= Severity.HIGH for one in await _recent(patient))
    made = sum(row.calls for row in own)
    if made > CALLS_EACH * max(worth, 1):
        text = f"{made} calls in 24 h for {worth} HIGH or CRITICAL incidents: more than {CALLS_EACH} each"
        yield Finding(topic="model calls", kind="config", text=text, next="aegis spend --by incident,model --days 1")
    others = calls - made
    text = f"{calls} model calls in 24 h, {made} of them for incidents, {others} by other programs; {cached} from the cache"
    yield Finding(topic="model calls", kind="note", text=text, next="aegis spend --by key,purpose,model --days 1")


async def failing_calls(patient: Patient) -> AsyncIterator[Finding]:
    """Calls that fail: keys that are missing, budgets used up, switches, services that do not answer."""
    for path, reference in patient.config.references().items():
        try:
            patient.resolve(reference)
        except ConfigError as error:
            yield Finding(topic="failing calls", kind="config", text=f"{path}: {error}", next="aegis check")
    keyless = [name for name in ("anthropic", "virustotal") if not _has_key(patient.config, name)]
    if keyless:
        text = f"{' and '.join(keyless)} {'has' if len(keyless) == 1 else 'have'} no key: not asked, the offline analysis answers"
        yield Finding(topic="failing calls", kind="note", text=text, next="aegis init")
    if patient.ledger is not None:
        for switch in await patient.ledger.switches():
            if switch.stopped:
                text = f"calls are {'stopped' if switch.grade else 'slowed down'}: {switch.reason}"
                following = "aegis recover status" if switch.stop else "aegis stop"
                yield Finding(topic="failing calls", kind="later", text=text, next=following)
    if patient.database is None:
        return
    tried = [one for one in await newest(patient.database, ATTEMPTS) if one.at >= patient.since]
    refused = Counter((one.service, one.gate) for one in tried if one.state == "refused")
    for (service, gate), number in refused.most_common(5):
        text = f"{service}: {number} calls refused by {gate or 'a gate'} in 24 h; nothing was spent on them"
        following = "aegis budget list" if gate == "budget" else "aegis explain"
        yield Finding(topic="failing calls", kind="later", text=text, next=following)
    made, failed = (
        Counter(one.service for one in tried if one.state in states)
        for states in (("settled", "void", "worst"), ("void", "worst"))
    )
    for service, number in failed.items():
        if number * 100 > made[service] * FAILED_PERCENT:
            text = f"{service}: {number} of {made[service]} calls failed in 24 h"
            yield Finding(topic="failing calls", kind="remote", text=text, next="aegis check --live")


async def metrics(patient: Patient) -> AsyncIterator[Finding]:
    """Metrics that do not appear: does Aegis run, and does it answer at its own port?"""
    server = patient.config.server
    scraped = await patient.scrape()
    if scraped is None:
        text = f"no Aegis runs here, so nothing serves http://{server.host}:{server.port}/metrics"
        yield Finding(topic="metrics", kind="config", text=text, next="aegis up")
    elif "aegis_build_info" not in scraped:
        text = "the running Aegis does not answer at /metrics"
        yield Finding(topic="metrics", kind="remote", text=text, next="aegis check --live")
    else:
        text = f"/metrics answers on port {server.port}; Prometheus has to scrape that port, 9090 is its own"
        yield Finding(topic="metrics", kind="note", text=text, next="aegis config show")


async def pages(patient: Patient) -> AsyncIterator[Finding]:
    """Pages that do not come: is there a pager, was there anything to page about, and does something hold it back?"""
    if "pagerduty" not in patient.config.connectors:
        yield _without_pager(patient.config)
    if patient.database is None:
        text = "there is no store yet: nothing has come in"
        yield Finding(topic="pages", kind="note", text=text, next="aegis event import FILE")
        return
    recent = await _recent(patient)
    severe = [one for one in recent if one.severity >= LEAST["pagerduty"]]
    if not severe:
        seen = Counter(one.severity.name for one in recent)
        words = ", ".join(f"{number} {name}" for name, number in seen.items()) or "none at all"
        text = f"only HIGH and CRITICAL page; the incidents of the last 24 h were {words}"
        yield Finding(topic="pages", kind="note", text=text, next="aegis route explain --severity HIGH")
    for one in severe:
        if one.held is not None:
            text = f"{one.id} ({one.severity.name}) is held back by {one.held.why}"
            yield Finding(topic="pages", kind="note", text=text, next=f"aegis silence explain {one.id}")
    for silence in await SqliteSilences(patient.database).in_force(patient.now):
        if silence.state(patient.now) == "open":
            yield Finding(
                topic="pages", kind="note", text=_silenced(silence), next=f"aegis silence explain {silence.id}"
            )


async def people(patient: Patient) -> AsyncIterator[Finding]:
    """Contacts that cannot be told, and an Aegis whose own silence nobody would notice."""
    roster, usable = patient.config.roster, usable_channels(patient.config)
    for contact in roster.contacts.values():
        if not set(contact.addresses) & set(usable):
            text = f"{contact.name} cannot be told: no connector carries {' or '.join(contact.addresses)}"
            yield Finding(topic="people", kind="config", text=text, next="aegis contact list")
    if roster.contacts and not any("phone" in usable and "phone" in c.addresses for c in roster.contacts.values()):
        text = "nobody can be called: an emergency reaches people in writing only"
        yield Finding(topic="people", kind="note", text=text, next="aegis escalate simulate --severity CRITICAL")
    if patient.config.heartbeat is None:
        text = "no heartbeat is configured: nobody would notice that Aegis has fallen silent"
        yield Finding(topic="people", kind="note", text=text, next="aegis config schema")


async def deliveries(patient: Patient) -> AsyncIterator[Finding]:
    """Deliveries that failed or wait, and lines that could not be read."""
    if patient.database is None:
        return
    outbox = SqliteOutbox(patient.database)
    errors: Mapping[str, str] = {one.service: one.last_error for one in reversed(await outbox.dead(INCIDENTS))}
    for service, states in (await outbox.counts()).items():
        if dead := states.get("dead", 0):
            text = f"{service}: {dead} not delivered, last: {errors.get(service, '')}"
            yield Finding(topic="deliveries", kind="remote", text=text, next="aegis outbox list")
        if waiting := states.get("ready", 0) + states.get("leased", 0):
            yield Finding(topic="deliveries", kind="note", text=f"{service}: {waiting} wait", next="aegis outbox list")
    aside = [one for one in await SqliteLookups(patient.database).lines(INCIDENTS) if one.at >= patient.since]
    if aside:
        text = f"{len(aside)} lines could not be read in 24 h, last: {aside[0].reason}"
        yield Finding(topic="deliveries", kind="note", text=text, next="aegis event import FILE")


async def reviews(patient: Patient) -> AsyncIterator[Finding]:
    """Reviews that are overdue, and who owns them."""
    if patient.database is None:
        return
    for one in await SqliteReviews(patient.database).all():
        if one.overdue(patient.now.date()):
            owner = owner_name(one, patient.config.roster) or "nobody owns it"
            text = f"overdue since {one.due.isoformat()}: {one.title} ({owner})"
            yield Finding(topic="reviews", kind="later", text=text, next=f"aegis review done {one.id}")


Look: TypeAlias = Callable[[Patient], AsyncIterator[Finding]]
LOOKS: Final[tuple[Look, ...]] = (model_calls, failing_calls, metrics, pages, people, deliveries, reviews)


async def _recent(patient: Patient) -> list[Incident]:
    """The incidents that were opened in the last 24 hours."""
    if patient.database is None:
        return []
    return [one for one in await SqliteIncidents(patient.database).recent(INCIDENTS) if one.opened_at >= patient.since]


def _without_pager(config: Config) -> Finding:
    usable = set(usable_channels(config)) & WAKING
    wakes = sorted(one.name for one in config.roster.contacts.values() if usable & set(one.addresses))
    if wakes:
        text = f"no PagerDuty is configured; {', '.join(wakes[:5])} can be woken by escalation"
        return Finding(topic="pages", kind="note", text=text, next="aegis escalate simulate")
    text = "nothing can wake anybody: neither connectors: pagerduty nor contacts with a telephone (connectors: twilio)"
    return Finding(topic="pages", kind="config", text=text, next="aegis escalate simulate")


def _has_key(config: Config, name: str) -> bool:
    service = config.services.get(name)
    return service is not None and service.key is not None


def _silenced(silence: Silence) -> str:
    what = " ".join(one.text() for one in silence.matchers)
    return f"silence {silence.id} holds back {what} ({silence.owner}: {silence.reason}); {silence.held} messages so far"
