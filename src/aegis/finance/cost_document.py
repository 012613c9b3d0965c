"""A cost report as a JSON document: our own keys, beside those of the cost analysis script that the product was asked for in
(`analysis_period`, `generated_at`, `aws_costs`, `openai_costs`, `total_incidents`), in the shapes that its `jq` lines read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from aegis.core.costs import BASELINES, CostDay, CostReport, Counted, Saving
from aegis.core.money import format_usd
from aegis.core.wording import rfc3339

SCHEMA: Final = "aegis.cost_report/1"
AWS: Final = frozenset({"athena", "bedrock", "ce", "cloudwatch", "dynamodb", "lambda", "s3"})
"""Services of ours whose bill comes from AWS."""
OPENAI: Final = frozenset({"openai"})


def document(report: CostReport) -> dict[str, Any]:
    """The report as JSON values: money as decimal text under names that end in `_usd`, days as `YYYY-MM-DD` in UTC.

    `aws_costs` has the shape of Cost Explorer's GetCostAndUsage with BlendedCost by day, `openai_costs` that of OpenAI's
    organization costs; both hold what the ledger says of those services.
    """
    return {
        "schema": SCHEMA,
        "analysis_period": str(len(report.days)),
        "generated_at": rfc3339(report.generated_at, whole=True),
        "aws_costs": {"ResultsByTime": [_aws(day) for day in report.days]},
        "openai_costs": {
            "object": "page",
            "data": [_openai(d) for d in report.days],
            "has_more": False,
            "next_page": None,
        },
        "total_incidents": report.incidents.total,
        "first_day": str(report.first),
        "last_day": str(report.last),
        "total_usd": format_usd(report.total.cost),
        "average_day_usd": format_usd(report.average_day),
        "most_expensive_day": _day(report.dearest_day) if report.dearest_day.cost else None,
        **_counts(report.total),
        "days": [_day(day) for day in report.days],
        "by": {
            name: [
                {name: share.value, **_counts(share.counted), "cost_usd": format_usd(share.counted.cost)}
                for share in shares
            ]
            for name, shares in report.by.items()
        },
        "incidents_by_severity": dict(report.incidents.by_severity),
        "detections_by_severity": dict(report.incidents.detections),
        "emergencies": report.emergencies,
        "avoided": [
            {
                "method": one.method,
                "events": one.events,
                "not_valued": one.unvalued,
                "avoided_usd": format_usd(one.amount),
                "how": one.how,
            }
            for one in report.avoided
        ],
        "saving": _saving(report.saving),
    }


def _counts(counted: Counted) -> dict[str, int]:
    return {"calls": counted.calls, "cached": counted.cached, "refused": counted.refused}


def _day(day: CostDay) -> dict[str, Any]:
    by_service = {name: format_usd(cost) for name, cost in sorted(day.by_service.items())}
    return {"day": str(day.day), "cost_usd": format_usd(day.cost), "services_usd": by_service}


def _saving(saving: Saving) -> dict[str, Any]:
    def amount(value: int | None) -> str | None:
        return None if value is None else format_usd(value)

    return {
        "baseline": saving.baseline,
        "baseline_is": BASELINES[saving.baseline],
        "would_be_analyses": saving.would_be,
        "analyses": saving.analyses,
        "mean_analysis_usd": amount(saving.each),
        "before_usd": amount(saving.before),
        "spent_usd": format_usd(saving.spent),
        "saved_usd": amount(saving.saved),
    }


def _of(services: Collection[str], by_service: Mapping[str, int]) -> str:
    return format_usd(sum(cost for name, cost in by_service.items() if name in services))


def _aws(day: CostDay) -> dict[str, Any]:
    """One day as Cost Explorer tells it (contract: GetCostAndUsage, ResultByTime)."""
    return {
        "TimePeriod": {"Start": str(day.day), "End": str(day.day + timedelta(days=1))},
        "Total": {"BlendedCost": {"Amount": _of(AWS, day.by_service), "Unit": "USD"}},
        "Groups": [],
        "Estimated": True,
    }


def _openai(day: CostDay) -> dict[str, Any]:
    """One day as OpenAI's organization costs tell it; its amount is a number there."""
    amount = {"value": float(_of(OPENAI, day.by_service)), "currency": "usd"}
    result = {"object": "organization.costs.result", "amount": amount, "line_item": None, "project_id": None}
    start, end = (_seconds(at) for at in (day.day, day.day + timedelta(days=1)))
    return {"object": "bucket", "start_time": start, "end_time": end, "results": [result]}


def _seconds(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
