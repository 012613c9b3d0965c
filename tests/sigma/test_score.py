"""The engine against real logs: every known match is found, nothing is found that cannot be explained.

In the short run, lines with a known match and every twentieth other line are asked; with `--long`, every line.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.sigma.corpora import expected, rows, rules, windows_rules

from aegis.sigma import Engine

WINDOWS = ["evtx_attack", "evtx_mitre", "mordor_windows", "benign_windows"]
STRIDE = 20

EXPLAINED = {
    # The rule asks for an empty StartModule, and these events have an empty one. The reference engines drop empty
    # elements while they flatten an event, so for them the field is missing.
    ("evtx_attack", "f239b326-2f41-4d6b-9dfa-c846a60ef505"),
}


@cache
def windows_engine(shared: Path, *, memos: bool = True) -> Engine:
    listed = windows_rules(shared)
    return Engine(listed) if memos else Engine(listed, caches=None)


def audited_process(event: dict[str, Any]) -> bool:
    """Whether an event is process creation by audit (4688): the reference engines know only Sysmon's event 1."""
    system = event["Event"]["System"] if "Event" in event else event
    return str(system.get("EventID")) == "4688" and str(system.get("Channel")).lower() == "security"


def found_in(engine: Engine, event: dict[str, Any], index: int) -> set[tuple[int, str]]:
    return {(index, match.rule.id) for match in engine.match(event)}


def test_every_rule_of_the_public_collection_is_used_or_named(shared: Path) -> None:
    engine = Engine(rules(shared))
    assert len(rules(shared)) >= 3_700
    assert all("placeholder" in problem.reason for problem in engine.problems)
    assert len(engine.problems) <= 2


@pytest.mark.parametrize("corpus", WINDOWS)
def test_every_agreed_match_is_found_and_every_other_explained(shared: Path, corpus: str, long: bool) -> None:
    engine, answers = windows_engine(shared), expected(shared, corpus)
    by_id = {rule.id: rule for rule in windows_rules(shared)}
    asked = {line for pairs in answers.values() for line, _ in pairs}
    found: set[tuple[int, str]] = set()
    for index, row in enumerate(rows(shared, corpus)):
        if long or index in asked or index % STRIDE == 0:
            event = row["event"]
            for line, rule in found_in(engine, event, index):
                if (line, rule) in answers["agreed"] | answers["prototype_only"] or (corpus, rule) in EXPLAINED:
                    found.add((line, rule))
                else:
                    assert audited_process(event), (corpus, line, by_id[rule].title)
                    assert by_id[rule].logsource.category == "process_creation"
    assert answers["agreed"] <= found
    assert answers["prototype_only"] <= found
    assert not found & answers["zircolite_only"]


def test_a_benign_machine_is_hardly_ever_called_compromised(shared: Path, long: bool) -> None:
    engine = windows_engine(shared)
    loud = [
        match.rule.title
        for index, row in enumerate(rows(shared, "benign_windows"))
        if long or index % 2 == 0
        for match in engine.match(row["event"])
        if match.rule.level in ("high", "critical")
    ]
    assert len(loud) <= 2, loud


def test_every_regression_case_of_the_collection_passes(shared: Path) -> None:
    engine = windows_engine(shared)
    cases = list(rows(shared, "sigma_regression"))
    failed = [
        case["title"]
        for case in cases
        if sum(any(match.rule.id == case["rule_id"] for match in engine.match(event)) for event in case["events"])
        < (case["match_count"] or 1)
    ]
    assert len(cases) >= 129
    assert failed == []


def test_cloudtrail_matches_are_exactly_the_agreed_ones(shared: Path) -> None:
    engine = Engine([rule for rule in rules(shared) if rule.origin.startswith("rules/cloud/aws/")])
    found = {
        pair for index, row in enumerate(rows(shared, "cloudtrail")) for pair in found_in(engine, row["event"], index)
    }
    assert found == expected(shared, "cloudtrail")["agreed"]


@pytest.mark.parametrize(("corpus", "stride"), [("evtx_attack", 150), ("evtx_mitre", 150), ("mordor_windows", 600)])
def test_memos_no_memos_and_the_plain_evaluator_agree_on_real_events(
    shared: Path, corpus: str, stride: int, long: bool
) -> None:
    engine, afresh = windows_engine(shared), windows_engine(shared, memos=False)
    for index, row in enumerate(rows(shared, corpus)):
        if index % (stride // 10 if long else stride) == 0:
            found = engine.match(row["event"])
            assert found == afresh.match(row["event"]) == engine.naive_match(row["event"])


def test_events_of_every_cloud_are_read_without_a_fault(shared: Path, long: bool) -> None:
    engine = Engine(rules(shared))
    for index, row in enumerate(rows(shared, "panther_cloud")):
        if not long and index % 3:
            continue
        assert engine.match(row["event"]) == engine.naive_match(row["event"])
