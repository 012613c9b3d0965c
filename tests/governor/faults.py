"""Faults planted into copies of the ledger's code, one line each, and the invariants that have to notice."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.governor.watched import Modules

SOURCE = Path(__file__).resolve().parents[2] / "src" / "aegis"
COPIED = [
    source
    for kind in ("core/*.py", "governor/*.py", "stores/*.py", "stores/*.sql", "stores/migrations/*.sql")
    for source in SOURCE.glob(kind)
]

ESCROW, BUDGETS = "core/escrow.py", "core/budgets.py"
HELD, HOLDER = "governor/allowances.py", "governor/holder.py"
SHELF = "stores/memory_ledger.py"
SQL, IN_SQLITE, SQLITE_SHELF = "stores/ledger.sql", "stores/ledger.py", "stores/shelf.py"


class Fault(NamedTuple):
    """In `file`, `sound` is replaced by `faulty`; `broken` are the invariants that may notice."""

    file: str
    sound: str
    faulty: str
    broken: str


FAULTS = {
    # what is decided
    "one unit too many fits": Fault(BUDGETS, "held + need <= limit", "held + need <= limit + 1", "I7"),
    "the last unit cannot be spent": Fault(BUDGETS, "held + need <= limit", "held + need < limit", "I7"),
    "the limit is not looked at": Fault(ESCROW, "if need and not fits(", "if need < 0 and not fits(", "I1 I7"),
    "more is lent than is free": Fault(ESCROW, "min(free, max(short, more))", "max(short, more) + 9", "I1"),
    "one idle unit serves two calls": Fault(ESCROW, "+ granted - need", "+ granted", "I7"),
    "what is idle is not counted": Fault(ESCROW, "have = idle.get(row.id, 0)\n", "have = 0\n", "I7"),
    "a limit that was lowered still lends": Fault(ESCROW, "row.limit, row.levels = limit,", "_, row.levels = limit,", "I7"),
    # what is lost
    "a lost holder pays nothing": Fault(ESCROW, "_settle(shelf, row, forfeit, now_ms)", "_settle(shelf, row, 0, now_ms)", "I1 I4 I9"),
    "a lost holder pays everything": Fault(ESCROW, "if row.journalled else lease", "if False else lease", "I9"),
    "what was not journalled is not forfeited": Fault(ESCROW, "if row.journalled else lease", "if row.journalled else 0", "I1 I4"),
    "joining leaves the old leases": Fault(ESCROW, "    reclaim(shelf, holder, now_ms)\n    epoch", "    epoch", "I3 I5 I8"),
    "joining keeps the epoch": Fault(ESCROW, "epoch = shelf.epoch(holder) + 1", "epoch = max(1, shelf.epoch(holder))", "I6"),
    "an old epoch may report": Fault(ESCROW, "if shelf.epoch(holder) != epoch:", "if shelf.epoch(holder) < 0:", "I6"),
    "a swept holder is not fenced": Fault(ESCROW, "shelf.set_holder(holder, shelf.epoch(holder) + 1, 0)", "shelf.set_holder(holder, shelf.epoch(holder), 0)", "I3"),
    "what a lost holder had stays lent": Fault(ESCROW, "shelf.set_lease(holder, row_id, 0)", "pass", "I2"),
    # what is corrected
    "a correction is applied twice": Fault(ESCROW, 'or entry.state != "worst"', 'or entry.state == "sent"', "I1 I4 I9"),
    "a correction forgets what was counted": Fault(ESCROW, "(row_id, before) - before", "(row_id, before) - 2 * before", "I1 I4 I9"),
    "a refund is taken from newer slots": Fault(ESCROW, "counted_ms if change < 0 else now_ms", "now_ms", "I2 I4"),
    "a hold that shrank to nothing is not corrected": Fault(ESCROW, "if units)}", "if units < 0)}", "I4 I9"),
    # what is reported
    "a report does not shorten the lease": Fault(ESCROW, "report.row, lease - taken)", "report.row, lease)", "I1 I2"),
    "what is returned stays lent": Fault(ESCROW, "row.leased -= taken", "row.leased -= report.units", "I1 I2"),
    "excess is not recorded": Fault(ESCROW, "    if report.excess:\n", "    if report.excess < 0:\n", "I1 I2 I8"),
    "a rolling slot leaves too early": Fault(ESCROW, "if slot < gone_before]", "if slot <= gone_before + row.span_ms // 2]", "I4"),
    "a level is crossed at every report": Fault(ESCROW, "and not row.crossed & 1 << bit", "", "I10"),
    "a window that is over still lends": Fault(ESCROW, "now_ms < row.ends_ms)", "now_ms < row.ends_ms + 60_000)", "I7 I11"),
    "a hold that shrank is kept on record": Fault(SHELF, 'if found is not None and found[1].state == "sent":', "if False:", "I8"),
    "an attempt ends twice": Fault(SHELF, 'before[1].state == "sent" and', "", "I5 I9"),
    # what is held
    "one line is not held": Fault(HELD, "if allowance.free < need:", "if allowance.free < need // 2:", "I1 I3 I8"),
    "a hold is never released": Fault(HELD, "amount\n                allowance.freed += back", "amount", "I3"),
    "what a call freed is used before it is known": Fault(HELD, "allowance.freed += back", "allowance.free += back", "I4 I8"),
    "a call counts in a window that is over": Fault(HOLDER, "self._clock.now() >= bundle.ends_at", "False", "I11"),
    "truth above the worst case vanishes": Fault(HELD, "self.excess += beyond - covered", "self.excess += 0", "I1 I2 I3 I4"),
    "idle allowance goes back and stays": Fault(HELD, "allowance.free = allowance.freeing = 0", "allowance.freeing = 0", "I2 I3 I4 I8"),
    "a window that was given back takes no late truth": Fault(HELD, "dirty = list(self._dirty)", "dirty = [a for a in self._dirty if a in self._retired or a in self.current()]", "I4"),
    "a stream's hold shrinks before the journal says so": Fault(HOLDER, "self._shrunk[hold] = tuple(map(min, needs, hold.needs))", "hold.shrink(tuple(map(min, needs, hold.needs)))", "I8"),
    # what is doubtful
    "a call is sent before it is on record": Fault(HOLDER, "        await self._wait(batch)\n        if hold.epoch", "        if hold.epoch", "I5"),
    "a call is sent under an epoch that is over": Fault(HOLDER, "if hold.epoch != self._epoch:\n            raise", "if hold.epoch < 0:\n            raise", "I5"),
    "a doubtful report changes nothing": Fault(HOLDER, "self._doubtful = True\n            self", "self", "I1 I2 I3 I4 I5 I7 I8 I9"),
    "what a call freed is used in doubt": Fault(HELD, "self._reporting = []\n            return", "self.reported()\n            return", "I4"),
    "a failed report is forgotten": Fault(HOLDER, "= ended + self._ended, late", "= self._ended, late", "I5"),
    "a lost call is told as a new one": Fault(HOLDER, "ended.hold.epoch != self._epoch and ended.hold.journalled", "False", "I5"),
    "a caller that gave up keeps what it got": Fault(HOLDER, "hold.bundle.give_back(hold.needs)", "pass", "I3"),
}  # fmt: skip

SQL_FAULTS = {
    "an attempt ends twice in the tables": Fault(SQL, "WHERE ledger_journal.state = 'sent'", "", "I5 I9 I12"),
    "what was sent together is forgotten when the first of it ends": Fault(IN_SQLITE, "if not batch.left:", "if True:", "I5"),
    "only one of what was sent together is on record": Fault(SQLITE_SHELF, '"entries": _entries_text(sent)', '"entries": _entries_text(sent[:1])', "I5"),
    "a lost holder pays only for what it sent last": Fault(SQL, "WHERE holder = :holder ORDER BY epoch, batch", "WHERE holder = :holder ORDER BY batch DESC LIMIT 1", "I4 I5 I9"),
    "a crash counts what a stream gave back": Fault(SQLITE_SHELF, "holds=shrunk.get(e.attempt, e.holds)", "holds=e.holds", "I1 I2 I9"),
    "a report that repeats an end counts it again": Fault(SQLITE_SHELF, "        if changed != len(ended):", "        if False:", "I12"),
    "what ended is counted as lost": Fault(SQLITE_SHELF, "if self.entry(entry.attempt) is None", "if True", "I1 I2 I9"),
    "a correction counts twice": Fault(SQLITE_SHELF, "calls=-1, cost=-before.cost", "calls=0, cost=0", "I12"),
    "a lease is written to the wrong holder": Fault(SQL, "DO UPDATE SET units = excluded.units\n\n-- name: end_lease", "DO NOTHING\n\n-- name: end_lease", "I1 I2"),
}  # fmt: skip


@contextmanager
def planted(name: str, folder: Path) -> Iterator[Modules]:
    """A copy of the package with this fault in it ("" for none). Its own assertions are silenced: the invariants
    alone have to notice.
    """
    fault = (FAULTS | SQL_FAULTS).get(name)
    package = re.sub(r"\W", "_", f"copy with {name or 'nothing'}")
    for source in COPIED:
        text = source.read_text(encoding="utf-8")
        if fault is not None and source == SOURCE / fault.file:
            assert fault.sound in text, f"{fault.file} does not say {fault.sound!r} any more"
            text = text.replace(fault.sound, fault.faulty)
        copy = folder / package / source.relative_to(SOURCE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".py":
            text = re.sub(r"^( +)assert ", r"\1assert True or ", text, flags=re.MULTILINE)
        copy.write_text(text.replace("from aegis.", f"from {package}.").replace('"aegis.stores', f'"{package}.stores'))
    sys.path.insert(0, str(folder))
    try:
        yield Modules(package)
    finally:
        sys.path.remove(str(folder))
        for loaded in [module for module in sys.modules if module.split(".")[0] == package]:
            del sys.modules[loaded]
