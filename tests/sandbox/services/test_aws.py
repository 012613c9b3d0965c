"""The sandbox's Athena, Bedrock and Free Tier answer boto3 itself, in the shapes of the published models."""

import json
from typing import Any

import anyio
import pytest
from tests.sandbox.places import Client, Contracts, HandClock

from aegis.transport.aws import make_client

pytest.importorskip("boto3")
pytestmark = pytest.mark.anyio
SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=x", "content_type": "application/x-amz-json-1.1"}


def boto(client: Client, name: str, service: str = "") -> Any:
    return make_client(name, endpoint=f"{client.serving.url}/{service or name}", stand_in=True)


async def call(made: Any, operation: str, **request: Any) -> Any:
    return await anyio.to_thread.run_sync(lambda: getattr(made, operation)(**request))


async def raw(client: Client, target: str, value: Any) -> Any:
    """The answer as it stands on the wire."""
    service = "athena" if target.startswith("AmazonAthena") else "freetier"
    return await client.post(f"/{service}/", value, x_amz_target=target, **SIGNED)


async def test_boto3_runs_a_query_to_its_end(client: Client) -> None:
    athena = boto(client, "athena")
    started = await call(athena, "start_query_execution", QueryString="SELECT * FROM t", WorkGroup="primary")
    number = started["QueryExecutionId"]
    states = []
    for _ in range(2):
        look = await call(athena, "get_query_execution", QueryExecutionId=number)
        states.append(look["QueryExecution"]["Status"]["State"])
    assert states == ["RUNNING", "SUCCEEDED"]
    found = await call(athena, "get_query_results", QueryExecutionId=number)
    assert len(found["ResultSet"]["Rows"]) == 4, "a header and three addresses"


@pytest.mark.parametrize(
    ("sql", "mebibytes"),
    [
        ("SELECT * FROM t", 4_096),
        ("SELECT a FROM t", 256),
        ("SELECT a, b FROM t WHERE day = '2026-03-01'", 17),
    ],
)
async def test_a_query_scans_the_columns_and_days_that_it_names(client: Client, sql: str, mebibytes: int) -> None:
    answer = await raw(client, "AmazonAthena.StartQueryExecution", {"QueryString": sql})
    look = await raw(client, "AmazonAthena.GetQueryExecution", answer.json)
    assert look.json["QueryExecution"]["Statistics"]["DataScannedInBytes"] // 2**20 == mebibytes


async def test_an_equal_query_within_its_age_is_answered_from_the_last_one(client: Client, clock: HandClock) -> None:
    reuse = {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 60}}
    request = {"QueryString": "SELECT * FROM t", "ResultReuseConfiguration": reuse}
    reused = []
    for minutes in (0, 59, 61):
        clock.pass_by(minutes=minutes)
        answer = await raw(client, "AmazonAthena.StartQueryExecution", request)
        look = await raw(client, "AmazonAthena.GetQueryExecution", answer.json)
        statistics = look.json["QueryExecution"]["Statistics"]
        reused.append(statistics["ResultReuseInformation"]["ReusedPreviousResult"])
        assert (statistics["DataScannedInBytes"] == 0) == reused[-1]
    assert reused == [False, True, False]


async def test_a_token_starts_a_query_once_and_a_stopped_one_has_no_results(client: Client) -> None:
    request = {"QueryString": "SELECT 1", "ClientRequestToken": "t" * 40}
    numbers = {(await raw(client, "AmazonAthena.StartQueryExecution", request)).body for _ in range(2)}
    assert len(numbers) == 1
    number = json.loads(numbers.pop())
    await raw(client, "AmazonAthena.StopQueryExecution", number)
    look = await raw(client, "AmazonAthena.GetQueryExecution", number)
    assert look.json["QueryExecution"]["Status"]["State"] == "CANCELLED"
    assert (await raw(client, "AmazonAthena.GetQueryResults", number)).status == 400


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("AmazonAthena.StartQueryExecution", {"QueryString": " "}),
        ("AmazonAthena.StartQueryExecution", {"QueryString": "SELECT ?"}),
        ("AmazonAthena.GetQueryExecution", {"QueryExecutionId": "nobody"}),
        ("AmazonAthena.StopQueryExecution", {}),
        ("AmazonAthena.DropEverything", {}),
        ("AmazonAthena.StartQueryExecution", [1]),
        ("AWSFreeTierService.Nothing", {}),
    ],
)
async def test_a_wrong_request_is_refused_with_a_code_that_boto3_reads(client: Client, target: str, value: Any) -> None:
    answer = await raw(client, target, value)
    assert answer.status == 400
    assert answer.json["__type"].endswith("Exception")


async def test_what_is_not_signed_is_refused(client: Client) -> None:
    assert (await client.post("/athena/", {}, x_amz_target="AmazonAthena.GetWorkGroup")).status == 400
    assert (await client.post("/bedrock/model/m/converse", {})).status == 403


