"""What the core asks of the world: every port fits on a screen, and every one has a fake in `aegis.testing`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from aegis.core.adjusting import Adjusted, Adjustment
from aegis.core.budgets import Line
from aegis.core.calls import Call, Usage
from aegis.core.inbound import Alert, UnsettledAlert
from aegis.core.incidents import Event, Finding, Incident, Observable
from aegis.core.ledger import Crossing, Entry, Joined, Row, Switch, Sync, Synced, Total
from aegis.core.money import Nanos
from aegis.core.notifications import Delivery, MetricPoint, Notification, Receipt


class Clock(Protocol):
    """Time as a parameter. `now` is UTC and may jump; `monotonic_ns` never goes back."""

    def now(self) -> datetime: ...
    def monotonic_ns(self) -> int: ...
    async def sleep_ms(self, milliseconds: int) -> None: ...


class NewId(Protocol):
    """Makes a fresh identifier, `inc_01J...`: the prefix, then 26 sortable characters (a ULID)."""

    def __call__(self, prefix: str) -> str: ...


# --- the outside world -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One outgoing request. `service` names who it is for (metrics, errors); `url` (webhook addresses are secrets) and
    `headers` may hold secrets and are never logged; redirects are not followed.
    """

    service: str
    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    connect_timeout_ms: int = 3_000
    timeout_ms: int = 10_000
    answer_bytes_max: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What came back, whatever the status. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Protocol):
    """Sends one request once (no retry, no redirect). Raises `ServiceError` when no whole answer came: not
    connected (`billed=no`), or connected and then cut, timed out or too large (`billed=unknown`).
    """

    async def send(self, request: HttpRequest) -> HttpAnswer: ...


class Notifier(Protocol):
    """A service that people or log platforms are told through. Raises `ServiceError`."""

    name: str

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt: ...


class Messenger(Protocol):
    """A way to one person at an address of theirs. `name` is the channel as contacts name it: `email`, `slack`, `sms`, `phone`.

    `accepts` is pure: whether `to` is an address of this channel (an e-mail address; a member id; a phone number as `+` and digits).
    `bridge` names the conference that whoever is told may join: it is shown; a call is connected to it when it is a
    phone number or one word. Sending the same version to the same person again within a process is harmless.
    """

    name: str

    def accepts(self, to: str) -> bool: ...

    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt:
        """Tell one person. Raises `ServiceError`, and `Refused` when a gate of the governor said no."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What asking a service came to: `asked` is False where the vendor has nothing that may be asked without effect,
    and `text` says so; else `text` says what was asked and what came back.
    """

    asked: bool
    text: str


class Probe(Protocol):
    """A service that can be asked whether it would take what we send, at no cost and without effect. Raises
    `ServiceError` with what is wrong.
    """

    name: str

    async def probe(self) -> Probed: ...


class MetricSink(Protocol):
    """A service that takes measured values in batches. Raises `ServiceError`."""

    name: str

    async def push(self, points: Sequence[MetricPoint]) -> None: ...


@dataclass(frozen=True, slots=True)
class Enriched:
    """What an enrichment answered and what it used."""

    finding: Finding
    usage: Usage


class Enricher(Protocol):
    """A source of findings. `accepts` is pure; `enrich` is only called inside an admitted call."""

    name: str

    def accepts(self, observable: Observable) -> bool: ...
    async def enrich(self, observable: Observable) -> Enriched: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One question to a model: fixed system text, one user text, a JSON schema for the answer and a cap."""

    model: str
    system: str
    user: str
    schema: Mapping[str, object]
    output_tokens_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer:
    """A model's answer: the raw JSON text (unchecked, hostile) and the usage as the provider counted it."""

    text: str
    usage: Usage
    model: str
    complete: bool


class Analyst(Protocol):
    """A model provider. `worst` bounds the usage of a request before it is made (pure)."""

    name: str

    def worst(self, request: ModelRequest) -> Usage: ...
    async def complete(self, request: ModelRequest) -> ModelAnswer: ...


