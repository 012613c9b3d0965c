"""What is taken from a Sigma file, and how everything else is refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.incidents import LogSource
from aegis.sigma import Engine, parse_rules

RULE = """
title: Failed sign-in
id: 5f3c0f5e-0000-4000-8000-000000000001
name: failed_sign_in
status: test
level: HIGH
author: Someone
date: 2026-11-21
references: [https://example.org/a]
tags: [attack.credential-access, attack.t1110.001, attack.s0002, attack.privilege_escalation, cve.2026-1]
logsource: {product: Linux, service: sshd, definition: text}
detection:
  selection: {outcome: failure, at: 2026-11-21, port: 0022}
  condition: selection
fields: [user]
falsepositives: Unlikely
aegis: {entity: user, tests: [{event: {outcome: failure}, matches: true}]}
"""


def test_a_rule_keeps_what_people_and_grouping_need() -> None:
    (rule,) = parse_rules(RULE, origin="sshd.yml").rules
    assert rule.id == "5f3c0f5e-0000-4000-8000-000000000001"
    assert (rule.name, rule.title, rule.status, rule.level) == ("failed_sign_in", "Failed sign-in", "test", "high")
    assert rule.logsource == LogSource(product="linux", service="sshd")
    assert rule.techniques == ("T1110.001",)
    assert rule.tactics == ("credential-access", "privilege-escalation")
    assert (rule.fields, rule.falsepositives, rule.author) == (("user",), ("Unlikely",), "Someone")
    assert rule.references == ("https://example.org/a",)
    assert rule.aegis == {"entity": "user", "tests": [{"event": {"outcome": "failure"}, "matches": True}]}
    assert (rule.origin, rule.line) == ("sshd.yml", 2)
    assert rule.detection["selection"]["at"] == "2026-11-21"


def test_a_broken_document_is_named_with_its_line_and_the_rest_goes_on() -> None:
    text = f"{RULE}---\ntitle: Broken\n  bad: [\n---\n- a list\n---\ntitle: No source\ndetection: {{condition: x}}\n---{RULE}"
    parsed = parse_rules(text, origin="many.yml")
    assert len(parsed.rules) == 2
    assert parsed.rules[1].line == 27
    reasons = [(problem.line, problem.rule, problem.reason.split(":")[0]) for problem in parsed.problems]
    assert reasons == [
        (20, "", "not valid YAML"),
        (22, "", "a rule is a mapping"),
        (24, "No source", "there is no `logsource` mapping"),
    ]
    assert str(parsed.problems[2]) == "many.yml:24: No source: there is no `logsource` mapping"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no Sigma document"),
        ("# only a comment\n---\n", "no Sigma document"),
        ("just text", "mapping"),
        ("{logsource: {product: x}, detection: {condition: x}}", "neither `id` nor `title`"),
        ("{title: x, logsource: {product: x}}", "`detection`"),
        ("{title: x, logsource: {product: x}, detection: {s: {f: x}}}", "`condition`"),
        ("{title: x, logsource: x, detection: {s: {f: x}, condition: s}}", "`logsource`"),
        ("{title: x, action: global}", "collections"),
        ("{title: x, filter: x}", "filter"),
        ("{title: x, correlation: {type: nope}}", "unknown correlation type"),
        ("{title: x, correlation: {type: event_count}}", "rules"),
        ("{title: x, correlation: {type: event_count, rules: [a], timespan: 5}}", "timespan"),
        ("{title: x, correlation: {type: event_count, rules: [a], timespan: 99d}}", "30 days"),
        ("{title: x, correlation: {type: event_count, rules: [a], timespan: 5m}}", "condition"),
        ("{title: x, correlation: {type: event_count, rules: [a], timespan: 5m, condition: {gte: lots}}}", "number"),
        ("{title: x, correlation: {type: event_count, rules: [a], timespan: 5m, condition: {gte: 1, x: 1}}}", "'x'"),
        ("{title: x, correlation: {type: value_count, rules: [a], timespan: 5m, condition: {gte: 1}}}", "field"),
        ("{title: x, correlation: {type: temporal_ordered, rules: [a], timespan: 5m, condition: {gte: 9}}}", "order"),
        ("{title: x, correlation: {type: temporal, rules: [a], timespan: 5m, aliases: [x]}}", "aliases"),
        ("title: !!python/object/apply:os.system [id]", "not valid YAML"),
        ("title: &a [*a]", "expand"),
        ("[" * 100_000, "deeper"),
        ("- " * 100_000, "deeper"),
        ("{a: " * 50_000, "deeper"),
        ("? " * 50_000, "deeper"),
        ("[\n" * 50_000, "deeper"),
        ("".join(" " * depth + "a:\n" for depth in range(1_000)), "deeper"),
        ("x" * (2 << 20), "longer"),
        (
            "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
            "expand",
        ),
        ("title: \x00", "not valid YAML"),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_no_rule_is_refused_by_name(text: str, reason: str) -> None:
    parsed = parse_rules(text, origin="x.yml")
    assert (parsed.rules, parsed.correlations, parsed.filters) == ((), (), ())
    assert reason in parsed.problems[0].reason


@given(st.text(max_size=200))
def test_no_text_is_silently_nothing(text: str) -> None:
    parsed = parse_rules(text, origin="x.yml")
    assert parsed.rules or parsed.correlations or parsed.filters or parsed.problems


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
attributes = st.sampled_from(
    ["title", "id", "logsource", "detection", "correlation", "filter", "tags", "level", "aegis"]
)


@given(st.dictionaries(attributes, values), st.dictionaries(st.sampled_from(["s", "condition"]), values))
def test_a_rule_of_any_nonsense_works_or_is_named(document: dict[str, object], detection: dict[str, object]) -> None:
    document = {**document, "detection": detection, "logsource": {"product": "app"}, "title": "t"}
    parsed = parse_rules(json.dumps(document), origin="x.yml")
    engine = Engine(parsed.rules, parsed.filters)
    assert parsed.problems or engine.problems or engine.match({"f": "x"}, LogSource(product="app")) is not None
