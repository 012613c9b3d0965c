"""Claims about CloudWatch: what is put, how few metrics there are, and what a failure means."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.connectors.contracts import Contract
from tests.connectors.hostile import texts
from tests.connectors.stories import NOW

from aegis.connectors.cloudwatch import DIMENSIONS_MAX, OVERFLOW, CloudWatch, Config, datum
from aegis.core.errors import ConfigError, ServiceError
from aegis.core.notifications import MetricPoint

pytestmark = pytest.mark.anyio


class Calls:
    """The port `AwsCalls`: keeps what was called."""

    def __init__(self, failure: ServiceError | None = None) -> None:
        self.made: list[tuple[str, str, Mapping[str, Any], str, str]] = []
        self.failure = failure

    async def call(
        self, service: str, client: str, operation: str, request: Mapping[str, Any], *, region: str, endpoint: str
    ) -> Mapping[str, Any]:
        assert service == "cloudwatch"
        self.made.append((client, operation, request, region, endpoint))
        if self.failure:
            raise self.failure
        return {}


def point(name: str = "aegis.calls_total", value: int = 1, **tags: str) -> MetricPoint:
    return MetricPoint(name=name, kind="count", value=value, at=NOW, tags=tags)


def sink(calls: Calls, **changes: Any) -> CloudWatch:
    return CloudWatch(Config(**changes), calls)


async def test_a_batch_is_one_call_that_keeps_the_contract(shared: Path) -> None:
    calls = Calls()
    gauge = MetricPoint(name="aegis.budget_spent", kind="gauge", value=5, at=NOW, tags={"budget": "day", "window": "x"})
    await sink(calls, region="eu-central-1").push([point(service="slack", outcome="done"), gauge])
    [(client, operation, request, region, endpoint)] = calls.made
    assert (client, operation, region, endpoint) == ("cloudwatch", "put_metric_data", "eu-central-1", "")
    assert Contract.of(shared, "aws_cloudwatch", "PutMetricData").breaches(request) == []
    assert request["Namespace"] == "Aegis"
    assert [one["Unit"] for one in request["MetricData"]] == ["Count", "None"]
    assert request["MetricData"][1]["Dimensions"] == [{"Name": "budget", "Value": "day"}]


async def test_tags_that_are_worth_no_metric_are_added_up() -> None:
    calls = Calls()
    await sink(calls).push([point(value=2, service="slack", model="a"), point(value=3, service="slack", model="b")])
    [datum_] = calls.made[0][2]["MetricData"]
    assert (datum_["Value"], datum_["Dimensions"]) == (5, [{"Name": "service", "Value": "slack"}])


async def test_the_number_of_metrics_is_bounded_and_nothing_is_lost() -> None:
    calls = Calls()
    made = sink(calls, metrics_max=3)
    await made.push([point(service=f"s{number}") for number in range(10)])
    names = [one["MetricName"] for one in calls.made[0][2]["MetricData"]]
    assert names == ["aegis.calls_total"] * 3 + [OVERFLOW]
    assert sum(one["Value"] for one in calls.made[0][2]["MetricData"]) == 10
    await made.push([point(service="s0")])
    assert calls.made[1][2]["MetricData"][0]["MetricName"] == "aegis.calls_total"


def test_hostile_tags_stay_values(shared: Path) -> None:
    contract = Contract.of(shared, "aws_cloudwatch", "PutMetricData")
    for text in texts():
        made = datum(point(service=text, budget=text, level=text, outcome=text))
        assert contract.breaches({"Namespace": "Aegis", "MetricData": [made]}) == []
        assert len(made["Dimensions"]) <= DIMENSIONS_MAX
        for one in made["Dimensions"]:
            assert one["Value"].isascii()
            assert one["Value"].isprintable()
            assert not one["Value"].startswith(":")


async def test_a_probe_asks_who_we_are_and_puts_nothing() -> None:
    calls = Calls()
    assert (await sink(calls).probe()).asked
    assert [one[:2] for one in calls.made] == [("sts", "get_caller_identity")]


async def test_a_failure_passes_through() -> None:
    failure = ServiceError("cloudwatch", "answered 400 ThrottlingException", retryable=True)
    with pytest.raises(ServiceError) as caught:
        await sink(Calls(failure)).push([point()])
    assert caught.value is failure


@pytest.mark.parametrize(
    "changes",
    [
        {"namespace": "AWS/EC2"},
        {"namespace": ""},
        {"namespace": "a b"},
        {"region": "Frankfurt"},
        {"metrics_max": 0},
        {"base_url": "http://monitoring.example.com"},
    ],
)
def test_a_configuration_that_cannot_work_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Config(**changes)
