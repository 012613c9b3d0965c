"""Every report of races, reservations, arithmetic and streams in the evidence is a named claim, or says why not here."""

from __future__ import annotations

import re
from pathlib import Path

from tests.governor.test_complaints_races import GATEWAY

HERE = Path(__file__).parent


def reported(shared: Path) -> set[str]:
    """The numbers of the issues and pull requests in the complaint list, parts A to D."""
    text = (shared / "notes" / "gateways.md").read_text(encoding="utf-8")
    part = text[text.index("\nA. Races") : text.index("\nE. Operation")]
    return set(re.findall(r"#(\d+)", part))


def test_every_reported_number_is_the_name_of_a_claim(shared: Path) -> None:
    numbers = reported(shared)
    assert len(numbers) >= 50
    names = [
        name for file in HERE.glob("test_complaints_*.py") for name in re.findall(r"def (test_\w+)\(", file.read_text())
    ]
    claimed = {number for name in names for number in re.findall(r"_(\d+)(?=_|$)", name)}
    later = {number for report in GATEWAY for number in re.findall(r"#(\d+)", report)}
    assert numbers - claimed - later == set()
