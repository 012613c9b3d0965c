"""Holds a history to the invariants: what is charged, held and on record at this moment."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.governor import invariants
from tests.governor.deeds import ROLLING_MS
from tests.governor.invariants import holds

if TYPE_CHECKING:
    from tests.governor.histories import World
    from tests.governor.watched import Process

DOUBLED = 10**6
"""What a confused caller reports a second time; the first report has to stay."""


def everything(world: World) -> None:
    """Every invariant, as the records are now."""
    books = world.run(world.store.books())
    invariants.within_limits(books, exact=not world.over)
    invariants.truth_is_counted(books, charged(world, books), forgiven(world, books))
    invariants.crashes_are_covered(books)
    invariants.settled_is_journalled(books, world.calls)
    invariants.ends_once(books, world.states, DOUBLED)
    for call in world.open:
        on_record = not call.hold.journalled or call.hold.attempt in books.journal
        holds(on_record, "I5 a call under way is not on record", call.hold.attempt)
    holders_have_what_they_were_lent(world, books)


def charged(world: World, books: Any) -> dict[int, int]:
    """What was truly charged per row; of a rolling one, what its span still covers."""
    begin = world.clock.now_ms() - ROLLING_MS
    sums: dict[int, int] = {}
    for row, at_ms, units in world.charges:
        if at_ms > begin or books.rows[row].kind != "rolling":
            sums[row] = sums.get(row, 0) + units
    return sums


def forgiven(world: World, books: Any) -> dict[int, int]:
    """Truth above a worst case that is not on record yet."""
    sums: Counter[int] = Counter()
    for attempt, call in world.calls.items():
        if call.above:
            entry = books.journal[attempt][1] if attempt in books.journal else None
            if entry is None or (entry.state, entry.cost) != ("settled", call.cost):
                sums.update(call.above)
    return sums


def holders_have_what_they_were_lent(world: World, books: Any) -> None:
    """I3: free, held and spent are the lease and the excess, while the holder is who it thinks it is."""
    for name, process in world.processes.items():
        holder = process.holder
        if holder._doubtful or books.holders.get(name, (0, 0))[0] != holder._epoch:
            continue
        allowances, held = holder._allowances, under_way(world, process)
        for a in (*allowances._current.values(), *allowances._retired):
            lent = books.lent.get((name, a.row), 0) + a.excess
            has = a.idle + a.held + a.spent
            holds(a.held == held[a.row], "I3 what is held is not what calls hold", name, a.row, a.held)
            holds(has == lent, "I3 a holder has not what it was lent", name, a.row, has, lent)
            holds(min(a.free, a.freed, a.held, a.spent, a.excess) >= 0, "I3 an amount is negative", name, a.row)


def under_way(world: World, process: Process) -> Counter[int]:
    """What the calls of a process hold of each row."""
    held: Counter[int] = Counter()
    for call in world.open:
        if call.process is process and call.hold.epoch == process.holder._epoch:
            held.update(call.hold.units(call.hold.needs))
    return held


def the_living_are_on_record(world: World, books: Any) -> None:
    """I5: however often the store failed, a call whose process lives is on record at what it cost."""
    alive = {*world.zombies, *world.processes.values()}
    for attempt, call in world.calls.items():
        if call.process in alive and call.hold.journalled and call.cost > 0:
            found = books.journal.get(attempt)
            holds(found is not None, "I5 a call was sent that is not on record", attempt)
            seen = (found[1].state, found[1].cost)
            holds(seen == ("settled", call.cost), "I5 the journal does not know the truth", attempt, *seen, call.cost)


def nothing_is_left(world: World) -> None:
    """After quiet no hold is left (I7), everything was told (I10), and the totals are the journal's (I12)."""
    crossings = world.run(world.store.crossings())
    untold = [crossing for crossing in crossings if crossing not in world.told]
    holds(not untold, "I10 a level was crossed and never told", untold)
    books = world.run(world.store.books())
    for row in books.rows.values():
        holds(row.leased == 0, "I7 a hold outlived its holder", row)
    invariants.totals_are_the_journal(books, world.run(world.ledger.totals()))
