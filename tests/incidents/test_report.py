"""The written report: complete from the record, and nothing in it can be followed."""

import re

import pytest
from tests.incidents.answers import good_answer
from tests.incidents.attacks import hostile_texts
from tests.incidents.stage import NOON, FakeAnalyst, FakeEnricher, Stage, detection, incident

from aegis.core.incidents import Observable
from aegis.core.markdown import plain
from aegis.core.telemetry import CallEnded
from aegis.incidents.report import TO_FILL, markdown

HEADINGS = (
    "## Incident Details",
    "## What Happened",
    "## Evidence",
    "## Timeline",
    "## Actions Taken",
    "## Root Cause Analysis",
    "## Prevention Measures",
    "## Follow-up Actions",
    "## Lessons Learned",
)


def call(outcome: str, **changed: object) -> CallEnded:
    row = {"at": NOON, "call_id": "c1", "service": "anthropic", "model": "claude-sonnet-5-5", "outcome": outcome}
    return CallEnded(**(row | changed))  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_it_tells_the_whole_story_from_the_record() -> None:
    stage = Stage(analyst=FakeAnalyst(lambda _: good_answer()), enrichers=[FakeEnricher()])
    await stage.take(detection(observables=[Observable("user", "deploy")]))
    await stage.pipeline.drain()
    await stage.pipeline.acknowledge(stage.only().id, by="ana")
    calls = [call("settled", cost=12_000_000), call("refused", refused="budget"), call("cached")]

    text = markdown(stage.only(), calls=calls, deliveries=tuple(stage.store.deliveries.values()))

    places = [text.index(f"\n{heading}\n") for heading in HEADINGS]
    assert places == sorted(places)
    assert "Passwords were guessed over SSH until one fitted." in text
    assert "virustotal | 203.0.113.9 | malicious" in text
    assert "Acknowledged by ana" in text
    assert "opened, waiting for: pagerduty, slack" in text
    assert "anthropic claude-sonnet-5-5 asked, $0.0120" in text
    assert "not asked, refused by budget; nothing was spent" in text
    assert "- [ ] Lock the account." in text
    assert text.count(TO_FILL) == 3


def test_an_incident_without_an_analysis_still_has_a_report() -> None:
    assert "_Written offline by Aegis (not analysed yet)._" in markdown(incident())


@pytest.mark.parametrize("hostile", hostile_texts())
def test_hostile_text_is_shown_and_does_nothing(hostile: str) -> None:
    shown = plain(hostile)
    text = markdown(incident(detection(title=hostile or "x", evidence={"field": hostile})))

    for part in (shown, text):
        assert not re.search(r"(?<!\\)<", part)
        assert not re.search(r"\]\(|\]\[(?!\.|:)", part)
        assert "://" not in part
        assert not re.search(r"@\w|(?i:javascript|mailto|data):\S", part)
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {4, 5}


def test_plain_text_at_the_start_of_a_line_formats_nothing() -> None:
    for text in ("# not a heading", "> not a quote", "- not a list", "[x]: http://evil.example", "=== not a heading"):
        assert plain(text).startswith("\\")
