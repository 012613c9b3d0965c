"""The fast engine, the engine without memos and the plain evaluator give the same answer for any rules and events."""

from __future__ import annotations

from random import Random
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

texts = st.sampled_from(["a", "b", "ab", "abb", "AB1", "babb", "*b*", "a?b", ""]) | st.text(LETTERS, max_size=6)
numbers = st.integers(-2, 12)
scalars = st.one_of(texts, numbers, st.booleans(), st.none(), st.sampled_from([0.0, 1.0, 1.5, "10.0.0.1", "::1"]))
values = st.one_of(scalars, st.lists(st.one_of(scalars, st.lists(scalars, max_size=2)), max_size=3))
names = st.sampled_from(["f", "f", "g", "g", "h.i", "EventID"])
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
        return name + kind, draw(
            st.sampled_from(["a+b", "^a", "b$", "(a|b)1", "[Aa]b", "a.b", "ab|ba1", r"\d", "abb", "abb$", "^abb|ab1"])
        )
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


POOL = ["a", "b", "ab", "abb", "AB1", "xabbx", "1", "10.0.0.1", "*b*", "a?b", "\u017fabb", "\u0130abb", ""]
SCALARS = [*POOL, *POOL, 0, 1, 2, 4.0, 1.0, True, False, None]
PATTERNS = ["a+b", "^a", "abb", "abb$", "xabb|ab1", "sabb", "(a|b)1", r"\d\d", "1$", "[Aa]bb?x"]
SHAPES = ["", "|contains", "|startswith", "|endswith", "|cased", "|contains|cased", "|neq", "|contains|all"]


class Dice:
    """Rules and events that often meet: few fields, few values."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._choice = self._random.choice

    def line(self) -> tuple[str, Any]:
        name = self._choice(["f", "f", "g", "g", "h.i", "EventID"])
        match self._random.randrange(10):
            case 0:
                return f"{name}{self._choice(['|re', '|re|i', '|re|neq'])}", self._choice(PATTERNS)
            case 1:
                return f"{name}{self._choice(['|gt', '|lte', '|gte|neq'])}", self._random.randrange(3)
            case 2:
                return f"{name}|fieldref{self._choice(['', '|neq', '|contains'])}", self._choice(["f", "g"])
            case 3:
                return self._choice([(name, None), (f"{name}|exists", True), (f"{name}|cidr", "10.0.0.0/8")])
            case _:
                values = [self._choice([*POOL, 1, 2]) for _ in range(self._choice([1, 1, 2, 3]))]
                return name + self._choice(SHAPES), values if len(values) > 1 else values[0]

    def selection(self) -> Any:
        match self._random.randrange(6):
            case 0:
                return [self._choice(["abb", "ab1", "1", "xa*b", "true"])]
            case 1:
                return [dict([self.line()]) for _ in range(2)]
            case _:
                return dict(self.line() for _ in range(self._choice([1, 1, 2])))

    def condition(self, depth: int = 0) -> str:
        if depth > 2 or self._random.random() < 0.4:
            return self._choice(["x", "y", "z", "not x", "not y", "1 of them", "all of them"])
        return f"({self.condition(depth + 1)} {self._choice(['and', 'or', 'and not'])} {self.condition(depth + 1)})"

    def detection(self) -> dict[str, Any]:
        return {"x": self.selection(), "y": self.selection(), "z": self.selection(), "condition": self.condition()}

    def value(self) -> Any:
        if self._random.random() < 0.15:
            return [self._choice(SCALARS) for _ in range(self._random.randrange(3))]
        return self._choice(SCALARS)

    def event(self) -> dict[str, Any]:
        event = {name: self.value() for name in ("f", "g", "EventID") if self._random.random() < 0.85}
        if self._random.random() < 0.4:
            event["h"] = {"i": self.value()}
        return event


@settings(max_examples=150)
@given(st.integers(0, 2**32))
def test_all_three_ways_agree_where_rules_and_events_often_meet(seed: int) -> None:
    dice = Dice(seed)
    source = {"product": "windows"} if seed % 2 else {"product": "app"}
    rules = [one_rule(dice.detection(), rule_id=f"r{index}", logsource=source) for index in range(8)]
    engines = [Engine(rules), Engine(rules, caches=TINY), Engine(rules, caches=None)]
    logsource = LogSource(product=source["product"])
    for _ in range(12):
        event = dice.event()
        if seed % 2:
            event["Channel"] = "Security"
        expected = ids(engines[0].naive_match(event, logsource))
        assert [ids(engine.match(event, logsource)) for engine in engines] == [expected] * 3, event
        assert ids(engines[0].match(event, logsource)) == expected, event


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


@settings(max_examples=500)
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
