"""The cap holds through random histories, and the proof has teeth: every planted fault is found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.governor.histories import Histories, Modules

SOURCE = Path(__file__).resolve().parents[2] / "src" / "aegis"
COPIED = (*SOURCE.glob("core/*.py"), *SOURCE.glob("governor/*.py"), SOURCE / "stores/memory_ledger.py")
TRIED = 400
"""Histories within which a planted fault has to be found."""

ESCROW, HELD, HOLDER, SHELF = (
    "core/escrow.py",
    "governor/allowances.py",
    "governor/holder.py",
    "stores/memory_ledger.py",
)
FAULTS = {
    "a lost holder pays nothing": (ESCROW, "_settle(shelf, row, forfeit, now_ms)", "_settle(shelf, row, 0, now_ms)"),
    "what was not journalled is not forfeited": (ESCROW, "if row.journalled else lease", "if row.journalled else 0"),
    "the limit is not looked at": (ESCROW, "if need and not fits(", "if need < 0 and not fits("),
    "an old epoch may report": (ESCROW, "if shelf.epoch(holder) != epoch:", "if shelf.epoch(holder) < 0:"),
    "joining leaves the old leases": (ESCROW, "    reclaim(shelf, holder, now_ms)\n    epoch", "    epoch"),
    "joining keeps the epoch": (ESCROW, "epoch = shelf.epoch(holder) + 1", "epoch = max(1, shelf.epoch(holder))"),
    "a correction is applied twice": (ESCROW, 'or entry.state != "worst"', 'or entry.state == "sent"'),
    "a correction forgets what was counted": (ESCROW, "(row_id, counted) - counted", "(row_id, counted) - 2 * counted"),
    "more is lent than is free": (ESCROW, "granted = min(free, max(short, more))", "granted = max(short, more) + 9"),
    "a report does not shorten the lease": (ESCROW, "report.row, lease - taken)", "report.row, lease)"),
    "what is returned stays lent": (ESCROW, "row.leased -= taken", "row.leased -= report.units"),
    "excess is not recorded": (ESCROW, "    if report.excess:\n", "    if report.excess < 0:\n"),
    "one line is not held": (HELD, "if allowance.free < need:", "if allowance.free < need // 2:"),
    "a hold is never released": (HELD, "allowance.held -= need\n                allowance.spent", "allowance.spent"),
    "what a call freed is used before it is known": (HELD, "allowance.freed += back", "allowance.free += back"),
    "truth above the worst case vanishes": (HELD, "self.excess += beyond - covered", "self.excess += 0"),
    "idle allowance goes back and stays": (HELD, "allowance.free = allowance.freeing = 0", "allowance.freeing = 0"),
    "a call is sent before it is on record": (HOLDER, "        await self._wait(batch)\n        if hold.epoch", "        if hold.epoch"),
    "a doubtful report changes nothing": (HOLDER, "self._doubtful = True\n            self", "self"),
    "a failed report is forgotten": (HOLDER, "self._ended = ended + self._ended", "self._ended = self._ended"),
    "one idle unit serves two calls": (ESCROW, "+ granted - need", "+ granted"),
    "an attempt ends twice": (SHELF, 'before[1].state == "sent" and', ""),
}  # fmt: skip


def test_the_cap_holds_through_random_histories(*, long: bool) -> None:
    count = 10_000 if long else 500
    run_state_machine_as_test(Histories, settings=settings(max_examples=count, stateful_step_count=40))


@pytest.fixture
def planted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[type[Histories]]:
    """The machine over a copy of the package in which one line was changed."""
    file, sound, faulty = FAULTS[request.param]
    name = f"faulty_{abs(hash(request.param))}"
    for source in COPIED:
        text = source.read_text(encoding="utf-8")
        if source == SOURCE / file:
            assert text.count(sound) >= 1, f"{file} does not say {sound!r} any more"
            text = text.replace(sound, faulty)
        copy = tmp_path / name / source.relative_to(SOURCE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text.replace("from aegis.", f"from {name}.").replace("from aegis.core", f"from {name}.core"))
    sys.path.insert(0, str(tmp_path))
    try:
        yield type("Faulty", (Histories,), {"modules": Modules(name)})
    finally:
        sys.path.remove(str(tmp_path))
        for loaded in [module for module in sys.modules if module.split(".")[0] == name]:
            del sys.modules[loaded]


@pytest.mark.parametrize("planted", FAULTS, indirect=True, ids=lambda name: name.replace(" ", "-"))
def test_a_planted_fault_is_found(planted: type[Histories]) -> None:
    few = settings(
        max_examples=TRIED,
        stateful_step_count=40,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(planted, settings=few)
