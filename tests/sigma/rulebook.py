"""Small ways to write rules and correlations in tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aegis.sigma import Correlation, Engine, Rule, parse_rules

APP = {"product": "app"}
"""A log source that no event reveals by itself: tests name it."""


def one_rule(
    detection: Mapping[str, Any], *, rule_id: str = "rule", logsource: Mapping[str, str] = APP, **more: Any
) -> Rule:
    document = {"title": rule_id, "id": rule_id, "logsource": dict(logsource), "detection": dict(detection), **more}
    parsed = parse_rules(json.dumps(document), origin="test.yml")
    assert not parsed.problems, parsed.problems
    return parsed.rules[0]


def item_rule(line: Mapping[str, Any], *, rule_id: str = "rule") -> Rule:
    """A rule of one selection."""
    return one_rule({"selection": dict(line), "condition": "selection"}, rule_id=rule_id)


def engine_of(*rules: Rule, **options: Any) -> Engine:
    engine = Engine(rules, **options)
    assert not engine.problems, engine.problems
    return engine


def one_correlation(
    *, rule_id: str = "correlation", name: str = "", generate: bool = False, **body: Any
) -> Correlation:
    body = {key.replace("_", "-") if key == "group_by" else key: value for key, value in body.items()}
    document = {"title": rule_id, "id": rule_id, "name": name, "correlation": {**body, "generate": generate}}
    parsed = parse_rules(json.dumps(document), origin="test.yml")
    assert not parsed.problems, parsed.problems
    return parsed.correlations[0]
