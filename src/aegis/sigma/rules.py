"""What a Sigma file holds once it is read: rules, correlations, filters, and the problems met on the way.

Attribute names and their meaning: Sigma rules specification 2.1.0, correlation rules 2.0.2, filters 2.1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from aegis.core.incidents import LogSource

CorrelationType = Literal[
    "event_count",
    "value_count",
    "temporal",
    "temporal_ordered",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
]
Comparison = Literal["gt", "gte", "lt", "lte", "eq", "neq"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a document, or a part of one, is not used. `line` counts from 1 (0: not known); `rule` is its id or title."""

    origin: str
    reason: str
    rule: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.origin}:{self.line}" if self.line else self.origin
        return f"{place}: {self.rule + ': ' if self.rule else ''}{self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One detection rule. `techniques` are ATT&CK ids (`T1110.001`), `tactics` ATT&CK short names
    (`credential-access`); `aegis` is the untouched mapping under that key (our own rules keep the entity and the test
    events there). `detection` and `conditions` are what the engine compiles.
    """

    id: str
    title: str
    origin: str
    line: int
    logsource: LogSource
    detection: Mapping[str, Any]
    conditions: tuple[str, ...]
    name: str = ""
    description: str = ""
    level: str = ""
    status: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    aegis: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter takes matches away from other rules. `rules` are ids or names; empty means every rule whose log source
    is at least as specific as the filter's.
    """

    id: str
    title: str
    origin: str
    line: int
    logsource: LogSource
    rules: tuple[str, ...]
    detection: Mapping[str, Any]
    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """A rule about the matches of other rules (or correlations) within `timespan_ms`, for each value of `group_by`.

    `compare` holds the condition (all must hold); `fields` is what value types count or measure; `aliases` maps an
    alias to the field it stands for in each referred rule; `generate` says whether the referred rules also report.
    """

    id: str
    title: str
    origin: str
    line: int
    type: CorrelationType
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    timespan_ms: int
    compare: tuple[tuple[Comparison, Decimal], ...]
    fields: tuple[str, ...] = ()
    percentile: Decimal = Decimal(50)
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    generate: bool = False
    name: str = ""
    description: str = ""
    level: str = ""
    status: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    aegis: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """Everything that one text held. What is not in the first three tuples is in `problems`, by name."""

    rules: tuple[Rule, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    filters: tuple[Filter, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that matched an event, and the fields of the event that the rule looks at, as clipped text."""

    rule: Rule
    evidence: Mapping[str, str]
