"""AWS' own figures: costs by service and day from Cost Explorer, and what Bedrock and Athena used from CloudWatch.

Policy: Cost Explorer charges for every request, CloudWatch for every metric that is asked for, so each asks the governor
first and only one span is ever asked for; whatever the days, that is one request (a page more for hundreds of services).
Source: AWS, Cost Explorer `GetCostAndUsage`, CloudWatch `GetMetricData`, and both price pages (2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from aegis.core.bills import DAY_UNITS_MAX, BilledDay, Sums, amount_of, begins, day_of
from aegis.core.calls import Call, Priority, Usage
from aegis.core.errors import BadInput
from aegis.core.outlets import AwsCalls
from aegis.core.ports import Clock, Governs, NewId

NAME: Final = "aws"
EXPLORER: Final = "ce"
WATCH: Final = "cloudwatch"
METRICS_MODEL: Final = "get-metric-data"
"""CloudWatch's reading has a price, its other calls of ours have none: the price list keeps it as a model."""
REGION: Final = "us-east-1"
"""Cost Explorer stands there, for all regions."""
LAG_MS: Final = 36 * 3_600_000
"""Cost Explorer is refreshed at least once in 24 hours, and usage reaches it up to 12 hours late."""
PAGES_MAX: Final = 5
"""Pages of one report: each is a request that is paid for, and has some hundred services of a day."""
DAY_S: Final = 86_400
ATHENA_GROUP: Final = "primary"
KNOWN: Final[Mapping[str, str]] = {"Amazon Athena": "athena", "AWS Cost Explorer": EXPLORER}
"""What AWS calls services that Aegis governs, by ours; whatever has Bedrock in its name is Bedrock (models sold by others
have a line of their own, such as `Claude Sonnet (Amazon Bedrock Edition)`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where AWS is asked. Empty endpoints are AWS' own; `region` is where Bedrock and Athena are used."""

    region: str = ""
    explorer: str = ""
    watch: str = ""
    workgroup: str = ATHENA_GROUP