# --- the governed call -----------------------------------------------------------------------------------------


class Admitted(Protocol):
    """A call that every gate let through. `cached` is an earlier answer to the same `cache_key`: then nothing is
    asked and nothing is charged. `cost` is what was charged, once settled.
    """

    @property
    def model(self) -> str: ...
    @property
    def cached(self) -> bytes | None: ...
    @property
    def cost(self) -> Nanos: ...
    def settle(self, usage: Usage, *, answer: bytes = b"") -> None:
        """Record the true usage; `answer`, when given, may answer the next call with this `cache_key`."""

    def void(self) -> None:
        """Nothing was charged for certain."""


class Governs(Protocol):
    """Admits metered calls. Entering raises `Refused` when a gate says no: nothing was spent."""

    def admit(self, call: Call) -> AbstractAsyncContextManager[Admitted]: ...


class Ledger(Protocol):
    """The record of truth for budgets: lends allowances to holders, keeps the journal. Each method is one
    transaction. Raises `StoreError` when the store could not answer (then nobody knows whether it was applied) and
    `Fenced` when the holder was replaced or silent too long (then it was not).
    """

    async def join(self, holder: str) -> Joined:
        """Begin as `holder`: what it had before is taken back, and whoever still acts for it is fenced."""

    async def sync(self, request: Sync) -> Synced:
        """Apply a holder's report and lend what it wants; see `core.escrow`."""

    async def leave(self, holder: str, epoch: int) -> None: ...

    async def sweep(self) -> Sequence[str]:
        """Take back what silent holders were lent; returns who they were."""

    async def adjust(self, adjustment: Adjustment) -> Adjusted:
        """Take over what a provider's bill says; see `core.adjusting`. Nobody need have joined."""

    async def told(self, crossings: Sequence[Crossing]) -> None:
        """These crossings were reported: do not tell them again."""

    async def rows(self, lines: Sequence[Line]) -> Sequence[Row]:
        """How each line stands in its current window. Lines nobody has used yet come back as they would open."""

    async def numbered(self, rows: Sequence[int]) -> Sequence[Row]:
        """The rows with these numbers, whatever their window."""

    async def parts(self, budget: str) -> Sequence[str]:
        """The parts of a budget that have rows (one empty part where its scope has no `*`)."""

    async def attempts(self, call_id: str) -> Sequence[Entry]:
        """What the journal holds about a call, oldest first."""

    async def totals(self, since: date) -> Sequence[Total]: ...
    async def switches(self) -> Sequence[Switch]: ...
    async def turn(self, switch: Switch) -> None: ...


class Answers(Protocol):
    """The response cache of record. Keys are opaque, answers are bytes; both survive a restart."""

    async def get(self, key: str, now: datetime) -> bytes | None: ...
    async def put(self, key: str, answer: bytes, *, expires_at: datetime, now: datetime) -> None: ...
    async def clear(self) -> int: ...


