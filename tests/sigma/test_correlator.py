"""Correlations: each type on a story, its borders, what is late, what is forgotten; and all of them against a reference
that looks at every window of every group by brute force.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sigma.rulebook import item_rule, one_correlation

from aegis.core.errors import BadInput
from aegis.core.incidents import LogSource
from aegis.sigma import Correlation, CorrelationBounds, CorrelationMatch, Correlator, Engine, parse_rules
from aegis.sigma.measures import compares, measure_of

START = datetime(2026, 11, 21, 10, tzinfo=UTC)


def second(number: float) -> datetime:
    return START + timedelta(seconds=number)


def run(correlator: Correlator, *steps: tuple[str, float, dict[str, Any]]) -> list[CorrelationMatch]:
    out: list[CorrelationMatch] = []
    for index, (rule, at, fields) in enumerate(steps):
        out += correlator.feed(rule, second(at), f"e{index}", fields)
    return out


BRUTE_FORCE = """
title: Many failures, then a success
id: broken-in
level: high
tags: [attack.credential-access, attack.t1110.001]
correlation:
  type: temporal_ordered
  rules: [many_failures, success]
  group-by: [user]
  timespan: 10m
---
title: Many failures
id: aaaa
name: many_failures
correlation:
  type: event_count
  rules: [failure]
  group-by: [user]
  timespan: 5m
  condition: {gte: 3}