class AwsBill:
    """`core.bills.Bill`."""

    provider: Final = NAME
    services: Final = ("bedrock", "athena", EXPLORER)
    lag_ms: Final = LAG_MS

    def __init__(self, aws: AwsCalls, governor: Governs, *, clock: Clock, new_id: NewId, place: Place) -> None:
        self._aws, self._governor, self._clock, self._new_id, self._place = aws, governor, clock, new_id, place

    async def days(self, first: date, last: date) -> Sequence[BilledDay]:
        """Both reports, added up. Raises `Refused`, `ServiceError` and `BadInput`."""
        sums = Sums(first, last)
        request = cost_request(first, last)
        for _ in range(PAGES_MAX):
            answer = await self._explore(request)
            read_costs(answer, sums)
            token = answer.get("NextPageToken")
            if not token:
                break
            if not isinstance(token, str) or token == request.get("NextPageToken"):
                raise BadInput("the report goes on, and does not say where", code="bad_bill")
            request = {**request, "NextPageToken": token}
        else:
            raise BadInput(f"the report has more than {PAGES_MAX} pages", code="bad_bill")
        read_metrics(await self._watch(metrics_request(first, last, self._place.workgroup)), sums)
        return sums.days()

    async def _explore(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        async with self._governor.admit(self._call(EXPLORER, "GetCostAndUsage", {"requests": 1})) as reservation:
            answer = await self._aws.call(
                EXPLORER, "ce", "get_cost_and_usage", request, region=REGION, endpoint=self._place.explorer
            )
            reservation.settle({"requests": 1})
        return answer

    async def _watch(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked: Usage = {"metrics": len(request["MetricDataQueries"])}
        call = self._call(WATCH, "GetMetricData", asked, METRICS_MODEL)
        async with self._governor.admit(call) as reservation:
            answer = await self._aws.call(
                WATCH, "cloudwatch", "get_metric_data", request, region=self._place.region, endpoint=self._place.watch
            )
            reservation.settle(asked)
        return answer

    def _call(self, service: str, operation: str, worst: Usage, *models: str) -> Call:
        return Call(
            id=self._new_id("call"),
            service=service,
            operation=operation,
            worst=worst,
            models=models,
            scope={"purpose": "reconcile"},
            priority=Priority.LOW,
        )


def cost_request(first: date, last: date) -> Mapping[str, Any]:
    """One question for all days: what was used, by service, without credits, refunds and taxes. The end is exclusive."""
    return {
        "TimePeriod": {"Start": first.isoformat(), "End": (last + timedelta(days=1)).isoformat()},
        "Granularity": "DAILY",
        "Metrics": ["UnblendedCost"],
        "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}],
        "Filter": {"Dimensions": {"Key": "RECORD_TYPE", "Values": ["Usage"]}},
    }


def read_costs(answer: Mapping[str, Any], sums: Sums) -> None:
    """Add up what one page says of services that Aegis governs. Raises `BadInput`."""
    for result in _dicts(answer.get("ResultsByTime")):
        period = result.get("TimePeriod")
        day = day_of(period.get("Start") if isinstance(period, dict) else None)
        for group in _dicts(result.get("Groups")):
            keys, metrics = group.get("Keys"), group.get("Metrics")
            cost = metrics.get("UnblendedCost") if isinstance(metrics, dict) else None
            if not (isinstance(keys, list) and keys and isinstance(keys[0], str) and isinstance(cost, dict)):
                raise BadInput("a group of the report has no name or no cost", code="bad_bill")
            if service := ours(keys[0]):
                sums.cost(service, day, amount_of(cost.get("Amount"), cost.get("Unit")))


def ours(name: str) -> str:
    """Which of our services a name of AWS is; empty for none."""
    return "bedrock" if "Bedrock" in name else KNOWN.get(name, "")


METRICS: Final[Sequence[tuple[str, str, str, str]]] = (
    ("bedrock", "AWS/Bedrock", "InputTokenCount", "input_tokens"),
    ("bedrock", "AWS/Bedrock", "OutputTokenCount", "output_tokens"),
    ("bedrock", "AWS/Bedrock", "CacheReadInputTokenCount", "cache_read_tokens"),
    ("bedrock", "AWS/Bedrock", "CacheWriteInputTokenCount", "cache_write_tokens"),
    ("bedrock", "AWS/Bedrock", "Invocations", "requests"),
    ("athena", "AWS/Athena", "ProcessedBytes", "bytes_scanned"),
)
"""Our service, AWS' namespace and metric, our meter (Bedrock user guide, monitoring; Athena user guide, metrics)."""


def metrics_request(first: date, last: date, workgroup: str) -> Mapping[str, Any]:
    """The sums of every metric by day, in one question."""
    queries = []
    for number, (service, namespace, name, _) in enumerate(METRICS):
        dimensions = [{"Name": "WorkGroup", "Value": workgroup}] if service == "athena" else []
        metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions}
        queries.append({"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": DAY_S, "Stat": "Sum"}})
    start, end = (begins(day) for day in (first, last + timedelta(days=1)))
    return {"MetricDataQueries": queries, "StartTime": start, "EndTime": end}


def read_metrics(answer: Mapping[str, Any], sums: Sums) -> None:
    """Add up the metrics of an answer. Raises `BadInput`."""
    known = {f"m{number}": (service, meter) for number, (service, _, _, meter) in enumerate(METRICS)}
    for result in _dicts(answer.get("MetricDataResults")):
        if (found := known.get(str(result.get("Id")))) is None:
            continue
        times, values = result.get("Timestamps"), result.get("Values")
        if not isinstance(times, list) or not isinstance(values, list) or len(times) != len(values):
            raise BadInput("a metric has not one value for each time", code="bad_bill")
        for at, value in zip(times, values, strict=True):
            sums.use(found[0], _day(at), {found[1]: _count(value)})


def _day(at: object) -> date:
    if not isinstance(at, datetime):
        raise BadInput("a value of a metric has no time", code="bad_bill")
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).date()


def _count(value: object) -> int:
    """A sum as a whole number; CloudWatch gives it as a double."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < DAY_UNITS_MAX:
        raise BadInput("a value of a metric is no count of units", code="bad_bill")
    return int(value)


def _dicts(rows: object) -> Sequence[Mapping[str, Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInput("the report is not as it should be", code="bad_bill")
    return rows