# --- the store -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one step of the incident path changes; committed whole or not at all. `held` counts messages that silences
    (by id) kept back; what waits for single people about the incidents `withdrawn`, and all but records and closing words
    about those `hushed`, is taken back, before `deliveries` are placed. The end is told to no person to whom nothing of
    it has left.
    """

    events_done: Sequence[str] = ()
    incidents: Sequence[Incident] = ()
    deliveries: Sequence[Delivery] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    withdrawn: Sequence[str] = ()
    hushed: Sequence[str] = ()


class Events(Protocol):
    """Durable intake: an event is stored before anybody is told that it was taken, and worked exactly once."""

    async def accept(self, events: Sequence[Event]) -> int:
        """Store events by id; returns how many were new."""

    async def pending(self, limit: int) -> Sequence[Event]:
        """The oldest events not yet worked, in order of arrival."""

    async def worked_since(self, at: datetime, limit: int) -> Sequence[Event]:
        """Events already worked whose time is at or after `at`, in order: to warm correlations after a restart."""


class Incidents(Protocol):
    """The incidents of record."""

    async def commit(self, work: Work) -> None:
        """Events done, incidents and deliveries in one transaction. Deliveries already known are left alone."""

    async def unresolved(self) -> Sequence[Incident]: ...
    async def get(self, incident_id: str) -> Incident | None: ...
    async def recent(self, limit: int) -> Sequence[Incident]: ...


class Outbox(Protocol):
    """Deliveries that wait, in lanes by service. A claimed delivery is leased: a crash gives it back."""

    async def claim(
        self, service: str, *, limit: int, now: datetime, lease_ms: int, fresh: bool = False
    ) -> Sequence[Delivery]:
        """Lease due deliveries, highest priority first; `attempts` is already counted up. `remote_id` is the
        newest handle that this service gave for the delivery's incident. `fresh`: only those without a handle, which
        would be new messages.
        """

    async def due(self, service: str, *, now: datetime, most: int) -> int:
        """How many of a lane are due, counted up to `most`."""

    async def unheard(self, service: str, *, to: str, before: datetime, limit: int) -> Sequence[Delivery]:
        """First pages of HIGH and CRITICAL incidents placed before a moment that the service has not taken (dead letters
        too), oldest first, but for those of which `to` was told in its place already.
        """

    async def place(self, deliveries: Sequence[Delivery]) -> None:
        """Put deliveries into their lanes; those that are known are left alone."""

    async def next_due(self, service: str) -> datetime | None:
        """When the lane has to be looked at again (a lease that runs out counts); None when nothing waits in it."""

    async def done(self, delivery: Delivery, receipt: Receipt, *, now: datetime) -> None: ...

    async def retry(self, delivery: Delivery, *, due_at: datetime, error: str, doubtful: bool = False) -> None:
        """Try again at `due_at`. `doubtful`: nobody knows whether the service took it."""

    async def bury(self, delivery: Delivery, *, error: str, now: datetime, doubtful: bool = False) -> None:
        """Give up: a dead letter, kept until a person replays or drops it. `doubtful`: the service may have taken it."""

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Per service and state, how many."""

    async def dead(self, limit: int) -> Sequence[Delivery]: ...
    async def of_incident(self, incident_id: str) -> Sequence[Delivery]: ...
    async def replay(self, delivery_id: str, *, now: datetime) -> bool: ...
    async def drop(self, delivery_id: str) -> bool: ...
    async def waiting(self, limit: int) -> Sequence[str]:
        """Incidents about which a message waits to be sent, oldest first."""

    async def undelivered(self) -> int:
        """How many are neither done nor dead nor superseded."""


class Arrivals(Protocol):
    """What came in by webhooks: deliveries taken, names of our incidents elsewhere, alerts of others and their state."""

    async def known(self, ids: Sequence[str]) -> bool:
        """Whether one of these deliveries was taken before."""

    async def arrive(self, ids: Sequence[str], *, now: datetime) -> bool:
        """Keep the names of a delivery, atomically; False when one was there already."""

    async def remember(self, service: str, handles: Mapping[str, str], *, now: datetime) -> None:
        """What a service calls incidents of ours: handle to incident id."""

    async def incident_of(self, service: str, handle: str) -> str:
        """The incident that the service calls so (also by its answer to our message); empty when nobody knows."""

    async def tell(self, alerts: Sequence[Alert], *, now: datetime) -> Sequence[bool]:
        """Keep each alert's state; for each whether it is news (False: something newer is known already)."""

    async def unsettled(self, limit: int) -> Sequence[UnsettledAlert]: ...
    async def settle(self, digest: str) -> None: ...
    async def firing(self, digests: Sequence[str]) -> bool:
        """Whether one of these alerts fires, or is not known."""
