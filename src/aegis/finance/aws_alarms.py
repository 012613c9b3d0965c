"""CloudWatch alarms on the metrics that Aegis publishes and on what AWS expects to charge, and the requests that bring
them in step.

Sources: CloudWatch API reference (PutMetricAlarm); AWS Billing publishes EstimatedCharges in us-east-1, some times a
day, adding up from the first of the month.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aegis.connectors.cloudwatch import as_dimension
from aegis.core.budgets import MONEY, Budget
from aegis.core.plaintext import one_line
from aegis.finance.aws_budgets import covered_by
from aegis.finance.aws_steps import AwsPlan, AwsStep, Verb, dollars, tag_of

CLIENT: Final = "cloudwatch"
BILLING_REGION: Final = "us-east-1"
PERIOD_S: Final = 300
"""Our metrics come by the minute; a crossing or a lost message is worth telling within five."""
BILLING_PERIOD_S: Final = 21_600
"""Six hours: charges are estimated several times a day."""
BILLED_AS: Final[Mapping[str, str]] = {
    "athena": "AmazonAthena",
    "bedrock": "AmazonBedrock",
    "cloudwatch": "AmazonCloudWatch",
}
"""Our services by the names of AWS/Billing's dimension ServiceName."""
NAME_MAX: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What alarms are made of. `namespace` is empty without the connector `cloudwatch`; `deliveries` are the services that
    messages go to; `topics` are ARNs of SNS topics: an alarm tells those of its own region.
    """

    prefix: str
    region: str
    namespace: str
    budgets: Sequence[Budget]
    deliveries: Sequence[str]
    topics: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAlarm:
    """An alarm as AWS tells it (MetricAlarm), where it stands, and whether we made it."""

    region: str
    held: Mapping[str, Any]
    ours: bool = True

    @property
    def name(self) -> str:
        return str(self.held.get("AlarmName", ""))


Alarms = Mapping[tuple[str, str], Mapping[str, Any]]
"""Requests of PutMetricAlarm by region and name."""


def wanted(about: Watched) -> tuple[Alarms, tuple[str, ...]]:
    """The alarms that are to be there, and what is missing for more, in sentences."""
    made: dict[tuple[str, str], Mapping[str, Any]] = {}
    notes: list[str] = []
    for region, request in (*_ours(about), *_billing(about)):
        told = [topic for topic in about.topics if region_of(topic) == region]
        made[region, request["AlarmName"]] = {**request, "AlarmActions": sorted(told)}
    if not about.namespace:
        notes.append("the connector cloudwatch is not configured: there are no metrics of ours to watch")
    notes += [
        f"aws.topics has no topic in {region}: alarms there show their state and tell nobody"
        for region in sorted({region for region, _ in made} - {region_of(topic) for topic in about.topics})
    ]
    return made, tuple(notes)


def region_of(topic: str) -> str:
    """The region of an ARN (`arn:aws:sns:eu-central-1:123456789012:spend`)."""
    parts = topic.split(":")
    return parts[3] if len(parts) > 3 else ""


def _ours(about: Watched) -> Iterator[tuple[str, dict[str, Any]]]:
    if not about.namespace:
        return
    for budget in about.budgets:
        for level in ("critical", "emergency"):
            if any(level == name for amounts in budget.windows for name, _ in amounts.levels()):
                tags = {"budget": budget.name, "level": level}
                words = f"the budget {budget.name} crossed {level}"
                yield _counted(about, f"level-{budget.name}-{level}", words, "aegis.levels_crossed_total", tags)
    tags = {"severity": "CRITICAL"}
    yield _counted(about, "detections-critical", "a CRITICAL detection", "aegis.detections_total", tags)
    for service in about.deliveries:
        tags = {"service": service, "outcome": "dead"}
        words = f"a message to {service} was given up"
        yield _counted(about, f"undelivered-{service}", words, "aegis.deliveries_total", tags)


def _counted(about: Watched, name: str, words: str, metric: str, tags: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """An alarm on anything that is counted at all."""
    request = _alarm(about.prefix, name, words, about.namespace, metric, _ordered(tags.items()))
    return about.region, {**request, "Statistic": "Sum", "Period": PERIOD_S, "Threshold": 0.0}


def _billing(about: Watched) -> Iterator[tuple[str, dict[str, Any]]]:
    """Alarms on the month so far, for budgets of money that AWS can see as a whole."""
    for budget in about.budgets:
        if budget.unit != MONEY or set(budget.scope) - {"service", "provider"}:
            continue
        service = next((value for value in budget.scope.values() if value != "aws"), "")
        if not covered_by(budget) or (service and service not in BILLED_AS):
            continue
        charged = {"Currency": "USD"} | ({"ServiceName": BILLED_AS[service]} if service else {})
        for amounts in budget.windows:
            if amounts.window.kind != "month":
                continue
            for level, amount in amounts.levels():
                words = (
                    f"AWS expects to charge more than {dollars(amount)} USD this month for {service or 'everything'}"
                )
                name = f"billing-{budget.name}-{level}"
                request = _alarm(
                    about.prefix, name, words, "AWS/Billing", "EstimatedCharges", _ordered(charged.items())
                )
                threshold = float(dollars(amount))
                yield (
                    BILLING_REGION,
                    {**request, "Statistic": "Maximum", "Period": BILLING_PERIOD_S, "Threshold": threshold},
                )


def _ordered(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": as_dimension(one_line(value))} for name, value in sorted(pairs)]


def _alarm(
    prefix: str, name: str, words: str, namespace: str, metric: str, dimensions: list[dict[str, str]]
) -> dict[str, Any]:
    return {
        "AlarmName": as_dimension(one_line(f"{prefix}-{name}"))[:NAME_MAX],
        "AlarmDescription": f"Aegis: {words}",
        "Namespace": namespace,
        "MetricName": metric,
        "Dimensions": dimensions,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "ActionsEnabled": True,
    }


def plan(asked: Alarms, found: Sequence[FoundAlarm], *, prefix: str, notes: Sequence[str] = ()) -> AwsPlan:
    """The requests that make what is `found` as it is `asked`: only what we made is changed or deleted."""
    there, told = {(one.region, one.name): one for one in found}, list(notes)
    steps: list[AwsStep] = []
    for (region, name), request in asked.items():
        held = there.get((region, name))
        if held is None:
            words = f"{request['AlarmDescription'].removeprefix('Aegis: ')}; tells {_topics(request) or 'nobody'}"
            steps.append(
                _step("create", name, words, "put_metric_alarm", region, {**request, "Tags": [tag_of(prefix)]})
            )
        elif not held.ours:
            told.append(f"{name} was not made by Aegis (it lacks the tag): it is left alone")
        elif changed := _changed(held.held, request):
            steps.append(_step("update", name, ", ".join(changed), "put_metric_alarm", region, request))
    for one in found:
        if one.ours and (one.region, one.name) not in asked:
            words = "nothing of ours asks for it any more"
            steps.append(_step("delete", one.name, words, "delete_alarms", one.region, {"AlarmNames": [one.name]}))
    return AwsPlan(steps=steps, notes=told)


def _topics(request: Mapping[str, Any]) -> str:
    return ", ".join(request["AlarmActions"])


def _changed(held: Mapping[str, Any], request: Mapping[str, Any]) -> list[str]:
    """What differs, each as `Threshold 75.0 -> 80.0`."""
    return [
        f"{key} {_shown(was)} -> {_shown(value)}"
        for key, value in request.items()
        if (was := _same_order(key, held.get(key))) != value
    ]


def _same_order(key: str, value: Any) -> Any:
    if key == "Dimensions":
        return _ordered((str(one.get("Name")), str(one.get("Value"))) for one in value or ())
    return sorted(value or ()) if key == "AlarmActions" else value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(one if isinstance(one, str) else f"{one['Name']}={one['Value']}" for one in value) or "none"
    return str(value)


def _step(verb: Verb, name: str, words: str, operation: str, region: str, request: Mapping[str, Any]) -> AwsStep:
    return AwsStep(
        verb=verb, name=name, words=words, client=CLIENT, operation=operation, region=region, request=request
    )
