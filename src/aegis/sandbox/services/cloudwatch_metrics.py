"""What the sandbox's CloudWatch has measured of Bedrock and Athena: sums by day, as they were really used.

docs.aws.amazon.com: GetMetricData; Bedrock's and Athena's metrics.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from aegis.sandbox.checks import Inspector
from aegis.sandbox.room import Document, Room
from aegis.sandbox.services.bills import BUCKETS_MAX, of_day

DAY_S: Final = 86_400
QUERIES_MAX: Final = 500
MEASURED: Final = {
    ("AWS/Bedrock", "InputTokenCount"): ("bedrock", "input_tokens"),
    ("AWS/Bedrock", "OutputTokenCount"): ("bedrock", "output_tokens"),
    ("AWS/Bedrock", "Invocations"): ("bedrock", "requests"),
    ("AWS/Athena", "ProcessedBytes"): ("athena", "bytes_scanned"),
}


def get_metric_data(request: Inspector, room: Room, _region: str) -> tuple[Document, str]:
    """Sums by day of each metric that was asked for; one that never was measured has no values."""
    start, end = request.number("StartTime", required=True), request.number("EndTime", required=True)
    results = []
    for query in request.objects("MetricDataQueries", required=True, least=1, most=QUERIES_MAX):
        number = query.text("Id", required=True, pattern="[a-z][a-zA-Z0-9_]*")
        stat = query.child("MetricStat", required=True)
        metric = stat.child("Metric", required=True) if stat else None
        if stat is None or metric is None:
            continue
        if stat.whole("Period", required=True, least=60) != DAY_S:
            stat.wrong("Period", "the sandbox keeps days only")
        stat.text("Stat", required=True, one_of={"Sum"})
        name = metric.text("Namespace", required=True), metric.text("MetricName", required=True)
        times, values = _sums(room, *MEASURED.get(name, ("", "")), start, end)
        results.append(
            {"Id": number, "Label": name[1], "Timestamps": times, "Values": values, "StatusCode": "Complete"}
        )
    return {"MetricDataResults": results, "Messages": []}, f"{len(results)} metrics read"


def _sums(room: Room, service: str, meter: str, start: float, end: float) -> tuple[list[datetime], list[float]]:
    """The newest first, as the real one gives them."""
    if not (service and 0 <= start < end <= 2**40):
        return [], []
    first = datetime.fromtimestamp(start, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    count = min(int(end - start) // DAY_S, BUCKETS_MAX + 1)
    found = []
    for day in (first + timedelta(days=n) for n in range(count)):
        used = of_day(room, day.date()).get(service, {}).get("usage", {}).get(meter, 0)
        if used:
            found.append((day, float(used)))
    return [day for day, _ in found[::-1]], [used for _, used in found[::-1]]
