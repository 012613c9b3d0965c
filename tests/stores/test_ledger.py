"""What every ledger promises, in memory, SQLite and PostgreSQL: it lends only what fits, and who is fenced changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from tests.stores.postgres import emptied

from aegis.core.budgets import Level, Line
from aegis.core.errors import Fenced
from aegis.core.ledger import Correction, Entry, Row, Spent, Switch, Sync, Synced
from aegis.core.ports import Ledger
from aegis.core.windows import WindowKind, WindowPolicy
from aegis.stores.database import Database
from aegis.stores.ledger import SqliteLedger
from aegis.stores.memory_ledger import MemoryLedger
from aegis.stores.places import Transactions
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
HOUR_MS = 3_600_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def ledger(request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger(clock)
        return
    database: Transactions
    if request.param == "postgres":
        database = await emptied(request.getfixturevalue("postgres"))
    else:
        database = await Database.open(tmp_path / "aegis.db")
    yield SqliteLedger(database, clock)
    await database.close()


def line(name: str = "everything", *, unit: str = "usd", kind: WindowKind = "day", limit: int = 100) -> Line:
    policy = WindowPolicy(kind=kind, span_ms=24 * HOUR_MS)
    levels: tuple[tuple[Level, int], ...] = (("warning", limit // 2), ("emergency", limit))
    return Line(key=f"{name}|{kind}", budget=name, part="", unit=unit, window=policy, limit=limit, levels=levels)


def sent(number: int, row: int, need: int) -> Entry:
    return Entry(f"call-{number}/a-1-{number}", "sent", "anthropic", "m", 1, 0, need, 0, (((row,), need),), b"{}")


def ended(entry: Entry, cost: int) -> Entry:
    return entry._replace(state="settled", cost=cost, ended_ms=2)


async def borrow(ledger: Ledger, line_: Line, need: int, holder: str = "a", epoch: int = 1) -> Synced:
    """One want of one line."""
    return await ledger.sync(Sync(holder=holder, epoch=epoch, wants=[[(line_, need)]]))


async def row_of(ledger: Ledger, line_: Line) -> Row:
    [row] = await ledger.rows([line_])
    return row


async def test_a_want_is_granted_while_it_fits_and_refused_when_it_does_not(ledger: Ledger) -> None:
    await ledger.join("a")
    small = line(limit=10)
    granted = await borrow(ledger, small, 6)
    assert granted.grants[small.key].granted == 6
    [shortage] = (await borrow(ledger, small, 5)).verdicts
    assert shortage is not None
    assert (shortage.limit, shortage.settled, shortage.held, shortage.need) == (10, 0, 6, 5)
    assert shortage.resets_at == datetime(2026, 11, 22, tzinfo=UTC)


async def test_a_want_takes_all_of_its_lines_or_none(ledger: Ledger) -> None:
    await ledger.join("a")
    wide, narrow = line("wide", limit=1_000), line("narrow", limit=4)
    answer = await ledger.sync(Sync(holder="a", epoch=1, wants=[[(wide, 5), (narrow, 5)]]))
    assert (answer.verdicts[0] is not None, answer.grants) == (True, {})
    assert [(await row_of(ledger, each)).leased for each in (wide, narrow)] == [0, 0]


async def test_what_is_idle_is_counted_before_more_is_lent(ledger: Ledger) -> None:
    await ledger.join("a")
    small = line(limit=10)
    row = (await borrow(ledger, small, 6)).grants[small.key].row
    answer = await ledger.sync(Sync(holder="a", epoch=1, wants=[[(small, 10)]], idle={row: 6}))
    assert answer.verdicts == [None]
    assert (await row_of(ledger, small)).leased == 10


async def test_reported_spending_moves_from_lent_to_settled(ledger: Ledger) -> None:
    await ledger.join("a")
    row = (await borrow(ledger, line(), 40)).grants[line().key].row
    await ledger.sync(Sync(holder="a", epoch=1, spent=[Spent(row=row, units=15, returned=25)]))
    now = await row_of(ledger, line())
    assert (now.settled, now.leased) == (15, 0)


async def test_the_truth_above_the_worst_case_becomes_overrun(ledger: Ledger) -> None:
    await ledger.join("a")
    tight = line(limit=10)
    row = (await borrow(ledger, tight, 10)).grants[tight.key].row
    await ledger.sync(Sync(holder="a", epoch=1, spent=[Spent(row=row, units=13, excess=3)]))
    now = await row_of(ledger, tight)
    assert (now.settled, now.leased, now.overrun) == (13, 0, 3)
    assert (await borrow(ledger, tight, 1)).verdicts[0] is not None


async def test_a_lost_holder_pays_the_worst_case_of_what_it_sent_and_nothing_else(ledger: Ledger) -> None:
    await ledger.join("a")
    row = (await borrow(ledger, line(), 40)).grants[line().key].row
    first, second = sent(1, row, 10), sent(2, row, 7)
    await ledger.sync(Sync(holder="a", epoch=1, sent=[first, second]))
    await ledger.sync(Sync(holder="a", epoch=1, ended=[ended(first, 4)], spent=[Spent(row=row, units=4)]))
    await ledger.join("a")
    now = await row_of(ledger, line())
    assert (now.settled, now.leased) == (4 + 7, 0)
    [lost] = await ledger.attempts("call-2")
    assert (lost.state, lost.cost) == ("worst", 7)


async def test_a_lost_holder_forfeits_what_nobody_journalled(ledger: Ledger) -> None:
    await ledger.join("a")
    quota = line(unit="requests", limit=1_000)
    granted = (await borrow(ledger, quota, 1)).grants[quota.key].granted
    await ledger.join("a")
    now = await row_of(ledger, quota)
    assert (now.settled, now.leased) == (granted, 0)
    assert granted == 10, "at most one in a hundred of a quota is out at a time"


async def test_the_truth_about_a_lost_call_corrects_it_once(ledger: Ledger) -> None:
    await ledger.join("a")
    row = (await borrow(ledger, line(), 40)).grants[line().key].row
    await ledger.sync(Sync(holder="a", epoch=1, sent=[sent(1, row, 10)]))
    await ledger.join("a")
    truth = Correction(attempt="call-1/a-1-1", cost=3, units={row: 3}, body=b"{}")
    for _ in range(2):
        await ledger.sync(Sync(holder="a", epoch=2, corrections=[truth]))
    assert (await row_of(ledger, line())).settled == 3
    [entry] = await ledger.attempts("call-1")
    assert (entry.state, entry.cost) == ("settled", 3)
    assert [(t.state, t.calls, t.cost) for t in await ledger.totals(date.min) if t.calls] == [("settled", 1, 3)]


async def test_a_refund_leaves_alone_what_others_spent_later_in_a_rolling_window(
    ledger: Ledger, clock: FakeClock
) -> None:
    await ledger.join("a")
    rolling = line(kind="rolling")
    row = (await borrow(ledger, rolling, 40)).grants[rolling.key].row
    await ledger.sync(Sync(holder="a", epoch=1, sent=[sent(1, row, 10)]))
    await ledger.join("a")  # the first call counts at its worst case, now
    clock.pass_ms(10 * HOUR_MS)
    await borrow(ledger, rolling, 40, epoch=2)
    await ledger.sync(Sync(holder="a", epoch=2, spent=[Spent(row=row, units=5)]))
    truth = Correction(attempt="call-1/a-1-1", cost=2, units={row: 2}, body=b"{}")
    await ledger.sync(Sync(holder="a", epoch=2, corrections=[truth]))
    assert (await row_of(ledger, rolling)).settled == 2 + 5
    clock.pass_ms(15 * HOUR_MS)
    assert (await row_of(ledger, rolling)).settled == 5, "what was spent ten hours later is still in the window"


async def test_a_lost_call_that_held_nothing_any_more_still_counts_what_it_truly_took(ledger: Ledger) -> None:
    await ledger.join("a")
    row = (await borrow(ledger, line(), 40)).grants[line().key].row
    entry = sent(1, row, 10)
    await ledger.sync(Sync(holder="a", epoch=1, sent=[entry]))
    await ledger.sync(Sync(holder="a", epoch=1, shrunk={entry.attempt: ()}))
    await ledger.join("a")
    truth = Correction(attempt=entry.attempt, cost=3, units={row: 3}, body=b"{}")
    await ledger.sync(Sync(holder="a", epoch=2, corrections=[truth]))
    assert (await row_of(ledger, line())).settled == 3


async def test_a_fenced_holder_changes_nothing(ledger: Ledger) -> None:
    await ledger.join("a")
    row = (await borrow(ledger, line(), 40)).grants[line().key].row
    await ledger.join("a")
    before = await row_of(ledger, line())
    with pytest.raises(Fenced):
        await ledger.sync(Sync(holder="a", epoch=1, sent=[sent(1, row, 5)], spent=[Spent(row=row, units=5)]))
    with pytest.raises(Fenced):
        await ledger.leave("a", 1)
    assert (await row_of(ledger, line()), await ledger.attempts("call-1")) == (before, [])


async def test_a_silent_holder_is_swept_and_fenced(ledger: Ledger, clock: FakeClock) -> None:
    await ledger.join("a")
    await ledger.join("b")
    await borrow(ledger, line(), 40)
    clock.pass_ms(34_000)
    await borrow(ledger, line(), 1, holder="b")
    assert await ledger.sweep() == []
    clock.pass_ms(2_000)
    assert await ledger.sweep() == ["a"]
    assert (await row_of(ledger, line())).settled == 0
    with pytest.raises(Fenced):
        await borrow(ledger, line(), 1)


async def test_a_shortage_asks_the_other_holders_to_give_back(ledger: Ledger) -> None:
    await ledger.join("a")
    await ledger.join("b")
    row = (await borrow(ledger, line(), 90)).grants[line().key].row
    [shortage] = (await borrow(ledger, line(), 20, holder="b")).verdicts
    assert shortage is not None
    assert shortage.elsewhere >= 90
    assert (await ledger.sync(Sync(holder="a", epoch=1))).recall == {row}


async def test_an_attempt_ends_once(ledger: Ledger) -> None:
    await ledger.join("a")
    row = (await borrow(ledger, line(), 40)).grants[line().key].row
    entry = sent(1, row, 10)
    await ledger.sync(Sync(holder="a", epoch=1, sent=[entry], ended=[ended(entry, 4)], spent=[Spent(row=row, units=4)]))
    await ledger.sync(Sync(holder="a", epoch=1, sent=[entry], ended=[ended(entry, 9)]))
    [kept] = await ledger.attempts("call-1")
    assert (kept.state, kept.cost) == ("settled", 4)
    assert [(t.calls, t.cost) for t in await ledger.totals(date.min)] == [(1, 4)]


async def test_each_level_is_crossed_once_and_told_until_somebody_says_so(ledger: Ledger) -> None:
    await ledger.join("a")
    row = (await borrow(ledger, line(), 90)).grants[line().key].row
    news = [await ledger.sync(Sync(holder="a", epoch=1, spent=[Spent(row=row, units=30)])) for _ in range(3)]
    assert [[crossing.level for crossing in answer.crossings] for answer in news] == [[], ["warning"], []]
    [untold] = (await ledger.join("a")).untold
    assert (untold.level, untold.spent, untold.window) == ("warning", 60, "day 2026-11-21")
    await ledger.told([untold])
    assert (await ledger.join("a")).untold == []


async def test_the_first_refusal_for_want_of_budget_is_an_emergency(ledger: Ledger) -> None:
    await ledger.join("a")
    row = (await borrow(ledger, line(), 90)).grants[line().key].row
    news = [await ledger.sync(Sync(holder="a", epoch=1, refused=[row])) for _ in range(2)]
    assert [[crossing.level for crossing in answer.crossings] for answer in news] == [["emergency"], []]


async def test_the_next_window_is_fresh_and_the_old_one_still_takes_what_was_held(
    ledger: Ledger, clock: FakeClock
) -> None:
    await ledger.join("a")
    row = (await borrow(ledger, line(), 100)).grants[line().key].row
    await ledger.sync(Sync(holder="a", epoch=1, spent=[Spent(row=row, units=60)]))
    clock.pass_ms(14 * HOUR_MS)
    answer = await borrow(ledger, line(), 100)
    assert [(reset.budget, reset.window) for reset in answer.resets] == [("everything", "day 2026-11-22")]
    await ledger.sync(Sync(holder="a", epoch=1, spent=[Spent(row=row, units=40)]))
    [old] = await ledger.numbered([row])
    new = await row_of(ledger, line())
    assert (old.settled, old.leased, new.settled, new.leased) == (100, 0, 0, 100)


async def test_a_clock_set_back_opens_no_window_again(ledger: Ledger, clock: FakeClock) -> None:
    await ledger.join("a")
    await borrow(ledger, line(), 100)
    clock.pass_ms(14 * HOUR_MS)
    await borrow(ledger, line(), 100)
    clock.jump(timedelta(hours=-20))
    assert (await borrow(ledger, line(), 1)).verdicts[0] is not None


async def test_a_clock_that_leaps_forward_is_not_believed_at_once(ledger: Ledger, clock: FakeClock) -> None:
    await ledger.join("a")
    await borrow(ledger, line(), 100)
    clock.jump(timedelta(days=1))
    assert (await borrow(ledger, line(), 1)).verdicts[0] is not None
    clock.pass_ms(15 * 60_000)
    assert (await borrow(ledger, line(), 1)).verdicts == [None]


async def test_a_rolling_window_lets_go_only_what_lies_wholly_outside(ledger: Ledger, clock: FakeClock) -> None:
    await ledger.join("a")
    rolling = line(kind="rolling")
    row = (await borrow(ledger, rolling, 100)).grants[rolling.key].row
    await ledger.sync(Sync(holder="a", epoch=1, spent=[Spent(row=row, units=100)]))
    clock.pass_ms(24 * HOUR_MS - 1)
    assert (await borrow(ledger, rolling, 1)).verdicts[0] is not None
    clock.pass_ms(HOUR_MS)
    assert (await row_of(ledger, rolling)).settled == 0
    assert (await borrow(ledger, rolling, 100)).verdicts == [None]


async def test_lowering_a_limit_below_what_is_committed_is_recorded_and_lends_nothing_more(ledger: Ledger) -> None:
    await ledger.join("a")
    await borrow(ledger, line(limit=100), 80)
    assert (await borrow(ledger, line(limit=50), 1)).verdicts[0] is not None
    now = await row_of(ledger, line(limit=50))
    assert (now.limit, now.leased >= 80, now.overrun) == (50, True, now.leased - 50)


async def test_leaving_gives_everything_back(ledger: Ledger) -> None:
    await ledger.join("a")
    await borrow(ledger, line(), 40)
    await ledger.leave("a", 1)
    assert (await row_of(ledger, line())).leased == 0


async def test_a_switch_is_on_record_until_it_is_turned(ledger: Ledger) -> None:
    scope = {"service": "anthropic"}
    await ledger.turn(Switch(scope=scope, stopped=True, reason="stolen key", at_ms=1))
    await ledger.turn(Switch(scope={}, stopped=True, reason="all", at_ms=2))
    await ledger.turn(Switch(scope=scope, stopped=False, reason="", at_ms=3))
    turned = {tuple(switch.scope): switch.stopped for switch in await ledger.switches()}
    assert turned == {("service",): False, (): True}


async def test_calls_whose_ids_begin_alike_are_kept_apart(ledger: Ledger) -> None:
    await ledger.join("a")
    names = ("call/1", "call", "call0", "cal")
    entries = [Entry(f"{n}/a-1-{i}", "cached", "x", "", 1, 1, 0, 0, (), b"{}") for i, n in enumerate(names)]
    await ledger.sync(Sync(holder="a", epoch=1, ended=entries))
    assert [entry.attempt for entry in await ledger.attempts("call")] == ["call/a-1-1"]


async def test_sqlite_keeps_everything_across_a_restart(clock: FakeClock, tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "aegis.db")
    ledger = SqliteLedger(database, clock)
    await ledger.join("a")
    row = (await borrow(ledger, line(), 40)).grants[line().key].row
    await ledger.sync(Sync(holder="a", epoch=1, spent=[Spent(row=row, units=15)]))
    before = await row_of(ledger, line())
    await database.close()
    database = await Database.open(tmp_path / "aegis.db")
    assert await row_of(SqliteLedger(database, clock), line()) == before
    await database.close()
