"""What has to hold of a ledger, whatever happened before: the numbered invariants, checked against the records.

Nothing here asks the code under test what it thinks: `Books` are the records as they lie in the store, and what was
truly charged is known to the history that plays the provider.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Protocol

MONEY_KINDS = ("day", "week", "month")


class Broken(AssertionError):
    """An invariant does not hold; `name` is the first word of its message (`I4`)."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.name = message.partition(" ")[0]


def holds(condition: object, message: str, *seen: object) -> None:
    """Raise `Broken` with what was seen, unless the condition is true."""
    if not condition:
        _broken(message, seen)


def _broken(message: str, seen: tuple[object, ...]) -> NoReturn:
    raise Broken(f"{message}: {', '.join(map(repr, seen))}" if seen else message)


class Books(Protocol):
    """The records of a ledger: `stores.memory_ledger.MemoryShelf` has this shape."""

    holders: Mapping[str, tuple[int, int]]
    rows: Mapping[int, Any]
    lent: Mapping[tuple[str, int], int]
    journal: Mapping[str, tuple[str, Any]]
    rolling: Mapping[int, Mapping[int, int]]


class Told(Protocol):
    """A call that was sent, as the history knows it: the rows it holds, and what it took when it ended."""

    @property
    def rows(self) -> Iterable[int]: ...
    @property
    def took(self) -> Mapping[int, int]: ...


def within_limits(books: Books, *, exact: bool) -> None:
    """I1 and I2: no amount is negative, no row over its limit (`exact`: by nothing at all), leases sum to what is lent.
    A rolling row has settled what its slots say.
    """
    leases: Counter[int] = Counter()
    for (_, row_id), units in books.lent.items():
        holds(units > 0, "I2 a lease of nothing or less was kept", row_id, units)
        leases[row_id] += units
    for row in books.rows.values():
        holds(min(row.settled, row.leased, row.overrun) >= 0, "I1 an amount is negative", row)
        over = 0 if exact else row.overrun
        holds(row.settled + row.leased <= row.limit + over, "I1 more is committed than the limit", row)
        holds(row.leased == leases[row.id], "I2 the leases do not sum to what was lent", row, leases[row.id])
        if row.kind == "rolling":
            slots = sum(books.rolling.get(row.id, {}).values())
            holds(row.settled == slots, "I2 the slots do not sum to what is settled", row, slots)


def truth_is_counted(books: Books, charged: Mapping[int, int], forgiven: Mapping[int, int]) -> None:
    """I4: what the provider charged is within settled and leased. `forgiven` is truth above a worst case that no
    report has carried to the store yet.
    """
    for row_id, units in charged.items():
        row = books.rows[row_id]
        counted = row.settled + row.leased + forgiven.get(row_id, 0)
        holds(units <= counted, "I4 the truth is undercounted", units, row)


def crashes_are_covered(books: Books) -> None:
    """I8: what a crash of each holder would count, all that it sent and did not settle, fits into what it was lent."""
    worst: Counter[tuple[str, int]] = Counter()
    for holder, entry in books.journal.values():
        if entry.state == "sent":
            for rows, units in entry.holds:
                for row_id in rows:
                    worst[holder, row_id] += units
    for (holder, row_id), units in worst.items():
        lent = books.lent.get((holder, row_id), 0)
        holds(units <= lent, "I8 a crash would count more than was lent", holder, row_id, units, lent)


def settled_is_journalled(books: Books, calls: Mapping[str, Told]) -> None:
    """I9: a row of money has settled exactly what its attempts took, or the worst case of those that were lost."""
    settled: Counter[int] = Counter()
    for attempt, (_, entry) in books.journal.items():
        call = calls.get(attempt)
        if call is None:
            continue
        if entry.state == "worst":
            for rows, units in entry.holds:
                for row_id in rows:
                    settled[row_id] += units
        elif entry.state == "settled":
            for row_id in call.rows:
                settled[row_id] += call.took.get(row_id, 0)
    for row in books.rows.values():
        if row.journalled and row.kind in MONEY_KINDS:
            holds(row.settled == settled[row.id], "I9 settled is not what the journal says", row, settled[row.id])


def ends_once(books: Books, states: dict[str, str], doubled: int) -> None:
    """I5: sent, then one end; only a worst case may still be corrected to the truth. Remembers `states`."""
    for attempt, (_, entry) in books.journal.items():
        before = states.get(attempt, "sent")
        allowed = before in ("sent", entry.state) or (before, entry.state) == ("worst", "settled")
        holds(allowed, "I5 an attempt ended twice", attempt, before, entry.state)
        holds(entry.cost < doubled, "I5 a second report changed the first", entry)
        states[attempt] = entry.state


def totals_are_the_journal(books: Books, totals: Iterable[Any]) -> None:
    """I12: attempts and costs are counted by how they ended, each once."""
    ended: Counter[tuple[str, str]] = Counter()
    for _, entry in books.journal.values():
        if entry.state != "sent":
            ended.update({(entry.state, "calls"): 1, (entry.state, "cost"): entry.cost})
    counted: Counter[tuple[str, str]] = Counter()
    for total in totals:
        counted.update({(total.state, "calls"): total.calls, (total.state, "cost"): total.cost})
    holds(counted == ended, "I12 the totals are not the journal's", counted, ended)


def grants_suffice(request: Any, answer: Any, books: Books) -> None:
    """I7: a granted want can be taken from what is idle and was lent; a refused one could not have been granted."""
    have: dict[str, int] = {}
    by_key: dict[str, Any] = {}
    for row in books.rows.values():
        if row.key not in by_key or row.starts_ms > by_key[row.key].starts_ms:
            by_key[row.key] = row
    for key, row in by_key.items():
        grant = answer.grants.get(key)
        have[key] = request.idle.get(row.id, 0) + (grant.granted if grant else 0)
    for line in (line for want in request.wants for line, _ in want):
        row = by_key.get(line.key)
        holds(row is None or row.limit == line.limit, "I7 another limit holds than the one that was set", row)
    for want, verdict in zip(request.wants, answer.verdicts, strict=True):
        if verdict is None:
            for line, need in want:
                have[line.key] -= need
                holds(have[line.key] >= 0, "I7 what was granted cannot be taken", line.key, need)
        elif len(request.wants) == 1:
            row = by_key[verdict.line.key]
            free = row.limit - row.settled - row.leased + request.idle.get(row.id, 0)
            holds(verdict.need > free, "I7 refused although it fits", verdict, row)
