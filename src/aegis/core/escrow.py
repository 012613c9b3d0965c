"""The rules of the allowance ledger: what a store does when a holder joins, reports, asks for allowances or is lost.

A row (a line in one window) has a limit L, settled S, leased A and overrun O. A lease G is what one holder has been
lent of a row and has not reported spent. A holder admits calls from its leases without asking; the store only lends
what fits, so the cap holds with any number of holders and without agreement about time. Escrow: O'Neil, "The Escrow
Transactional Method", ACM TODS 11(4), 1986. What has to hold at every commit:

    S + A <= L + O, and O grows only where a true cost was above its worst case or a limit was lowered
    the leases of a row sum to its A
    an attempt ends once; a fenced holder changes nothing

Everything here runs inside one transaction of a `Shelf`, which only keeps records.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from aegis.core.budgets import Line, fits
from aegis.core.errors import Fenced
from aegis.core.ledger import (
    Correction,
    Crossing,
    Entry,
    Grant,
    Reset,
    Row,
    Shelf,
    Shortage,
    Spent,
    Sync,
    Synced,
)
from aegis.core.windows import slot_of, slots_gone_before, window_at

LEASE_MS = 30_000
"""How long a holder may be silent before its allowances are taken back; it renews at a third of this."""
GRACE_MS = 5_000
"""How much longer the store waits, since a holder counts from when it asked and the store from when it heard."""
RECALL_MS = 5_000
"""How long after a shortage the other holders are asked to return what they do not use."""
FOR_EVER_MS = 2**62
"""Later than any lease ends."""
UNLIMITED = 2**62
"""The limit of a line that only observes: far above any sum, far below 64 bits."""


def join(shelf: Shelf, holder: str, now_ms: int) -> int:
    """Take what this holder had before back, and give it a new epoch: whoever still acts for the old one is fenced."""
    reclaim(shelf, holder, now_ms)
    epoch = shelf.epoch(holder) + 1
    shelf.set_holder(holder, epoch, now_ms + LEASE_MS)
    return epoch


def leave(shelf: Shelf, holder: str, epoch: int, now_ms: int) -> None:
    """A holder that reported everything goes: its leases are taken back and its epoch ends."""
    _not_fenced(shelf, holder, epoch)
    reclaim(shelf, holder, now_ms)
    shelf.set_holder(holder, epoch + 1, 0)


def sweep(shelf: Shelf, now_ms: int) -> list[str]:
    """Reclaim the allowances of holders that have been silent too long, and fence them. Returns who they were."""
    return _fence(shelf, shelf.lapsed(now_ms - GRACE_MS), now_ms)


def revoke(shelf: Shelf, now_ms: int) -> list[str]:
    """Reclaim the allowances of every holder, and fence them all. Returns who they were."""
    return _fence(shelf, shelf.lapsed(FOR_EVER_MS), now_ms)


def _fence(shelf: Shelf, holders: Sequence[str], now_ms: int) -> list[str]:
    for holder in holders:
        reclaim(shelf, holder, now_ms)
        shelf.set_holder(holder, shelf.epoch(holder) + 1, 0)
    return list(holders)


def reclaim(shelf: Shelf, holder: str, now_ms: int) -> None:
    """End every lease of a holder. Attempts that were sent and never settled count at their worst case; of rows that
    are not journalled the whole lease is forfeited, since nobody knows what was spent.
    """
    forfeits: dict[int, int] = {}
    lost: list[Entry] = []
    for entry in shelf.unsettled(holder):
        lost.append(entry._replace(state="worst", ended_ms=now_ms, cost=entry.worst))
        for rows, units in entry.holds:
            for row_id in rows:
                forfeits[row_id] = forfeits.get(row_id, 0) + units
    shelf.write(holder, shelf.epoch(holder), lost)
    for row_id, lease in shelf.leases(holder).items():
        row = shelf.row(row_id)
        forfeit = forfeits.get(row_id, 0) if row.journalled else lease
        assert forfeit <= lease, "a holder held more than it was lent"
        row.leased -= lease
        _settle(shelf, row, forfeit, now_ms)
        shelf.set_lease(holder, row_id, 0)
        for crossing in crossings(row, now_ms):
            shelf.cross(crossing)
        shelf.put(row)


def sync(shelf: Shelf, request: Sync, now_ms: int) -> Synced:
    """Apply one report and lend what is asked for. Raises `Fenced` when the holder's epoch is over."""
    _not_fenced(shelf, request.holder, request.epoch)
    answer = Synced()
    shelf.write(request.holder, request.epoch, [*request.sent, *request.ended])
    for attempt, holds in request.shrunk.items():
        shelf.resize(attempt, holds)
    for report in request.spent:
        _report(shelf, request.holder, report, now_ms, answer)
    for correction in request.corrections:
        correct(shelf, correction, now_ms)
    for row_id in request.refused:
        _refused(shelf, row_id, now_ms, answer)
    idle = dict(request.idle)
    for want in request.wants:
        answer.verdicts.append(_want(shelf, request.holder, want, idle, now_ms, answer))
    if request.renew:
        answer.recall = shelf.recalled(request.holder, now_ms)
        shelf.set_holder(request.holder, request.epoch, now_ms + LEASE_MS)
    return answer


