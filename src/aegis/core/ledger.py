"""The records of the allowance ledger, and the shelf that keeps them; the rules stand in `core.escrow`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, NamedTuple, Protocol, TypeAlias

from aegis.core.budgets import Level, Line
from aegis.core.windows import WindowPolicy

Holds: TypeAlias = tuple[tuple[tuple[int, ...], int], ...]
"""Numbers of rows and what is held of each of them."""
EntryState = Literal["sent", "settled", "void", "worst", "refused", "cached"]


class Entry(NamedTuple):
    """One attempt in the journal. `attempt` begins with the call's id and a slash; `holds` pairs numbers of rows with
    what was reserved of each of them; `body` is JSON (scope, usage, explanation). `worst` and `cost` are nano-dollars.
    """

    attempt: str
    state: EntryState
    service: str
    model: str
    at_ms: int
    ended_ms: int
    worst: int
    cost: int
    holds: Holds
    body: bytes

    @property
    def call_id(self) -> str:
        return self.attempt.rpartition("/")[0]


@dataclass(slots=True, kw_only=True)
class Row:
    """A line in one window, as the store keeps it: `settled`, `leased` (lent to holders and not yet reported
    spent) and `overrun` (how far truth went above the limit, or the limit below what was committed). `crossed` has
    one bit per level, lowest first.
    """

    id: int
    key: str
    budget: str
    part: str
    share: str
    unit: str
    kind: str
    window: str
    starts_ms: int
    ends_ms: int
    span_ms: int
    limit: int
    levels: tuple[tuple[Level, int], ...]
    journalled: bool
    settled: int = 0
    leased: int = 0
    overrun: int = 0
    refused: int = 0
    crossed: int = 0
    recall_ms: int = 0

    @property
    def rolling(self) -> bool:
        return self.kind == "rolling"

    @property
    def policy(self) -> WindowPolicy:
        """Enough of the window's policy to find its slots."""
        return WindowPolicy(kind="rolling", span_ms=self.span_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a holder did with its lease of a row since the last report. `excess` is what true costs took beyond
    everything that was lent; `returned` goes back unused.
    """

    row: int
    units: int = 0
    excess: int = 0
    returned: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """The true use, learned late, of an attempt that was settled at its worst case when its holder was lost. `state` stays
    `worst` where the holder itself never learned what was used: a bill may still tell.
    """

    attempt: str
    cost: int
    units: Mapping[int, int]
    body: bytes
    state: Literal["settled", "worst"] = "settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """One report of a holder, applied whole or not at all. Each want is one call: all of its lines or none.

    `shrunk` are attempts under way that hold less from now on: what they gave up may be lent or returned only after.
    `idle` is what the holder has free of rows it already leases, so that a want asks only for what is missing.
    `refused` are rows that calls were finally refused for. `renew` begins the lease anew; a report of calls that are
    about to be sent need not, and is then as short as it can be.
    """

    holder: str
    epoch: int
    sent: Sequence[Entry] = ()
    ended: Sequence[Entry] = ()
    shrunk: Mapping[str, Holds] = field(default_factory=dict)
    spent: Sequence[Spent] = ()
    corrections: Sequence[Correction] = ()
    refused: Sequence[int] = ()
    wants: Sequence[Sequence[tuple[Line, int]]] = ()
    idle: Mapping[int, int] = field(default_factory=dict)
    renew: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What was lent of a row, and how the row stands after it."""

    key: str
    row: int
    window: str
    starts_at: datetime
    ends_at: datetime
    granted: int
    limit: int
    settled: int
    leased: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Why a want was not granted: settled + held + need > limit on this row. `elsewhere` is lent to other holders."""

    line: Line
    row: int
    window: str
    limit: int
    settled: int
    held: int
    need: int
    elsewhere: int
    resets_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A budget crossed a level in a window (`day 2026-11-21`): recorded once, told until somebody has reported it."""

    budget: str
    part: str
    window: str
    level: Level
    spent: int
    limit: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """A new window opened after one that had crossed a level or refused a call."""

    budget: str
    part: str
    window: str


@dataclass(slots=True, kw_only=True)
class Synced:
    """What the store answered: one verdict per want (None: granted), grants, news, and rows to give back idle."""

    verdicts: list[Shortage | None] = field(default_factory=list)
    grants: dict[str, Grant] = field(default_factory=dict)
    crossings: list[Crossing] = field(default_factory=list)
    resets: list[Reset] = field(default_factory=list)
    recall: set[int] = field(default_factory=set)


class Shelf(Protocol):
    """The records of one ledger inside one transaction. `put` writes a row back after it was changed."""

    def epoch(self, holder: str) -> int: ...
    def set_holder(self, holder: str, epoch: int, expires_ms: int) -> None: ...
    def lapsed(self, before_ms: int) -> Sequence[str]: ...
    def row(self, row_id: int) -> Row: ...
    def newest(self, key: str) -> Row | None: ...
    def begun(self, key: str, starts_ms: int) -> Row | None:
        """The window of a line that began then, however old."""

    def add(self, row: Row) -> Row: ...
    def put(self, row: Row) -> None: ...
    def lease(self, holder: str, row_id: int) -> int: ...
    def set_lease(self, holder: str, row_id: int, units: int) -> None: ...
    def leases(self, holder: str) -> Mapping[int, int]: ...
    def write(self, holder: str, epoch: int, entries: Sequence[Entry]) -> None:
        """Add entries; one already there changes only if it is still `sent`."""

    def recalled(self, holder: str, now_ms: int) -> set[int]:
        """Rows whose unused allowance this holder should return, because another was short of it."""

    def untold(self) -> Sequence[Crossing]: ...
    def told(self, crossings: Sequence[Crossing]) -> None: ...
    def unsettled(self, holder: str) -> Sequence[Entry]: ...
    def entry(self, attempt: str) -> Entry | None: ...
    def resize(self, attempt: str, holds: Holds) -> None:
        """An attempt that is still `sent` holds this from now on."""

    def correct(self, entry: Entry) -> None: ...
    def cross(self, crossing: Crossing) -> bool:
        """Record a crossing; False when this budget, window and level is on record already."""

    def booked(self, call_id: str, service: str, model: str, day: date) -> tuple[int, int, Mapping[str, int]]:
        """What is on record of a model on a day under one call: in how many attempts, at which cost, with which usage."""

    def slots(self, row_id: int) -> Mapping[int, int]: ...
    def set_slot(self, row_id: int, slot_ms: int, units: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A holder's new epoch, and the crossings and switches of record that it should know."""

    epoch: int
    untold: Sequence[Crossing] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """The emergency stop for one scope (empty: everything). A switch of record is never deleted, only turned, and every
    turn of it is kept.

    `grade` 0 throttles to `percent` of a service's rate, from 1 on `percent` is the share of calls that are admitted (a
    return has 10, 50). `expires_ms` 0 holds until it is turned. `pool` is what CRITICAL calls may spend all the same, in
    nano-dollars. `cancel` ends calls that are under way. `by` is who turned it, `stop` the stop of record it belongs to.
    """

    scope: Mapping[str, str]
    stopped: bool
    reason: str
    at_ms: int
    grade: int = 1
    percent: int = 0
    expires_ms: int = 0
    pool: int = 0
    cancel: bool = False
    by: str = ""
    stop: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How many attempts of a service and model ended in one way, and what they cost."""

    service: str
    model: str
    state: EntryState
    calls: int
    cost: int
