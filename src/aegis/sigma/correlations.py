"""A correlation document as a `Correlation`: types, time spans, conditions, aliases.

Source: Sigma correlation rules specification 2.0.2; value_sum, value_avg, value_percentile and value_median as in the
published schema of 2.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, cast, get_args

from aegis.core.errors import BadInput
from aegis.sigma.rules import Comparison, Correlation, CorrelationType

RULES_MAX = 64
GROUP_FIELDS_MAX = 16
TIMESPAN_MAX_MS = 30 * 86_400_000
"""State is kept for a whole span: beyond a month it belongs into a report, not into memory."""

_TYPES = get_args(CorrelationType)
_COMPARISONS = get_args(Comparison)
_SPAN = re.compile(r"([1-9][0-9]{0,8})([smhdw])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def read_correlation(value: Mapping[str, Any], *, origin: str, line: int, common: Mapping[str, Any]) -> Correlation:
    """The correlation that a document describes. Raises `BadInput` naming the attribute that is wrong."""
    body = value["correlation"]
    if not isinstance(body, dict):
        raise BadInput("`correlation` is a mapping")
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise BadInput(f"unknown correlation type {str(kind)[:40]!r}")
    rules = _names(body.get("rules"), "rules", RULES_MAX)
    timespan = _timespan(body.get("timespan"))
    compare, fields, percentile = _condition(body.get("condition"), kind, len(rules))
    return Correlation(
        **common,
        origin=origin,
        line=line,
        type=cast("CorrelationType", kind),
        rules=rules,
        group_by=_names(body.get("group-by"), "group-by", GROUP_FIELDS_MAX) if body.get("group-by") else (),
        timespan_ms=timespan,
        compare=compare,
        fields=fields,
        percentile=percentile,
        aliases=_aliases(body.get("aliases")),
        generate=body.get("generate", value.get("generate")) is True,
    )


def _names(value: Any, attribute: str, most: int) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise BadInput(f"`{attribute}` is a list of names")
    if len(names) > most:
        raise BadInput(f"`{attribute}` has more than {most} entries")
    return tuple(names)


def _timespan(value: Any) -> int:
    found = _SPAN.fullmatch(str(value))
    if not found:
        raise BadInput(f"`timespan` {str(value)[:20]!r} is not a number and one of s m h d w")
    span = int(found[1]) * _UNIT_MS[found[2]]
    if span > TIMESPAN_MAX_MS:
        raise BadInput("`timespan` is longer than 30 days")
    return span


def _condition(
    value: Any, kind: str, rules: int
) -> tuple[tuple[tuple[Comparison, Decimal], ...], tuple[str, ...], Decimal]:
    if value is None and kind in ("temporal", "temporal_ordered"):
        return (("gte", Decimal(rules)),), (), Decimal(50)
    if not isinstance(value, dict):
        raise BadInput("`condition` is a mapping such as `gte: 10`")
    compare = tuple((cast("Comparison", name), _number(value[name])) for name in _COMPARISONS if name in value)
    if not compare:
        raise BadInput("`condition` compares with none of gt gte lt lte eq neq")
    if unknown := set(value) - {*_COMPARISONS, "field", "percentile"}:
        raise BadInput(f"`condition` has an unknown word {min(map(str, unknown))[:40]!r}")
    fields = _names(value["field"], "field", GROUP_FIELDS_MAX) if "field" in value else ()
    if kind.startswith("value_") and not fields:
        raise BadInput(f"{kind} needs `field` in its condition")
    if kind == "temporal_ordered" and compare != (("gte", Decimal(rules)),):
        raise BadInput("a temporal_ordered correlation takes all its rules in order; a count cannot be chosen")
    percentile = _number(value.get("percentile", 50))
    if not 0 <= percentile <= 100:
        raise BadInput("`percentile` is between 0 and 100")
    return compare, fields, percentile


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadInput("`condition` compares with numbers")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise BadInput(f"`condition` compares with {str(value)[:20]!r}, which is no number") from None
    if not number.is_finite():
        raise BadInput("`condition` compares with numbers")
    return number


def _aliases(value: Any) -> dict[str, dict[str, str]]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(
        isinstance(alias, str)
        and isinstance(fields, dict)
        and all(isinstance(part, str) for pair in fields.items() for part in pair)
        for alias, fields in value.items()
    ):
        raise BadInput("`aliases` maps an alias to the field it stands for in each rule")
    return {alias: dict(fields) for alias, fields in value.items()}
