"""What is wrong with a set of correlations taken together: unknown references, circles, thresholds out of reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from aegis.sigma.rules import Correlation, Problem
from aegis.sigma.trackers import CorrelationBounds


def problems_of(
    correlations: Sequence[Correlation], known: AbstractSet[str] | None, bounds: CorrelationBounds
) -> Iterator[tuple[int, Problem]]:
    """The position and problem of each correlation that cannot work. `known` holds the ids and names of all rules; None skips
    that check.
    """
    seen: set[str] = set()
    by_name = {name: one for one in correlations for name in (one.id, one.name) if name}
    for index, one in enumerate(correlations):
        if one.id in seen:
            reason = "another correlation has the same id"
        elif _in_circle(one, by_name):
            reason = "it refers to itself through other correlations"
        elif known is not None and (unknown := [name for name in one.rules if name not in known]):
            reason = f"it refers to {unknown[0][:80]!r}, which is not there"
        elif one.type == "event_count" and any(number > bounds.group_entries for _, number in one.compare):
            reason = f"it counts further than the {bounds.group_entries} entries kept of a group"
        else:
            reason = ""
        seen.add(one.id)
        if reason:
            yield index, Problem(origin=one.origin, line=one.line, rule=one.id, reason=reason)


def _in_circle(start: Correlation, by_name: dict[str, Correlation]) -> bool:
    seen: set[str] = set()
    stack = [start]
    while stack:
        for name in stack.pop().rules:
            one = by_name.get(name)
            if one is not None and one.id == start.id:
                return True
            if one is not None and one.id not in seen:
                seen.add(one.id)
                stack.append(one)
    return False