def _not_fenced(shelf: Shelf, holder: str, epoch: int) -> None:
    if shelf.epoch(holder) != epoch:
        raise Fenced(f"holder {holder} was replaced or silent too long: its allowances are no longer its own")


def _report(shelf: Shelf, holder: str, report: Spent, now_ms: int, answer: Synced) -> None:
    row, lease = shelf.row(report.row), shelf.lease(holder, report.row)
    if report.excess:
        # Truth above the worst case: it is spent, so it is recorded, as a forced lease.
        row.leased += report.excess
        lease += report.excess
        row.overrun = max(row.overrun, row.settled + row.leased - row.limit)
    taken = report.units + report.returned
    assert 0 <= taken <= lease, "a holder reported more than it was lent"
    row.leased -= taken
    _settle(shelf, row, report.units, now_ms)
    shelf.set_lease(holder, report.row, lease - taken)
    _tell(shelf, answer, crossings(row, now_ms))
    shelf.put(row)


def _settle(shelf: Shelf, row: Row, units: int, now_ms: int) -> None:
    row.settled += units
    if row.rolling and units:
        slot = slot_of(row.policy, now_ms)
        shelf.set_slot(row.id, slot, shelf.slots(row.id).get(slot, 0) + units)


def correct(shelf: Shelf, correction: Correction, now_ms: int) -> None:
    """Put the truth in the place of a worst case that was counted; what is not counted so is left alone."""
    entry = shelf.entry(correction.attempt)
    if entry is None or entry.state != "worst":
        return
    counted = {row_id: units for rows, units in entry.holds for row_id in rows}
    # A hold that had shrunk to nothing counted nothing of a row, and the truth may still be more.
    for row_id in sorted({*counted, *(row_id for row_id, units in correction.units.items() if units)}):
        row, before = shelf.row(row_id), counted.get(row_id, 0)
        change = correction.units.get(row_id, before) - before
        if row.rolling:
            change = _correct_slots(shelf, row, change, entry.ended_ms, now_ms)
        row.settled += change
        if change > 0:
            row.overrun = max(row.overrun, row.settled + row.leased - row.limit)
        shelf.put(row)
    shelf.correct(entry._replace(state=correction.state, cost=correction.cost, ended_ms=now_ms, body=correction.body))


def _correct_slots(shelf: Shelf, row: Row, change: int, counted_ms: int, now_ms: int) -> int:
    """Take a refund out of the slot that the worst case was counted in (nothing if that has left the window: what newer
    slots hold is other calls' truth), or add what was missing now; returns what was changed.
    """
    slot = slot_of(row.policy, counted_ms if change < 0 else now_ms)
    units = shelf.slots(row.id).get(slot, 0)
    change = max(change, -units)
    if change:
        shelf.set_slot(row.id, slot, units + change)
    return change


def _refused(shelf: Shelf, row_id: int, now_ms: int, answer: Synced) -> None:
    """A call was refused for want of this row: the first one is an emergency, whatever has been settled so far."""
    row = shelf.row(row_id)
    row.refused += 1
    if row.levels and not row.share:
        _tell(shelf, answer, crossings(row, now_ms, at_least=row.levels[-1][1]))
    shelf.put(row)


def crossings(row: Row, now_ms: int, *, at_least: int = 0) -> list[Crossing]:
    """Levels that the row has reached and not yet crossed in this window; marks them."""
    reached = max(row.settled, at_least)
    news = []
    for bit, (level, amount) in enumerate(row.levels):
        crossed = amount <= row.settled or (level == "emergency" and amount <= reached)
        if crossed and not row.crossed & 1 << bit:
            row.crossed |= 1 << bit
            window = f"rolling @{now_ms}" if row.rolling else f"{row.kind} {row.window}"
            news.append(
                Crossing(
                    budget=row.budget,
                    part=row.part,
                    window=window,
                    level=level,
                    spent=row.settled,
                    limit=row.levels[-1][1],
                    at_ms=now_ms,
                )
            )
    return news


def _tell(shelf: Shelf, answer: Synced, news: Sequence[Crossing]) -> None:
    answer.crossings += [crossing for crossing in news if shelf.cross(crossing)]


