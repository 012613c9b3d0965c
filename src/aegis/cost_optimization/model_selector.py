"""Which model answers: by complexity, length, accuracy and what is left of the budget, from today's catalogue.

Policy: the cheapest model that is good enough comes first, the rest follow as fallbacks that cost less, so that a
budget that no longer allows the first may still allow the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aegis.core.errors import BadInput
from aegis.cost_optimization.models import ModelSelectionCriteria

LADDER = (
    "global.anthropic.claude-haiku-5-5",
    "global.anthropic.claude-sonnet-5-5",
    "global.anthropic.claude-opus-5-5",
)
"""Triage, analysis, deep: Bedrock's global profiles, which cost the list price (regional ones cost 10 % more)."""
CHEAPEST = "claude-haiku-5-5"

OUTPUT_TOKENS: Mapping[str, int] = {"short": 512, "medium": 1_024, "long": 4_096}
"""The cap of an answer of each length: a paragraph, a page, a report."""

_LEVEL = {"simple": 0, "moderate": 1, "complex": 2}
_SHIFT = {"speed": -1, "cost": -1, "balanced": 0, "accuracy": 1}

_SUCCESSORS: tuple[tuple[str, str], ...] = (
    ("haiku", LADDER[0]),
    ("instant", LADDER[0]),
    ("sonnet", LADDER[1]),
    ("claude-v2", LADDER[1]),
    ("opus", LADDER[2]),
)
_RETIRED = (
    "claude-instant",
    "claude-v2",
    "claude-3-",
    "claude-sonnet-4-2025",
    "claude-opus-4-2025",
    "claude-sonnet-4-5",
)
"""Names that are no longer to be used: the Claude 3 family (haiku, sonnet, opus, 3.5, 3.7) and what came before and
right after it.
"""


class ModelSelector:
    """Picks models; `ladder` are the candidates from the cheapest to the most capable."""

    def __init__(self, ladder: Sequence[str] = LADDER) -> None:
        if not ladder:
            raise BadInput("a model selector needs at least one model", code="no_models")
        self.ladder = tuple(check_model(model) for model in ladder)

    def select_model(self, criteria: ModelSelectionCriteria) -> str:
        """The model to ask. Raises `BadInput` for a word that is none of the criteria's."""
        return self.candidates(criteria)[0]

    def candidates(self, criteria: ModelSelectionCriteria) -> tuple[str, ...]:
        """The model to ask, then those that cost less, in the order in which they are tried."""
        first = min(max(0, self._wanted(criteria)), len(self.ladder) - 1)
        return tuple(reversed(self.ladder[: first + 1]))

    def _wanted(self, criteria: ModelSelectionCriteria) -> int:
        try:
            level = _LEVEL[criteria.query_complexity] + _SHIFT[criteria.accuracy_priority]
            output = OUTPUT_TOKENS[criteria.response_length_required]
        except KeyError as error:
            raise BadInput(f"{error.args[0]!r} is none of the criteria's words", code="bad_criteria") from error
        if criteria.response_length_required == "long" and level == 0:
            level = 1  # the smallest model loses the thread of a report
        left = criteria.available_budget_tokens
        if left is not None and left < 2 * output:
            # Less than two answers left: one step down; larger models also write more.
            level -= 1
        return level


def check_model(model: str) -> str:
    """The model id itself. Raises `BadInput` naming the successor of one that was retired."""
    if any(part in model for part in _RETIRED):
        successor = next((new for family, new in _SUCCESSORS if family in model), LADDER[1])
        raise BadInput(f"{model} was retired; its successor is {successor}", code="retired_model")
    return model
