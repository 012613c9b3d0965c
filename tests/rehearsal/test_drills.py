"""Every drill, as anybody runs it: what it writes is what stands under docs/drills, it keeps to itself, and a planted fault
lowers its score.
"""

from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from aegis.core.errors import BadInput
from aegis.governor.pricing import compile_list
from aegis.rehearsal.drills.catalogue import KINDS, run
from aegis.rehearsal.drills.history import SCHEMA
from aegis.rehearsal.drills.markdown import markdown
from aegis.rehearsal.drills.report import SIX, Report

pytestmark = pytest.mark.anyio
DOCS = Path(__file__).resolve().parents[2] / "docs" / "drills"
SEED = 7


@cache
def table() -> bytes:
    return compile_list()


async def played(kind: str, planted: str = "", *, seed: int = SEED) -> Report:
    return await run(kind, table=table(), seed=seed, fast=True, planted=planted)


@pytest.fixture(autouse=True)
async def quietly() -> AsyncIterator[None]:
    """A drill's Aegis logs what it does; nobody reads it here."""
    import logging

    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_drill_passes_keeps_to_itself_and_is_as_its_page_says(kind: str) -> None:
    report = await played(kind)

    assert report.score == 100, report.improve
    assert report.secluded.good, report.secluded
    assert report.secluded.connected, "the watch saw its connections"
    assert [measure.name for measure in report.measures] == list(SIX)
    kept = orjson.loads((DOCS / f"{kind}.json").read_bytes())
    assert settled({"schema": SCHEMA, **report.to_json()}) == settled(kept), f"aegis drill {kind} --fast"
    page, fresh = (DOCS / f"{kind}.md").read_text(), markdown(report)
    assert headings(page) == headings(fresh), f"aegis drill {kind} --fast"


def settled(document: dict[str, Any]) -> dict[str, Any]:
    """What a report says whatever machine it was run on: all but figures and the order of what happens at the same time."""
    measures = [
        {key: value for key, value in row.items() if not key.startswith("value")} for row in document["measures"]
    ]
    looked = [(row["name"], row["good"]) for row in document["looked"]]
    rest = {key: value for key, value in document.items() if key not in ("timeline", "improve", "ended")}
    return {**rest, "measures": measures, "looked": looked}


def headings(page: str) -> list[str]:
    """The page but for its figures and its timeline."""
    until = page.index("## What to improve")
    return [
        line.partition("|")[0] for line in page[:until].splitlines() if not line.startswith(("* good", "| ", "* seed"))
    ]


async def test_channels_that_are_down_lower_the_score() -> None:
    report = await played("injection", "channels-down")

    assert {measure.name: measure.verdict for measure in report.measures}["time_to_tell"] == "missed"
    assert report.score < 100
    assert report.secluded.good


@pytest.mark.parametrize(
    ("kind", "planted"),
    [(kind, planted) for kind, one in KINDS.items() for planted in one.plants],
    ids=str,
)
async def test_every_planted_fault_lowers_the_score(kind: str, planted: str, *, long: bool) -> None:
    if not long and planted != "backup-lost":
        pytest.skip("each takes seconds: --long")
    report = await played(kind, planted)

    assert report.score < 100
    assert report.planted
    assert report.secluded.good


@pytest.mark.parametrize("kind", KINDS)
async def test_other_seeds_pass_too(kind: str, *, long: bool) -> None:
    if not long:
        pytest.skip("each takes seconds: --long")
    for seed in (1, 2):
        report = await played(kind, seed=seed)
        assert report.score == 100, (seed, report.improve)


async def test_what_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="there is no drill fire"):
        await played("fire")
    with pytest.raises(BadInput, match="cannot be planted in budget"):
        await played("budget", "nobody-acts")
