"""Hostile values and rules cost bounded time and memory, and never an exception."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sigma.rulebook import engine_of, item_rule, one_rule

from aegis.core.incidents import LogSource
from aegis.sigma import Caches, Engine, parse_rules
from aegis.sigma.memos import ENTRY_BYTES, RESULT_BYTES

APP = LogSource(product="app")


def broad_engine(**options: Any) -> Engine:
    """One rule of every kind of atom."""
    return engine_of(
        item_rule({"f|contains": ["needle", "a"]}, rule_id="contains"),
        item_rule({"f|startswith": "start", "f|endswith": "end"}, rule_id="ends"),
        item_rule({"f": "a*b?c*d*e*f*g*h"}, rule_id="wild"),
        item_rule({"f|re": "(a+)+$"}, rule_id="regex"),
        item_rule({"f|re": "(x+x+)+y"}, rule_id="regex2"),
        item_rule({"f|cidr": "10.0.0.0/8"}, rule_id="cidr"),
        item_rule({"f|gt": 5}, rule_id="number"),
        item_rule({"f|fieldref": "g"}, rule_id="ref"),
        one_rule({"words": ["keyword", "other"], "condition": "words"}, rule_id="keyword"),
        **options,
    )


def deep(depth: int, leaf: Any) -> Any:
    value = leaf
    for index in range(depth):
        value = [value] if index % 2 else {"f": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        "xxxxxxxxxa" * 1_000_000,
        "x" * 1_000_000,
        "abcdefgh" * 100_000,
        "a" * 50_000 + "!",
        "\x00" * 1_000,
        "\ud800 lone",
        "é" * 100_000,
        ["a"] * 5_000,
        deep(5_000, "needle"),
        deep(90_000, "needle"),
        {"f": {"f": "needle"}},
        10**5_000,
        float("nan"),
        float("inf"),
        b"bytes",
        object(),
        ("a", "b"),
        {1: {2: "x"}},
        "9" * 100_000,
        "2026-99-99T99:99:99",
    ],
    ids=lambda value: f"{type(value).__name__}-{type(value)!s}",
)
def test_no_value_breaks_or_stalls_the_engine(value: Any) -> None:
    engine, afresh = broad_engine(), broad_engine(caches=None)
    for event in ({"f": value}, {"g": value, "f": "x"}, {"Channel": value, "EventID": value}, {"Event": value}):
        assert engine.match(event, APP) == engine.match(event, APP) == afresh.match(event, APP)


def test_a_long_value_is_searched_to_its_end_and_over_every_seam() -> None:
    engine = engine_of(item_rule({"f|contains": "needle"}), one_rule({"k": ["needle"], "condition": "k"}, rule_id="k"))
    for at in (0, 16_379, 16_381, 16_384, 32_766, 99_994):
        text = "-" * at + "Needle" + "-" * (100_000 - at - 6)
        assert [match.rule.id for match in engine.match({"f": text}, APP)] == ["rule", "k"]


def test_ever_new_values_leave_memory_bounded() -> None:
    caches = Caches(bytes=2 << 20, values=20_000, results=2_000, signatures=500)
    engine = engine_of(
        *[
            item_rule({"f|contains": f"{digit}{other}", "g": f"v{digit}"}, rule_id=f"{digit}{other}")
            for digit in range(10)
            for other in range(10)
        ],
        caches=caches,
    )
    for number in range(100_000):
        engine.match({"f": f"value {number * 7919} {number}", "g": f"v{number % 13}"}, APP)
    (bucket,) = engine._router.buckets()
    kept = sum(len(str(value)) + ENTRY_BYTES for memo in bucket._memos for value in memo)
    assert kept + RESULT_BYTES * len(bucket._results) <= 2 << 20
    assert engine._purse.emptied > 0
    assert len(bucket._signatures._known) <= 500


def test_ever_new_classes_share_few_buckets() -> None:
    rules = [item_rule({"f": str(number)}, rule_id=str(number)) for number in range(5)]
    windows = one_rule({"s": {"EventID": [1, 2]}, "condition": "s"}, rule_id="w", logsource={"product": "windows"})
    aws = one_rule(
        {"s": {"eventName": ["A", "B"]}, "condition": "s"},
        rule_id="aws",
        logsource={"product": "aws", "service": "cloudtrail"},
    )
    engine = engine_of(*rules, windows, aws, caches=Caches(routes=100))
    for number in range(3_000):
        engine.match({"Channel": f"c{number}", "EventID": number})
        engine.match({"eventSource": f"s{number}", "eventName": f"n{number}"})
        engine.match({"f": "1"}, LogSource(product=f"p{number}", category=f"c{number}"))
    assert len(list(engine._router.buckets())) <= 10


def test_buckets_are_bounded_whatever_the_rules_allow() -> None:
    rule = one_rule({"s": {"EventID": list(range(500))}, "condition": "s"}, logsource={"product": "windows"})
    engine = engine_of(rule, caches=Caches(buckets=20))
    for number in range(500):
        assert engine.match({"Channel": "x", "EventID": number})
    assert len(list(engine._router.buckets())) == 20
    assert engine._router.evicted == 480


def test_ten_thousand_broken_rules_are_each_named() -> None:
    broken = "---\ntitle: Broken {n}\nlogsource: {{product: app}}\ndetection: {{s: {{'f|{kind}': 'x'}}, condition: {condition}}}\n"
    kinds = ["nope", "re|i|x", "cidr", "gt", "contains"]
    text = "".join(broken.format(n=n, kind=kinds[n % 5], condition="s" if n % 5 < 4 else "t") for n in range(10_000))
    parsed = parse_rules(text, origin="broken.yml")
    engine = Engine(parsed.rules)
    assert len(engine.problems) == 10_000
    assert {problem.origin for problem in engine.problems} == {"broken.yml"}


@pytest.mark.parametrize("pattern", [r"(a|aa)+$", r"(.*a){30}", r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(?i)(a?){40}a{40}"])
def test_no_regex_runs_away(pattern: str) -> None:
    engine = engine_of(item_rule({"f|re": pattern}))
    engine.match({"f": "a" * 60_000 + "!"}, APP)
