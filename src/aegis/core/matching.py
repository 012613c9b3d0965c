"""What rules about incidents can ask for: the labels of an incident, matchers on them, and conditions with times.

Policy: labels come from the record (severity, sources, rules, observables, teams), never from free text; patterns know
`*` only, so that none can be slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, get_args

from aegis.core.incidents import Incident, ObservableKind, Severity
from aegis.core.schedules import Weekly

Labels: TypeAlias = Mapping[str, frozenset[str]]
"""Everything an incident is, by field: a field may have many values. All in lower case."""

FIELDS = ("severity", "kind", "source", "rule", "tag", "team", "entity", "id", *get_args(ObservableKind))
"""What a matcher can name. `tag` is a technique (a parent covers its sub-techniques) or tactic, plain or `attack.`;
`entity` is the value that the incident is about; observable kinds (`host`, `user`, `ip`, ...) are every value seen.
"""
PATTERN_CHARS, STARS_MAX, ALTERNATIVES_MAX = 256, 8, 32
_TEXT = re.compile(r"([a-z_]+)\s*(!?=)\s*(.+)")


@dataclass(frozen=True, slots=True)
class Matcher:
    """One field and the patterns of which one must fit a value of it (`negated`: none may)."""

    field: str
    patterns: tuple[str, ...]
    negated: bool = False

    def holds(self, labels: Labels) -> bool:
        values = labels.get(self.field, frozenset())
        found = any(fits(pattern, value) for pattern in self.patterns for value in values)
        return found is not self.negated

    def text(self) -> str:
        """As people write it."""
        return f"{self.field}{'!=' if self.negated else '='}{','.join(self.patterns)}"


def fits(pattern: str, value: str) -> bool:
    """Whether a pattern with stars covers the whole value. Each part is looked for once, from left to right."""
    head, *middle = pattern.split("*")
    if not middle:
        return pattern == value
    tail = middle.pop()
    end = len(value) - len(tail)
    if not value.startswith(head) or not value.endswith(tail) or end < len(head):
        return False
    at = len(head)
    for part in middle:
        found = value.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def parse_matcher(text: str) -> Matcher:
    """Read `host=web-*`, `severity=LOW,MEDIUM`, `source!=auth.log`. Raises `ValueError` that says what it must be."""
    found = _TEXT.fullmatch(text.strip())
    if found is None or found[1] not in FIELDS:
        raise ValueError(f"must be FIELD=VALUE or FIELD!=VALUE with a FIELD of {', '.join(FIELDS)}")
    patterns = tuple(part.strip().lower() for part in found[3].split(","))
    long = any(len(pattern) > PATTERN_CHARS or pattern.count("*") > STARS_MAX for pattern in patterns)
    if long or not all(patterns) or len(patterns) > ALTERNATIVES_MAX:
        raise ValueError(
            f"must have at most {ALTERNATIVES_MAX} values, of 1 to {PATTERN_CHARS} characters and {STARS_MAX} stars each"
        )
    if found[1] == "tag":
        patterns = tuple(plain_tag(pattern) for pattern in patterns)
    return Matcher(found[1], patterns, negated=found[2] == "!=")


def all_hold(matchers: Iterable[Matcher], labels: Labels) -> bool:
    """Whether every matcher holds."""
    return all(matcher.holds(labels) for matcher in matchers)


def labels_of(incident: Incident, teams: Sequence[Team] = ()) -> Labels:
    """Everything the incident is, by field."""
    labels: dict[str, set[str]] = {
        "severity": {incident.severity.name.lower()},
        "kind": {incident.kind},
        "id": {incident.id.lower()},
        "entity": {incident.entity.value.lower()},
        "source": {detection.source.lower() for detection in incident.detections},
        "rule": {rule.lower() for rule in incident.rules},
        "tag": tags_of(incident),
        "team": set(),
    }
    if incident.kind == "spend":  # written by Aegis itself; what a log calls its team decides nothing
        labels["team"] = {named for one in incident.detections if (named := one.evidence.get("team", "").lower())}
    for observable in (incident.entity, *incident.observables):
        labels.setdefault(observable.kind, set()).add(observable.value.lower())
    frozen = {field: frozenset(values) for field, values in labels.items()}
    owners = {team.name.lower() for team in teams if all_hold(team.matchers, frozen)}
    return {**frozen, "team": frozen["team"] | owners}


def tags_of(incident: Incident) -> set[str]:
    """Techniques with their parents, tactics and rules, plain."""
    techniques = {technique.lower() for technique in incident.techniques}
    parents = {technique.partition(".")[0] for technique in techniques}
    return techniques | parents | {plain_tag(tag) for tag in (*incident.tactics, *incident.rules)}


def plain_tag(tag: str) -> str:
    """A tag without Sigma's prefix, in one way of writing."""
    return tag.lower().removeprefix("attack.").replace("_", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """Who owns what: an incident is a team's when all matchers hold, or it is about the team's budget."""

    name: str
    matchers: tuple[Matcher, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What must hold for a route or a chain: every named part, of each part one value. Nothing named: always.

    `services` are log sources as events name them; `times` are windows of the week of which one must be open.
    """

    severities: frozenset[Severity] = frozenset()
    kinds: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    times: tuple[Weekly, ...] = ()

    def why_not(self, labels: Labels, now: datetime) -> str:
        """The first part that does not hold, in a few words; empty when all do."""
        named = {
            "severity": {severity.name.lower() for severity in self.severities},
            "kind": set(self.kinds),
            "source": {service.lower() for service in self.services},
            "tag": {plain_tag(tag) for tag in self.tags},
            "team": {team.lower() for team in self.teams},
        }
        for field, wanted in named.items():
            have = labels.get(field, frozenset())
            if wanted and wanted.isdisjoint(have):
                return f"{field} is {' or '.join(sorted(have)) or 'not known'}, not {' or '.join(sorted(wanted))}"
        if self.times and not any(window.at(now) for window in self.times):
            return f"it is not {' or '.join(window.text() for window in self.times)}"
        return ""

    def holds(self, labels: Labels, now: datetime) -> bool:
        return not self.why_not(labels, now)
