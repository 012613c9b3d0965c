"""What would save most: rules over this month's recorded calls, each with the figures that led to it.

A rule speaks only when there were enough calls to mean something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aegis.core.ledger import Total
from aegis.cost_optimization.engine import FUNCTION, dollars
from aegis.cost_optimization.model_selector import CHEAPEST
from aegis.cost_optimization.models import FreeTierLimits, ServiceType, ServiceUsage

CALLS_MIN = 10
"""Fewer calls than this say nothing about a habit."""
SMALL_QUERY = 10 * 1024 * 1024
"""Athena bills at least this much for a query (aws.amazon.com/athena/pricing)."""
LARGE_QUERY = 1024**3
"""From a gigabyte a query on, columns and partitions pay."""
SHORT_PROMPT_TOKENS = 500
"""Below this the fixed part of a prompt (instructions, roles) is most of it."""
LONG_PROMPT_TOKENS = 4_096
"""Prompt caching begins here for the smallest models (Bedrock user guide, prompt caching, minimum per checkpoint)."""

Kind = Literal["quota", "batching", "parquet", "model", "cache", "prompt_cache"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One thing to do. `priority` is 1 for the most urgent; `text` is a sentence with its figures."""

    service: str
    kind: Kind
    priority: int
    text: str


def recommend(
    usage: Mapping[ServiceType, ServiceUsage], limits: FreeTierLimits, totals: Sequence[Total]
) -> Sequence[Recommendation]:
    """All that apply, the most urgent first."""
    found = [
        *_quotas(usage, limits),
        *_athena(usage[ServiceType.ATHENA]),
        *_bedrock(usage[ServiceType.BEDROCK], totals),
    ]
    return sorted(found, key=lambda recommendation: recommendation.priority)


def _quotas(usage: Mapping[ServiceType, ServiceUsage], limits: FreeTierLimits) -> Iterator[Recommendation]:
    for service, used in usage.items():
        for meter, percent in used.percentages(limits):
            if percent >= 85:
                text = f"{percent:.0f} % of the month's {meter} are used: keep the rest for what is critical"
                yield Recommendation(service=service, kind="quota", priority=1, text=text)


def _athena(used: ServiceUsage) -> Iterator[Recommendation]:
    if used.calls < CALLS_MIN:
        return
    each = used.units["bytes_scanned"] // used.calls
    if each >= LARGE_QUERY:
        text = (
            f"{used.calls} queries scanned {each / 1024**3:.1f} GB each: keep the data as Parquet and partition it by "
            "day, so that a query reads only the columns and days it names"
        )
        yield Recommendation(service="athena", kind="parquet", priority=2, text=text)
    elif each <= SMALL_QUERY:
        text = (
            f"{used.calls} queries each cost Athena's minimum of 10 MB: ask several questions in one query "
            "(UNION ALL, IN lists), or let results be used again"
        )
        yield Recommendation(service="athena", kind="batching", priority=3, text=text)


def _bedrock(used: ServiceUsage, totals: Sequence[Total]) -> Iterator[Recommendation]:
    made = [t for t in totals if t.service == "bedrock" and t.state in ("settled", "worst") and t.model != FUNCTION]
    calls = sum(total.calls for total in made)
    if calls < CALLS_MIN:
        return
    prompt = used.units["input_tokens"] // calls
    if prompt <= SHORT_PROMPT_TOKENS:
        text = (
            f"{calls} prompts of about {prompt} tokens: put several events into one prompt, the instructions come once"
        )
        yield Recommendation(service="bedrock", kind="batching", priority=3, text=text)
    if prompt >= LONG_PROMPT_TOKENS:
        text = f"{calls} prompts of about {prompt} tokens: pass what they share as system=..., it is then cached by Bedrock"
        yield Recommendation(service="bedrock", kind="prompt_cache", priority=2, text=text)
    dear = [total for total in made if CHEAPEST not in total.model]
    spent, cost = sum(total.cost for total in made), sum(total.cost for total in dear)
    if spent and cost * 2 > spent:
        text = (
            f"${dollars(cost):.4f} of ${dollars(spent):.4f} went to larger models: say query_complexity='simple' where "
            f"{CHEAPEST} is good enough"
        )
        yield Recommendation(service="bedrock", kind="model", priority=2, text=text)