async def test_every_answer_has_the_shape_of_the_published_model(client: Client, contracts: Contracts) -> None:
    started = await raw(client, "AmazonAthena.StartQueryExecution", {"QueryString": "SELECT * FROM t"})
    number = started.json
    for operation, value in (
        ("GetWorkGroup", {"WorkGroup": "primary"}),
        ("GetQueryExecution", number),
        ("GetQueryResults", number),
        ("StopQueryExecution", number),
    ):
        answer = await raw(client, f"AmazonAthena.{operation}", value)
        assert contracts.breaches("aws_athena", operation, answer.json) == []
    assert contracts.breaches("aws_athena", "StartQueryExecution", started.json) == []
    usage = await raw(client, "AWSFreeTierService.GetFreeTierUsage", {})
    assert contracts.breaches("aws_freetier", "GetFreeTierUsage", usage.json) == []
    body = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
    said = await client.post("/bedrock/model/m/converse", body, **SIGNED)
    assert contracts.breaches("aws_bedrock_runtime", "Converse", said.json) == []


async def test_the_same_question_gets_the_same_answer_within_its_cap(client: Client) -> None:
    bedrock = boto(client, "bedrock-runtime", "bedrock")
    request: dict[str, Any] = {
        "modelId": "anthropic.claude-haiku-4-5-20251001-v1:0",
        "messages": [{"role": "user", "content": [{"text": "hello"}]}],
    }
    first, again = [await call(bedrock, "converse", **request) for _ in range(2)]
    assert (first["output"], first["usage"]) == (again["output"], again["usage"])
    short = await call(bedrock, "converse", **request, inferenceConfig={"maxTokens": 2})
    assert (short["stopReason"], short["usage"]["outputTokens"]) == ("max_tokens", 2)


async def test_what_prompts_share_is_written_to_the_cache_and_then_read(client: Client) -> None:
    bedrock = boto(client, "bedrock-runtime", "bedrock")
    system = [{"text": "rules " * 4_000}, {"cachePoint": {"type": "default"}}]
    seen = []
    for _ in range(2):
        answer = await call(
            bedrock,
            "converse",
            modelId="m",
            system=system,
            messages=[{"role": "user", "content": [{"text": "hello"}]}],
        )
        usage = answer["usage"]
        seen.append((usage.get("cacheWriteInputTokens", 0), usage.get("cacheReadInputTokens", 0)))
        assert usage["inputTokens"] < 20
    assert seen == [(6_000, 0), (0, 6_000)]


async def test_a_topic_takes_a_message_and_what_is_no_topic_does_not(client: Client) -> None:
    sns = boto(client, "sns")
    topic = "arn:aws:sns:eu-west-1:000000000000:spend"
    assert (await call(sns, "publish", TopicArn=topic, Subject="s", Message="m"))["MessageId"]
    assert client.world.documents("sns", "message") == [{"topic": topic, "subject": "s", "message": "m"}]
    for wrong in ({"TopicArn": "arn:aws:sqs:x"}, {"TopicArn": topic, "Subject": "s" * 101}):
        with pytest.raises(sns.exceptions.ClientError):
            await call(sns, "publish", Message="m", **wrong)
    assert len(client.world.documents("sns", "message")) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"BudgetName": "a:b"},
        {"TimeUnit": "WEEKLY"},
        {"BudgetLimit": {"Amount": "-1", "Unit": "USD"}},
        {"BudgetLimit": None},
    ],
    ids=["name", "unit", "amount", "no-limit"],
)
async def test_a_budget_that_aws_refuses_is_refused(client: Client, change: dict[str, Any]) -> None:
    budget = {
        "BudgetName": "b",
        "BudgetType": "COST",
        "TimeUnit": "DAILY",
        "BudgetLimit": {"Amount": "1", "Unit": "USD"},
    }
    request = {"AccountId": "000000000000", "Budget": {**budget, **change}}
    answer = await client.post("/budgets/", request, x_amz_target="AWSBudgetServiceGateway.CreateBudget", **SIGNED)
    assert (answer.status, answer.json["__type"]) == (400, "InvalidParameterException")
    assert client.world.documents("budgets", "budget") == []


async def test_alarms_of_one_region_are_not_those_of_another(client: Client) -> None:
    here, there = (
        boto(client, "cloudwatch"),
        make_client("cloudwatch", region="us-east-1", endpoint=f"{client.serving.url}/cloudwatch", stand_in=True),
    )
    alarm = {
        "AlarmName": "a",
        "Namespace": "Aegis",
        "MetricName": "m",
        "Statistic": "Sum",
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 0.5,
        "EvaluationPeriods": 1,
        "Period": 300,
    }
    await call(here, "put_metric_alarm", **alarm)
    found = (await call(here, "describe_alarms"))["MetricAlarms"]
    assert [(one["AlarmName"], one["Threshold"]) for one in found] == [("a", 0.5)]
    assert (await call(there, "describe_alarms"))["MetricAlarms"] == []
    with pytest.raises(here.exceptions.ClientError, match="Period"):
        await call(here, "put_metric_alarm", **{**alarm, "Period": 90})