---
title: A failure
id: bbbb
name: failure
logsource: {product: app}
detection: {s: {outcome: failure}, condition: s}
---
title: A success
id: cccc
name: success
logsource: {product: app}
detection: {s: {outcome: success}, condition: s}
"""


def test_failures_and_then_a_success_are_a_break_in() -> None:
    parsed = parse_rules(BRUTE_FORCE, origin="story.yml")
    assert parsed.problems == ()
    engine, correlator = Engine(parsed.rules), Correlator(parsed.correlations, parsed.rules)
    assert correlator.problems == ()
    found: list[CorrelationMatch] = []
    story = [("bob", "failure")] * 3 + [("eve", "success"), ("bob", "success")]
    for index, (user, outcome) in enumerate(story):
        fields = {"user": user, "outcome": outcome}
        for match in engine.match(fields, LogSource(product="app")):
            assert correlator.quiet(match.rule)
            found += correlator.feed(match, second(index), f"e{index}", fields)
    (broken_in,) = found
    assert broken_in.rule.id == "broken-in"
    assert broken_in.rule.techniques == ("T1110.001",)
    assert broken_in.group == {"user": "bob"}
    assert broken_in.event_ids == ("e0", "e1", "e2", "e4")
    assert (broken_in.first, broken_in.at) == (second(2), second(4))


@pytest.mark.parametrize(("last", "breaches"), [(60, 1), (60.001, 0)])
def test_a_window_holds_both_its_ends_and_no_more(last: float, breaches: int) -> None:
    one = one_correlation(type="event_count", rules=["r"], timespan="1m", condition={"gte": 2})
    assert len(run(Correlator([one]), ("r", 0, {}), ("r", last, {}))) == breaches


def test_a_breach_is_told_once_and_again_only_after_the_window() -> None:
    one = one_correlation(type="event_count", rules=["r"], timespan="10s", condition={"gte": 3})
    found = run(Correlator([one]), *[("r", at, {}) for at in range(40)])
    assert [match.at for match in found] == [second(2), second(13), second(24), second(35)]
    assert [match.event_ids[0] for match in found] == ["e0", "e3", "e14", "e25"]
    assert len({event for match in found for event in match.event_ids}) == sum(len(m.event_ids) for m in found)


def test_each_group_counts_for_itself_and_an_event_without_the_field_for_none() -> None:
    one = one_correlation(
        type="event_count", rules=["r"], group_by=["user", "host"], timespan="1m", condition={"gt": 1}
    )
    correlator = Correlator([one])
    a, b = {"user": "a", "host": "h"}, {"user": "b", "host": "h"}
    found = run(
        correlator, ("r", 0, a), ("r", 1, b), ("r", 2, {"user": "a"}), ("r", 3, {**a, "host": None}), ("r", 4, a)
    )
    assert [match.group for match in found] == [a]
    assert correlator.ungrouped == 2


def test_a_spray_counts_different_users() -> None:
    one = one_correlation(
        type="value_count", rules=["r"], group_by=["ip"], timespan="1m", condition={"field": "user", "gte": 3}
    )
    users = ["a", "a", "b", "a", "b", "c"]
    found = run(Correlator([one]), *[("r", at, {"ip": "1", "user": user}) for at, user in enumerate(users)])
    assert [(match.at, match.count, match.value) for match in found] == [(second(5), 6, "3")]


def test_reconnaissance_in_any_order_needs_every_rule() -> None:
    one = one_correlation(type="temporal", rules=["a", "b", "c"], group_by=["host"], timespan="1m")
    host = {"host": "h"}
    assert run(Correlator([one]), ("c", 0, host), ("a", 1, host), ("a", 2, host)) == []
    assert len(run(Correlator([one]), ("c", 0, host), ("a", 1, host), ("b", 2, host))) == 1
    assert run(Correlator([one]), ("c", 0, host), ("a", 1, host), ("b", 2, {"host": "i"})) == []


def test_an_order_is_an_order() -> None:
    one = one_correlation(type="temporal_ordered", rules=["a", "b", "a"], timespan="10s")
    assert run(Correlator([one]), ("b", 0, {}), ("a", 1, {}), ("b", 2, {})) == []
    (found,) = run(Correlator([one]), ("a", 0, {}), ("b", 1, {}), ("b", 2, {}), ("a", 3, {}))
    assert found.event_ids[0] == "e0"
    assert found.event_ids[-1] == "e3"
    assert run(Correlator([one]), ("a", 0, {}), ("b", 1, {}), ("a", 11, {})) == []
    assert len(run(Correlator([one]), ("a", 0, {}), ("a", 2, {}), ("b", 3, {}), ("a", 12, {}))) == 1


@pytest.mark.parametrize(
    ("body", "values", "breach"),
    [
        ({"type": "value_sum", "condition": {"field": "n", "gt": 10}}, [5, "5.0", 0.1], "10.1"),
        ({"type": "value_avg", "condition": {"field": "n", "gte": 4}}, [1, 2, 9], "4"),
        ({"type": "value_median", "condition": {"field": "n", "gte": 3}}, [1, 2, 4, 100], "3"),
        (
            {"type": "value_percentile", "condition": {"field": "n", "gte": 90, "percentile": 95}},
            [1, 20, 94, "x", 95],
            "94.85",
        ),
        ({"type": "value_sum", "condition": {"field": "n", "gt": 10, "lt": 12}}, [13, -2, "y"], "11"),
    ],
)
def test_numbers_are_measured_exactly(body: dict[str, Any], values: list[Any], breach: str) -> None:
    one = one_correlation(rules=["r"], timespan="1m", **body)
    found = run(Correlator([one]), *[("r", at, {"n": value}) for at, value in enumerate(values)])
    assert [match.value for match in found] == [breach]


def test_one_event_is_one_step_of_an_order() -> None:
    one = one_correlation(type="temporal_ordered", rules=["a", "a"], timespan="10s")
    assert run(Correlator([one]), ("a", 0, {})) == []
    (found,) = run(Correlator([one]), ("a", 0, {}), ("a", 1, {}))
    assert found.event_ids == ("e0", "e1")


def test_a_late_first_step_completes_an_order_that_others_follow() -> None:
    one = one_correlation(type="temporal_ordered", rules=["a", "b"], timespan="10s")
    (found,) = run(Correlator([one]), ("b", 5, {}), ("b", 6, {}), ("a", 7, {}), ("a", 4, {}))
    assert (found.event_ids, found.at) == (("e3", "e0"), second(5))


def test_an_alias_joins_fields_of_different_names() -> None:
    one = one_correlation(
        type="temporal",
        rules=["outside", "inside"],
        group_by=["address"],
        timespan="1m",
        aliases={"address": {"outside": "dst_ip", "inside": "src.ip"}},
    )
    (found,) = run(Correlator([one]), ("outside", 0, {"dst_ip": "1"}), ("inside", 1, {"src": {"ip": "1"}}))
    assert found.group == {"address": "1"}
    assert run(Correlator([one]), ("outside", 0, {"dst_ip": "1"}), ("inside", 1, {"src": {"ip": "2"}})) == []


def test_a_late_event_still_counts_and_a_very_late_one_does_not() -> None:
    one = one_correlation(type="event_count", rules=["r"], timespan="10s", condition={"gte": 3})
    correlator = Correlator([one], bounds=CorrelationBounds(lateness_ms=60_000))
    assert run(correlator, ("r", 0, {}), ("r", 5, {}), ("r", 50, {})) == []
    (found,) = correlator.feed("r", second(7), "late", {})
    assert (found.first, found.at, found.event_ids) == (second(0), second(7), ("e0", "e1", "late"))
    assert correlator.feed("r", second(-11), "too-late", {}) == ()
    assert correlator.late == 1


def test_one_wrong_date_disturbs_one_group_only() -> None:
    one = one_correlation(type="event_count", rules=["r"], group_by=["u"], timespan="10s", condition={"gte": 2})
    steps = [("r", 1e9, {"u": "x"}), ("r", 0, {"u": "a"}), ("r", 1, {"u": "a"})]
    assert [match.group for match in run(Correlator([one]), *steps)] == [{"u": "a"}]


def test_what_only_serves_a_correlation_is_quiet_unless_it_asks_otherwise() -> None:
    quiet = one_correlation(type="event_count", rules=["r"], timespan="1m", condition={"gte": 1})
    loud = one_correlation(
        rule_id="loud", type="event_count", rules=["r"], timespan="1m", condition={"gte": 1}, generate=True
    )
    rule = item_rule({"f": "x"}, rule_id="r")
    assert Correlator([quiet]).quiet(rule)
    assert not Correlator([quiet, loud]).quiet(rule)
    assert not Correlator([quiet]).quiet(item_rule({"f": "x"}, rule_id="other"))


def test_a_chain_reports_its_outermost_link_or_all_when_asked() -> None:
    def chain(generate: bool) -> list[Correlation]:
        base: dict[str, Any] = {"timespan": "1m", "condition": {"gte": 2}, "group_by": ["u"]}
        return [
            one_correlation(rule_id="outer", type="event_count", rules=["inner"], generate=generate, **base),
            one_correlation(rule_id="inner", type="event_count", rules=["r"], **{**base, "timespan": "5s"}),
        ]

    steps = [("r", at, {"u": "a"}) for at in (0, 1, 20, 21)]
    assert [match.rule.id for match in run(Correlator(chain(False)), *steps)] == ["outer"]
    found = run(Correlator(chain(True)), *steps)
    assert [match.rule.id for match in found] == ["inner", "inner", "outer"]
    assert found[-1].event_ids == ("e0", "e1", "e2", "e3")


def test_correlations_that_cannot_work_are_named() -> None:
    def count(rule_id: str, *rules: str, gte: int = 1) -> Correlation:
        return one_correlation(
            rule_id=rule_id, type="event_count", rules=list(rules), timespan="1m", condition={"gte": gte}
        )

    listed = [count("a", "b"), count("b", "a"), count("c", "nowhere"), count("d", "r", gte=10**6), count("e", "r")]
    correlator = Correlator([*listed, count("e", "r")], [item_rule({"f": "x"}, rule_id="r")])
    assert {problem.rule: problem.reason.split()[0] for problem in correlator.problems} == {
        "a": "it", "b": "it", "c": "it", "d": "it", "e": "another",
    }  # fmt: skip
    assert [tracker.correlation.id for tracker in correlator.trackers] == ["e"]
    assert len(correlator.feed("r", second(0), "e", {})) == 1


def test_groups_and_entries_are_bounded_and_what_goes_is_counted() -> None:
    one = one_correlation(type="event_count", rules=["r"], group_by=["u"], timespan="1d", condition={"gte": 5})
    bounds = CorrelationBounds(groups=10, group_entries=8, entries=40)
    correlator = Correlator([one], bounds=bounds)
    run(correlator, *[("r", at, {"u": str(at)}) for at in range(1_000)])
    assert (len(correlator.trackers[0].groups), correlator.entries, correlator.evicted) == (10, 10, 990)
    run(correlator, *[("r", 2_000 + at, {"u": str(at % 9)}) for at in range(1_000)])
    assert correlator.entries <= 40
    assert all(len(group.entries()) <= 8 for group in correlator.trackers[0].groups.values())
    assert correlator.entries == sum(len(group.entries()) for group in correlator.trackers[0].groups.values())


def test_idle_groups_go_when_the_clock_says_so() -> None:
    one = one_correlation(type="event_count", rules=["r"], group_by=["u"], timespan="1m", condition={"gte": 2})
    correlator = Correlator([one])
    run(correlator, ("r", 0, {"u": "a"}), ("r", 100, {"u": "b"}))
    assert correlator.expire(second(121)) == 1
    assert list(correlator.trackers[0].groups) == [("b",)]
    assert correlator.entries == 1


def test_a_snapshot_goes_on_where_it_stopped() -> None:
    listed = [
        one_correlation(
            rule_id="n", type="event_count", rules=["r"], group_by=["u"], timespan="1m", condition={"gte": 3}
        ),
        one_correlation(rule_id="o", type="temporal_ordered", rules=["r", "s"], group_by=["u"], timespan="1m"),
        one_correlation(rule_id="v", type="value_sum", rules=["r"], timespan="1m", condition={"field": "n", "gte": 9}),
    ]
    before, after = Correlator(listed), Correlator(listed)
    run(before, ("r", 0, {"u": "a", "n": 3.5}), ("r", 1, {"u": "a", "n": 3.5}))
    assert after.restore(json.loads(json.dumps(before.snapshot()))) == 3
    assert after.snapshot() == before.snapshot()
    steps: list[tuple[str, float, dict[str, Any]]] = [
        ("r", 2, {"u": "a", "n": 2}),
        ("s", 3, {"u": "a"}),
        ("r", 4, {"u": "a", "n": 100}),
    ]
    assert run(after, *steps) == run(before, *steps)
    changed = one_correlation(
        rule_id="n", type="event_count", rules=["r"], group_by=["u"], timespan="2m", condition={"gte": 3}
    )
    assert Correlator([changed]).restore(before.snapshot()) == 0


@pytest.mark.parametrize("data", [{}, {"schema": "aegis.correlations/1", "groups": [{}]}, {"groups": []}])
def test_a_damaged_snapshot_is_refused(data: dict[str, Any]) -> None:
    one = one_correlation(type="event_count", rules=["r"], timespan="1m", condition={"gte": 3})
    with pytest.raises(BadInput):
        Correlator([one]).restore(data)


# The reference: every window of every group, by brute force, in the order of arrival.

BOUNDS = [(10, 4), (4, 9)]
"""Time span and lateness in seconds: late entries stay inside the newest window, or fall before it."""
Step = tuple[str, int, str, int]


def brute_force(one: Correlation, steps: list[Step], span: int, late: int) -> list[tuple[str, int, tuple[int, ...]]]:
    groups: dict[str, list[tuple[int, int, str, int]]] = {}
    fired: dict[str, int] = {}
    out = []
    for index, (rule, at, user, number) in enumerate(steps):
        known = groups.setdefault(user, [])
        if rule not in one.rules or (known and at < max(entry[0] for entry in known) - late):
            continue
        known.append((at, index, rule, number))
        known.sort()
        for end, (last_at, last, _, _) in enumerate(known):
            if (last_at, last) < (at, index) or last_at > at + span:
                continue
            if user in fired and last_at <= fired[user] + span:
                continue
            window = [entry for entry in known[: end + 1] if entry[0] >= last_at - span]
            if breached(one, window):
                fired[user] = last_at
                out.append((user, last_at, tuple(entry[1] for entry in window)))
                break
    return out


def breached(one: Correlation, window: list[tuple[int, int, str, int]]) -> bool:
    if one.type == "temporal_ordered":
        choices = [[entry for entry in window if entry[2] == rule] for rule in one.rules]
        return any(list(chain) == sorted(set(chain)) and chain[-1] == window[-1] for chain in product(*choices))
    values: list[Any] = [
        {"event_count": 1, "temporal": entry[2]}.get(one.type, str(entry[3]) if one.type == "value_count" else entry[3])
        for entry in window
    ]
    if one.type in ("event_count", "value_sum"):
        return compares(Decimal(sum(values)), one.compare)
    if one.type == "value_avg":
        return compares(Decimal(sum(values)) / len(values), one.compare)
    if one.type == "value_median":
        ranked = sorted(values)
        middle = Decimal(ranked[len(ranked) // 2] + ranked[(len(ranked) - 1) // 2]) / 2
        return compares(middle, one.compare)
    return compares(Decimal(len(set(values))), one.compare)


KINDS: list[dict[str, Any]] = [
    {"type": "event_count", "condition": {"gte": 3}},
    {"type": "event_count", "condition": {"eq": 2}},
    {"type": "event_count", "condition": {"gt": 1, "lt": 4}},
    {"type": "value_count", "condition": {"field": "n", "gte": 3}},
    {"type": "value_sum", "condition": {"field": "n", "gt": 6}},
    {"type": "value_avg", "condition": {"field": "n", "gte": 3}},
    {"type": "value_median", "condition": {"field": "n", "gte": 3}},
    {"type": "temporal"},
    {"type": "temporal", "condition": {"gte": 1}},
    *[{"type": "temporal_ordered"}] * 5,
]
arrivals = st.lists(
    st.tuples(st.sampled_from("aabx"), st.integers(0, 4), st.sampled_from("uv"), st.integers(0, 4), st.integers(0, 10)),
    max_size=24,
)


@settings(max_examples=500)
@given(st.sampled_from(KINDS), arrivals, st.sampled_from(BOUNDS))
def test_every_correlation_finds_what_brute_force_finds(
    kind: dict[str, Any], drawn: list[tuple[str, int, str, int, int]], bounds: tuple[int, int]
) -> None:
    span, late = bounds
    one = one_correlation(rules=["a", "b"], group_by=["u"], timespan=f"{span}s", **kind)
    correlator = Correlator([one], bounds=CorrelationBounds(lateness_ms=late * 1_000))
    now, steps = 0, []
    for rule, pause, user, number, back in drawn:
        now += pause
        steps.append((rule, now - back, user, number))
    found = []
    for index, (rule, at, user, number) in enumerate(steps):
        matches = correlator.feed(rule, second(at), str(index), {"u": user, "n": number})
        found += [(match.group["u"], round((match.at - START).total_seconds()), match) for match in matches]
    expected = brute_force(one, steps, span, late)
    assert [(user, at) for user, at, _ in found] == [(user, at) for user, at, _ in expected]
    if one.type != "temporal_ordered":
        assert [tuple(map(int, match.event_ids)) for _, _, match in found] == [window for _, _, window in expected]


@given(st.sampled_from(KINDS[:7]), st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(0, 11))
def test_a_measure_forgets_what_is_taken_out(kind: dict[str, Any], numbers: list[int], kept: int) -> None:
    one = one_correlation(rules=["a"], timespan="1m", **kind)
    moved, fresh = measure_of(one), measure_of(one)
    for number in numbers:
        moved.add(number)
    gone = max(0, len(numbers) - kept)
    for number in numbers[:gone]:
        moved.remove(number)
    for number in numbers[gone:]:
        fresh.add(number)
    assert moved.value() == fresh.value()
