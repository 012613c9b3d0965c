"""Rules and filters as trees: selections, conditions, and what a filter takes away.

Filters: the specification says what a filter is for (taking matches away) but not how its condition reads. Its own
example names what is to be taken away (`condition: selection`), pySigma's users write what has to hold (`condition:
not selection`). Both are understood: a condition that starts with NOT has to hold, any other must not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aegis.core.errors import BadInput
from aegis.sigma.atoms import AtomTable
from aegis.sigma.conditions import parse_condition
from aegis.sigma.items import Placeholders, compile_item, keyword
from aegis.sigma.nodes import Node, Not, all_of, any_of, negate
from aegis.sigma.rules import Filter, Rule

SELECTIONS_MAX = 500
_NOT_SELECTIONS = frozenset(("condition", "timeframe"))


def compile_detection(
    detection: Mapping[str, Any], conditions: Sequence[str], table: AtomTable, placeholders: Placeholders
) -> Node:
    """The tree of a detection. Raises `BadInput` naming the selection that cannot be used."""
    names = [name for name in detection if isinstance(name, str) and name not in _NOT_SELECTIONS]
    if len(names) > SELECTIONS_MAX:
        raise BadInput(f"more than {SELECTIONS_MAX} selections")
    trees: dict[str, Node] = {}

    def resolve(name: str) -> Node:
        if name not in trees:
            try:
                trees[name] = _selection(detection[name], table, placeholders)
            except BadInput as error:
                raise BadInput(f"selection {name[:60]!r}: {error}") from None
        return trees[name]

    return any_of([parse_condition(condition, names, resolve) for condition in conditions])


def _selection(value: Any, table: AtomTable, placeholders: Placeholders) -> Node:
    if isinstance(value, dict):
        if not value:
            raise BadInput("it is empty")
        return all_of([compile_item(str(key), one, table, placeholders) for key, one in value.items()])
    if isinstance(value, list):
        if not value:
            raise BadInput("it is empty")
        return any_of([_selection(one, table, placeholders) for one in value])
    return keyword(value, table)


def compile_rule(rule: Rule, filters: Sequence[Filter], table: AtomTable, placeholders: Placeholders) -> Node:
    """The tree of a rule with every filter that names it. Raises `BadInput`."""
    tree = compile_detection(rule.detection, rule.conditions, table, placeholders)
    for one in filters:
        if _concerns(one, rule):
            taken = compile_detection(one.detection, one.conditions, table, placeholders)
            tree = all_of([tree, taken if isinstance(taken, Not) else negate(taken)])
    return tree


def _concerns(one: Filter, rule: Rule) -> bool:
    if one.rules and not {rule.id, rule.name}.intersection(one.rules):
        return False
    wanted, has = one.logsource, rule.logsource
    return (
        wanted.product in ("", has.product)
        and wanted.category in ("", has.category)
        and wanted.service in ("", has.service)
    )