def _want(
    shelf: Shelf,
    holder: str,
    want: Sequence[tuple[Line, int]],
    idle: dict[int, int],
    now_ms: int,
    answer: Synced,
) -> Shortage | None:
    """Lend what one call is missing, on all of its lines or on none."""
    rows = [(line, open_row(shelf, line, now_ms, answer), need) for line, need in want]
    for line, row, need in rows:
        have = idle.get(row.id, 0)
        if need and not fits(limit=row.limit, settled=row.settled, held=row.leased - have, need=need):
            lease = shelf.lease(holder, row.id)
            if row.leased > lease:
                row.recall_ms = now_ms + RECALL_MS
                shelf.put(row)
            return Shortage(
                line=line,
                row=row.id,
                window=row.window,
                limit=row.limit,
                settled=row.settled,
                held=row.leased - have,
                need=need,
                elsewhere=row.leased - lease,
                resets_at=None if row.rolling or need > row.limit else _instant(row.ends_ms),
            )
    for line, row, need in rows:
        granted = lend(row, short=need - idle.get(row.id, 0), now_ms=now_ms)
        idle[row.id] = idle.get(row.id, 0) + granted - need
        if granted:
            shelf.set_lease(holder, row.id, shelf.lease(holder, row.id) + granted)
            shelf.put(row)
        earlier = answer.grants.get(line.key)
        answer.grants[line.key] = _grant(row, granted + (earlier.granted if earlier else 0))
    return None


def lend(row: Row, *, short: int, now_ms: int) -> int:
    """How much of a row to lend to a holder that is `short` of that much: some more than it asks while there is
    plenty, so that it need not ask again soon, and exactly what it asks when others were short or little is left.
    """
    if short <= 0:
        return 0
    free = row.limit - row.settled - row.leased
    # A crash forfeits what is out of a row that is not journalled: at most one in a hundred of its limit.
    chunk = row.limit // (16 if row.journalled else 100)
    more = 0 if row.recall_ms > now_ms else min(chunk, free // 4)
    granted = min(free, max(short, more))
    row.leased += granted
    return granted


def open_row(shelf: Shelf, line: Line, now_ms: int, answer: Synced) -> Row:
    """The current window of a line. Only this opens one: a clock set back never makes an older window current."""
    row = shelf.newest(line.key)
    if row is not None and (row.rolling or now_ms < row.ends_ms):
        changed = _slide(shelf, row, now_ms, answer) if row.rolling else False
        if _relimit(row, line) or changed:
            shelf.put(row)
        return row
    if row is not None and (row.crossed or row.refused) and not line.share:
        window = window_at(line.window, _instant(now_ms))
        answer.resets.append(Reset(budget=line.budget, part=line.part, window=f"{line.window.kind} {window.key}"))
    return shelf.add(new_row(line, now_ms))


def peek(shelf: Shelf, line: Line, now_ms: int) -> Row:
    """How a line stands, without changing anything: as it would open where its window is over or was never used."""
    row = shelf.newest(line.key)
    if row is None or (not row.rolling and now_ms >= row.ends_ms):
        return new_row(line, now_ms)
    if row.rolling:
        gone_before = slots_gone_before(row.policy, now_ms)
        row.settled -= sum(units for slot, units in shelf.slots(row.id).items() if slot < gone_before)
    return row


def new_row(line: Line, now_ms: int) -> Row:
    """The row of a line in the window of `now_ms`, not yet in any store (its id is 0)."""
    window = window_at(line.window, _instant(now_ms))
    return Row(
        id=0,
        key=line.key,
        budget=line.budget,
        part=line.part,
        share=line.share,
        unit=line.unit,
        kind=line.window.kind,
        window=window.key,
        starts_ms=_milliseconds(window.starts_at),
        ends_ms=0 if line.window.kind == "rolling" else _milliseconds(window.ends_at),
        span_ms=line.window.span_ms,
        limit=UNLIMITED if line.observe else line.limit,
        levels=line.levels,
        journalled=line.journalled,
    )


def _relimit(row: Row, line: Line) -> bool:
    """Take over a changed limit or changed levels in the middle of a window. Lowering below what is already
    committed is recorded as overrun, and nothing more is lent until the window ends.
    """
    limit = UNLIMITED if line.observe else line.limit
    if (row.limit, row.levels) == (limit, line.levels):
        return False
    row.limit, row.levels = limit, line.levels
    row.overrun = max(row.overrun, row.settled + row.leased - limit)
    kept = 0
    for bit, (_, amount) in enumerate(row.levels):
        kept |= (amount <= row.settled) << bit & row.crossed
    row.crossed = kept
    return True


def _slide(shelf: Shelf, row: Row, now_ms: int, answer: Synced) -> bool:
    """Let the slots go that lie wholly outside a rolling window; re-arm its levels once it is below all of them."""
    gone_before = slots_gone_before(row.policy, now_ms)
    gone = [(slot, units) for slot, units in shelf.slots(row.id).items() if slot < gone_before]
    for slot, units in gone:
        row.settled -= units
        shelf.set_slot(row.id, slot, 0)
    if gone and row.crossed and row.levels and row.settled < row.levels[0][1]:
        row.crossed, row.refused = 0, 0
        answer.resets.append(Reset(budget=row.budget, part=row.part, window="rolling"))
    return bool(gone)


def _grant(row: Row, granted: int) -> Grant:
    ends = datetime.max.replace(tzinfo=UTC) if row.rolling else _instant(row.ends_ms)
    return Grant(
        key=row.key,
        row=row.id,
        window=row.window,
        starts_at=_instant(row.starts_ms),
        ends_at=ends,
        granted=granted,
        limit=row.limit,
        settled=row.settled,
        leased=row.leased,
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _instant(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _milliseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)
