"""Trying rules before they watch: what is wrong with them, whether they find their own examples, what they find in logs.

Policy: nothing is kept and nobody is told. Each rule is tried alone, with only what it counts below it, so that one which
is silent in the pack (it only serves a correlation) answers here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aegis.core.errors import BadInput
from aegis.core.incidents import Detection, Event
from aegis.incidents.detection import Detector
from aegis.incidents.rules.examples import events_of
from aegis.incidents.rules.pack import RulePack
from aegis.sigma.rules import Correlation, Filter, Problem, Rule

Tried = Rule | Correlation


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What detection really uses of a pack, in its order, and why the rest is not used."""

    rules: tuple[Tried, ...]
    filters: tuple[Filter, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What an examination came to: documents looked at, examples run, and everything that has to be put right."""

    rules: int
    filters: int
    examples: int
    problems: tuple[Problem, ...]


def all_of(pack: RulePack) -> tuple[Tried, ...]:
    """The rules and correlations of a pack, in this order."""
    return (*pack.rules, *pack.correlations)


def in_force(pack: RulePack) -> InForce:
    """The rules of a pack that can be used. A filter that cannot be used is a problem of its own file."""
    problems = (*Detector(pack).problems, *_broken_filters(pack))
    unused = {(one.origin, one.line) for one in problems if one not in pack.problems}
    return InForce(
        rules=tuple(rule for rule in all_of(pack) if (rule.origin, rule.line) not in unused),
        filters=tuple(one for one in pack.filters if (one.origin, one.line) not in unused),
        problems=tuple(dict.fromkeys((*problems, *_lost_filters(pack)))),
    )


def examine(pack: RulePack, *, of: Callable[[str], bool], known: Collection[Problem] = ()) -> Examined:
    """Every problem of the files whose origin is one `of` those asked about, what they break elsewhere (all that is not
    `known` without them), and every rule of theirs that fails on its own example. The pack needs its examples.
    """
    used = in_force(pack)
    rules = [rule for rule in used.rules if of(rule.origin)]
    found = [one for one in used.problems if of(one.origin) or one not in known]
    ran = [(rule, name) for rule in rules for name in ("match", "ignore") if name in rule.aegis]
    failed = [
        Problem(origin=rule.origin, line=rule.line, rule=rule.title, reason=reason)
        for rule, name in ran
        if (reason := _failure(pack, rule, name))
    ]
    filters = sum(of(one.origin) for one in used.filters)
    return Examined(rules=len(rules), filters=filters, examples=len(ran), problems=(*found, *failed))


class Trial:
    """Rules that look at events, each for itself; `filters` take away as they would in earnest.

    Correlations count what they are about in the pack. `problems` says which of the rules cannot be used.
    """

    def __init__(self, pack: RulePack, rules: Sequence[Tried], filters: Sequence[Filter] = ()) -> None:
        plain = tuple(rule for rule in rules if isinstance(rule, Rule))
        packs = [_with_its_own(pack, rule) for rule in rules if isinstance(rule, Correlation)]
        if plain:
            packs.insert(0, (plain, ()))
        self._detectors = [
            Detector(RulePack(rules=counted, correlations=over, filters=tuple(filters), entities=pack.entities))
            for counted, over in packs
        ]
        self._asked = [frozenset(rule.id for rule in over[:1] or counted) for counted, over in packs]
        self.problems = tuple(dict.fromkeys(one for detector in self._detectors for one in detector.problems))

    def found(self, event: Event) -> list[Detection]:
        """What the rules find in the next event; of correlations what it completes."""
        return [
            detection
            for asked, detector in zip(self._asked, self._detectors, strict=True)
            for detection in detector.detect([event])
            if detection.rule_id in asked
        ]


def _failure(pack: RulePack, rule: Tried, name: str) -> str:
    """Why a rule fails on an example of its own; empty where it does not. Filters of users do not count."""
    try:
        events = events_of(rule.aegis[name])
    except BadInput as error:
        return f"its example `{name}` cannot be used: {error}"
    trial = Trial(pack, [rule])
    matched = any(trial.found(event) for event in events)
    if matched == (name == "match"):
        return ""
    return f"it does not find its example `{name}`" if name == "match" else f"it finds its example `{name}`, too"


def _with_its_own(pack: RulePack, top: Correlation) -> tuple[tuple[Rule, ...], tuple[Correlation, ...]]:
    """The rules that a correlation is about, directly or through others; itself, and the correlations between."""
    named = _by_name(pack)
    rules: dict[str, Rule] = {}
    correlations = {top.id: top}
    open_ = list(top.rules)
    while open_:
        one = named.get(open_.pop())
        if isinstance(one, Rule):
            rules[one.id] = one
        elif one is not None and one.id not in correlations:
            correlations[one.id] = one
            open_.extend(one.rules)
    return tuple(rules.values()), tuple(correlations.values())


def counted_by(pack: RulePack, rules: Sequence[Tried]) -> tuple[Rule, ...]:
    """The rules whose matches the correlations among `rules` count, without those that stand among them."""
    below = (_with_its_own(pack, rule)[0] for rule in rules if isinstance(rule, Correlation))
    asked = {rule.id for rule in rules}
    return tuple({one.id: one for counted in below for one in counted if one.id not in asked}.values())


def _by_name(pack: RulePack) -> Mapping[str, Tried]:
    both = all_of(pack)
    return {rule.name: rule for rule in both if rule.name} | {rule.id: rule for rule in both}


def rule_called(pack: RulePack, name: str) -> Tried | None:
    """The rule or correlation with this id or name."""
    return _by_name(pack).get(name)


def _lost_filters(pack: RulePack) -> Iterator[Problem]:
    """Filters that name a rule which is not there."""
    named = _by_name(pack)
    for one in pack.filters:
        if unknown := [name for name in one.rules if name not in named]:
            reason = f"it refers to {unknown[0][:80]!r}, which is not there"
            yield Problem(origin=one.origin, line=one.line, rule=one.title, reason=reason)


def _broken_filters(pack: RulePack) -> tuple[Problem, ...]:
    """Filters that no rule could use: each is compiled as if it were one."""
    as_rules = [
        Rule(
            id=one.id,
            title=one.title,
            origin=one.origin,
            line=one.line,
            logsource=one.logsource,
            detection=one.detection,
            conditions=one.conditions,
        )
        for one in pack.filters
    ]
    return Detector(RulePack(rules=tuple(as_rules), entities={})).problems if as_rules else ()
