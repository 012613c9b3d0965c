"""The alarms of the sandbox's CloudWatch: kept as they were put, listed by the beginning of their names, with tags.

docs.aws.amazon.com: PutMetricAlarm, DescribeAlarms, DeleteAlarms, ListTagsForResource and their limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aegis.sandbox.checks import Inspector
from aegis.sandbox.exchange import clip
from aegis.sandbox.room import Document, Room

ACCOUNT = "000000000000"
PAGE, NAMES_MAX, ACTIONS_MAX, TAGS_MAX = 50, 100, 5, 50
STATISTICS = frozenset({"SampleCount", "Average", "Sum", "Minimum", "Maximum"})
OPERATORS = frozenset({"GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold"})
MISSING = frozenset({"breaching", "notBreaching", "ignore", "missing"})
Answered = tuple[Document, str]
"""The answer, and the line that a person reads."""
Work = Callable[[Inspector, Room, str], Answered]
"""One operation in a region."""


def _put(request: Inspector, room: Room, region: str) -> Answered:
    name = request.text("AlarmName", required=True, longest=255)
    request.text("Namespace", required=True, longest=255)
    request.text("MetricName", required=True, longest=255)
    request.text("Statistic", required=True, one_of=STATISTICS)
    request.text("ComparisonOperator", required=True, one_of=OPERATORS | {"LessThanOrEqualToThreshold"})
    request.text("TreatMissingData", one_of=MISSING)
    request.number("Threshold", required=True)
    request.whole("EvaluationPeriods", required=True, least=1)
    period = request.whole("Period", required=True, least=10)
    if period % 60 and period not in (10, 20, 30):
        request.wrong("Period", "must be 10, 20, 30 or a multiple of 60")
    for one in request.objects("Dimensions", most=30):
        one.text("Name", required=True)
        one.text("Value", required=True)
    request.texts("AlarmActions", most=ACTIONS_MAX)
    tags = [dict(one.held) for one in request.objects("Tags", most=TAGS_MAX)]
    held = room.get("alarm", f"{region}|{name}")
    if not request.problems:
        alarm = {key: value for key, value in request.held.items() if key != "Tags"}
        # Tags of an alarm that is there already are not changed by putting it again.
        room.put("alarm", f"{region}|{name}", {"alarm": alarm, "tags": tags if held is None else held["tags"]})
    return {}, f"alarm {clip(name, 100)} {'made' if held is None else 'changed'}"


def _describe(request: Inspector, room: Room, region: str) -> Answered:
    begin = f"{region}|{request.text('AlarmNamePrefix')}"
    first = int(token) if (token := request.text("NextToken", pattern=r"\d{1,6}")) else 0
    every = [one["alarm"] for name, one in room.every("alarm").items() if name.startswith(begin)]
    rows = [
        {**one, "AlarmArn": _arn(region, one["AlarmName"]), "StateValue": "OK"} for one in every[first : first + PAGE]
    ]
    more = {"NextToken": str(first + PAGE)} if first + PAGE < len(every) else {}
    return {"MetricAlarms": rows, **more}, f"{len(rows)} alarms"


def _arn(region: str, name: str) -> str:
    return f"arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{name}"


def _delete(request: Inspector, room: Room, region: str) -> Answered:
    names = request.texts("AlarmNames", required=True, most=NAMES_MAX)
    for name in names:
        room.drop("alarm", f"{region}|{name}")
    return {}, f"{len(names)} alarms deleted"


def _tags(request: Inspector, room: Room, region: str) -> Answered:
    name = request.text("ResourceARN", required=True).partition(":alarm:")[2]
    held = room.get("alarm", f"{region}|{name}")
    if held is None:
        request.wrong("ResourceARN", "names nothing that is there")
    rows: list[dict[str, Any]] = [] if held is None else held["tags"]
    return {"Tags": rows}, f"{len(rows)} tags"


OPERATIONS: Mapping[str, Work] = {
    "PutMetricAlarm": _put,
    "DescribeAlarms": _describe,
    "DeleteAlarms": _delete,
    "ListTagsForResource": _tags,
}
