"""The fast engine, the engine without memos and the plain evaluator give the same answer for any rules and events."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sigma.rulebook import one_rule

from aegis.core.incidents import LogSource
from aegis.sigma import Caches, Engine, Filter
from aegis.sigma.globs import Glob
from aegis.sigma.literals import AnyContained, Contained, Prefixes
from aegis.sigma.naive import wild_fits
from aegis.sigma.patterns import parse_pieces
from aegis.sigma.regexes import compile_regex
from aegis.sigma.regexneeds import required_by

APP = LogSource(product="app")
LETTERS = "abAB\\*? -.1ßİς"
TINY = Caches(bytes=4_000, values=3, value_chars=4, results=3, signatures=3, buckets=2, routes=2)

texts = st.text(LETTERS, max_size=6)
numbers = st.integers(-2, 12)
scalars = st.one_of(texts, numbers, st.booleans(), st.none(), st.sampled_from([0.0, 1.0, 1.5, "10.0.0.1", "::1"]))
values = st.one_of(scalars, st.lists(st.one_of(scalars, st.lists(scalars, max_size=2)), max_size=3))
names = st.sampled_from(["f", "g", "h.i", "EventID"])
events = st.dictionaries(
    st.sampled_from(["f", "g", "h.i", "EventID", "k"]),
    st.one_of(values, st.dictionaries(st.sampled_from("ij"), scalars, max_size=2)),
    max_size=5,
) | st.fixed_dictionaries({"h": st.dictionaries(st.sampled_from("ij"), values), "f": values})
strings = st.one_of(texts, numbers)


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, Any]:
    name = draw(names)
    kind = draw(
        st.sampled_from(
            [
                "",
                "|contains",
                "|startswith",
                "|endswith",
                "|cased",
                "|contains|cased",
                "|neq",
                "|contains|all",
                "|re",
                "|re|i",
                "|gt",
                "|lte",
                "|cidr",
                "|exists",
                "null",
                "|fieldref",
                "|windash|contains",
            ]
        )
    )
    if kind == "null":
        return name, None
    if kind == "|exists":
        return name + kind, draw(st.booleans())
    if kind in ("|gt", "|lte"):
        return name + kind, draw(numbers)
    if kind == "|cidr":
        return name + kind, draw(st.sampled_from(["10.0.0.0/8", "::/0", "::1"]))
    if kind == "|fieldref":
        return name + kind, draw(names)
    if kind.startswith("|re"):
        return name + kind, draw(st.sampled_from(["a+b", "^a", "b$", "(a|b)1", "[Aa]b", "a.b", "ab|ba1", r"\d"]))
    return name + kind, draw(st.one_of(strings, st.lists(strings, min_size=1, max_size=3)))


keywords = st.lists(st.text("abAB1 ", min_size=1, max_size=3), min_size=1, max_size=2)
selections = st.one_of(
    st.lists(lines(), min_size=1, max_size=3).map(dict),
    st.lists(st.lists(lines(), min_size=1, max_size=2).map(dict), min_size=1, max_size=2),
    keywords,
)


def _bracketed(parts: tuple[str, str, str]) -> str:
    return f"({' '.join(parts)})"


conditions = st.recursive(
    st.sampled_from(["x", "y", "1 of them", "all of them"]),
    lambda inner: st.one_of(
        inner.map(lambda one: f"not {one}"), st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(_bracketed)
    ),
    max_leaves=4,
)


detections = st.fixed_dictionaries({"x": selections, "y": selections, "condition": conditions})


def ids(found: Any) -> list[str]:
    return [match.rule.id for match in found]


@settings(max_examples=250)
@given(st.lists(detections, min_size=1, max_size=4), st.lists(events, min_size=1, max_size=6))
def test_all_three_ways_agree(written: list[dict[str, Any]], seen: list[dict[str, Any]]) -> None:
    rules = [one_rule(detection, rule_id=f"r{index}") for index, detection in enumerate(written)]
    engines = [Engine(rules), Engine(rules, caches=TINY), Engine(rules, caches=None)]
    for event in seen * 2:
        expected = ids(engines[0].naive_match(event, APP))
        assert [ids(engine.match(event, APP)) for engine in engines] == [expected] * 3


@settings(max_examples=120)
@given(st.lists(detections, min_size=1, max_size=3), st.lists(events, min_size=1, max_size=5), st.data())
def test_folding_a_class_changes_nothing(
    written: list[dict[str, Any]], seen: list[dict[str, Any]], data: st.DataObject
) -> None:
    source = {"product": "windows"}
    rules = [one_rule(detection, rule_id=f"r{index}", logsource=source) for index, detection in enumerate(written)]
    engine, afresh = Engine(rules), Engine(rules, caches=None)
    for event in seen:
        full = {**event, "Channel": "Security", "EventID": data.draw(st.one_of(numbers, texts, st.booleans()))}
        expected = ids(engine.naive_match(full))
        assert [ids(engine.match(full)), ids(engine.match(full)), ids(afresh.match(full))] == [expected] * 3


@given(detections, detections, st.lists(events, min_size=1, max_size=5))
def test_a_filter_takes_away_exactly_what_it_selects(
    written: dict[str, Any], taken: dict[str, Any], seen: list[dict[str, Any]]
) -> None:
    rule, aside = one_rule(written), one_rule({**taken, "condition": "(x or y)"}, rule_id="aside")
    one = Filter(
        id="filter",
        title="filter",
        origin="test",
        line=1,
        logsource=APP,
        rules=("rule",),
        detection=taken,
        conditions=("(x or y)",),
    )
    plain, filtered, selected = Engine([rule]), Engine([rule], [one]), Engine([aside])
    if plain.problems or filtered.problems or selected.problems:
        return
    for event in seen:
        expected = ids(plain.match(event, APP)) if not selected.match(event, APP) else []
        assert ids(filtered.match(event, APP)) == expected


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_a_wildcard_string_fits_what_the_textbook_says(pattern: str, text: str) -> None:
    pieces = parse_pieces(pattern)
    assert Glob(pieces).fits(text) == wild_fits(pieces, text)


@given(st.sets(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=12), st.text("abc", max_size=12))
def test_many_texts_are_found_as_if_asked_one_by_one(texts: set[str], text: str) -> None:
    listed = sorted(texts)
    numbered = {one: index for index, one in enumerate(listed)}
    assert sorted(Prefixes(numbered).find(text)) == [i for i, one in enumerate(listed) if text.startswith(one)]
    assert sorted(Contained(numbered).find(text)) == [i for i, one in enumerate(listed) if one in text]
    assert AnyContained(listed).find(text) == any(one in text for one in listed)


regexes = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "abc",
            "B",
            "[Aa]",
            "[ab]",
            "(ab|c)",
            "a{2}",
            "b{0,2}",
            "c?",
            "a+",
            "b*",
            r"\.",
            r"\s",
            "^",
            "$",
            "|",
        ]
    ),
    min_size=1,
    max_size=7,
).map("".join)


@settings(max_examples=400)
@given(regexes, st.sampled_from(["", "i"]), st.text("abcABC. ", max_size=14))
def test_what_a_regex_is_said_to_require_is_there_wherever_it_is_found(pattern: str, flags: str, text: str) -> None:
    regex = compile_regex(pattern, flags)
    if regex.search(text, text.encode()):
        folded = text.lower()
        needed = required_by(pattern)
        assert needed.met_by(folded)
        assert not needed.gates or any(gate in folded for gate in needed.gates)
