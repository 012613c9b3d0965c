"""boto3's own clients, governed: real clients whose requests end in a hook of botocore instead of a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.connectors.contracts import Contract
from tests.library.stage import PRICES, Method, Pieces, thing

import aegis
from aegis.core.errors import ConfigError, UnknownPrice
from aegis.sync import SyncGovernor, open_governor

MB = 1024 * 1024


@pytest.fixture
def governor() -> Iterator[SyncGovernor]:
    with open_governor(budgets={"day": "0.10"}, prices=PRICES) as opened:
        yield opened


def spent(governor: SyncGovernor) -> int:
    """Micro-dollars settled, and nothing still held."""
    [balance] = governor.balances()
    assert balance.held == 0
    return balance.settled // 1_000


class Raw:
    """A body as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.body

    def read(self, amt: int | None = None) -> bytes:
        body, self.body = self.body, b""
        return body


class Wire:
    """Answers what a client sends, in order, and keeps it; the last answer is given again and again."""

    def __init__(self, service: str, *answers: tuple[int, Mapping[str, Any]], **config: Any) -> None:
        self.sent: list[Any] = []
        self.answers = list(answers)
        self.headers: dict[str, str] = {}
        self.client = boto3.client(
            service,
            region_name="eu-west-1",
            aws_access_key_id="AKIAEXAMPLE",
            aws_secret_access_key="not-a-secret",
            config=Config(**config),
        )
        self.client.meta.events.register("before-send.*.*", self._answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        self.sent.append(request)
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return AWSResponse(request.url, status, {**self.headers}, Raw(json.dumps(body).encode()))

    def body(self, number: int) -> Any:
        return json.loads(self.sent[number].body)


ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "fine"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 100, "outputTokens": 10, "totalTokens": 110, "cacheReadInputTokens": 1_000},
    "metrics": {"latencyMs": 5},
}
ASK: dict[str, Any] = {"modelId": "claude", "messages": [{"role": "user", "content": [{"text": "hello"}]}]}
BUSY = (503, {"message": "busy"})


def test_converse_is_capped_and_settled_by_its_usage(governor: SyncGovernor, shared: Any) -> None:
    wire = Wire("bedrock-runtime", (200, ANSWER))
    answer = aegis.govern(wire.client, governor, output_tokens_max=500).converse(**ASK)
    assert answer["usage"]["inputTokens"] == 100
    assert spent(governor) == 100 + 100 + 100
    assert wire.body(0)["inferenceConfig"] == {"maxTokens": 500}
    assert Contract.of(shared, "aws_bedrock_runtime", "Converse").breaches({**wire.body(0), "modelId": "claude"}) == []


@pytest.mark.parametrize("mode", ["legacy", "standard"])
def test_a_governed_client_sends_once(governor: SyncGovernor, mode: str) -> None:
    wire = Wire("bedrock-runtime", BUSY, retries={"mode": mode, "total_max_attempts": 4})
    with pytest.raises(ClientError):
        aegis.govern(wire.client, governor).converse(**ASK)
    assert len(wire.sent) == 1
    assert spent(governor) > 40_000  # a 503 may have been billed: the worst case counts


def test_a_refusal_by_aws_costs_nothing(governor: SyncGovernor) -> None:
    wire = Wire("bedrock-runtime", (400, {"message": "no such model"}))
    with pytest.raises(ClientError):
        aegis.govern(wire.client, governor).converse(**ASK)
    assert spent(governor) == 0


def test_invoke_model_is_bounded_by_its_body_and_settled_by_its_headers(governor: SyncGovernor) -> None:
    wire = Wire("bedrock-runtime", (200, {"content": []}))
    wire.headers = {"x-amzn-bedrock-input-token-count": "200", "x-amzn-bedrock-output-token-count": "20"}
    governed = aegis.govern(wire.client, governor)
    answer = governed.invoke_model(modelId="claude", body=json.dumps({"max_tokens": 100, "messages": []}))
    assert json.loads(answer["body"].read()) == {"content": []}
    assert spent(governor) == 400
    with pytest.raises(UnknownPrice, match="max_tokens"):
        governed.invoke_model(modelId="claude", body="{}")
    with pytest.raises(UnknownPrice):
        governed.apply_guardrail(guardrailIdentifier="g", guardrailVersion="1", source="INPUT", content=[])


def test_an_athena_query_is_settled_when_its_end_is_seen(governor: SyncGovernor) -> None:
    running = {"QueryExecution": {"Status": {"State": "RUNNING"}, "Statistics": {"DataScannedInBytes": MB}}}
    ended = {"QueryExecution": {"Status": {"State": "SUCCEEDED"}, "Statistics": {"DataScannedInBytes": 20 * MB + 1}}}
    group = {"WorkGroup": {"Name": "primary", "Configuration": {"BytesScannedCutoffPerQuery": 100 * MB}}}
    wire = Wire("athena", (200, group), (200, {"QueryExecutionId": "q1"}), (200, running), (200, ended))
    governed = aegis.govern(wire.client, governor)
    started = governed.start_query_execution(QueryString="SELECT 1")
    governed.get_query_execution(QueryExecutionId=started["QueryExecutionId"])
    [balance] = governor.balances()
    assert balance.held == 100 * MB * 5_000 // 10**6
    governed.get_query_execution(QueryExecutionId="q1")
    governed.get_query_execution(QueryExecutionId="q1")
    assert spent(governor) == 21 * MB * 5_000 // 10**6 // 1_000


def test_a_query_whose_end_nobody_saw_counts_at_what_was_held(governor: SyncGovernor) -> None:
    wire = Wire("athena", (403, {"message": "not yours"}), (200, {"QueryExecutionId": "q1"}))
    governed = aegis.govern(wire.client, governor)
    governed.start_query_execution(QueryString="SELECT 1")
    governed.close()
    assert spent(governor) == 10 * 1024 * MB * 5_000 // 10**6 // 1_000


def test_a_query_that_does_not_fit_never_starts(governor: SyncGovernor) -> None:
    group = {"WorkGroup": {"Name": "primary", "Configuration": {}}}
    wire = Wire("athena", (200, group), (200, {"QueryExecutionId": "q1"}))
    governed = aegis.govern(wire.client, governor)
    governed.start_query_execution(QueryString="SELECT 1")
    with pytest.raises(aegis.Refused):
        governed.start_query_execution(QueryString="SELECT 2")
    assert len(wire.sent) == 2
    governed.close()


def test_other_services_and_event_loops_are_refused_by_name(governor: SyncGovernor) -> None:
    with pytest.raises(ConfigError, match="ec2 is no metered"):
        aegis.govern(Wire("ec2", (200, {})).client, governor)


def test_a_converse_stream_stands_in_its_answer_and_is_settled_at_its_end(governor: SyncGovernor) -> None:
    events = [{"contentBlockDelta": {"delta": {"text": "fine"}}}, {"metadata": {"usage": ANSWER["usage"]}}]
    stream = Method({"stream": Pieces(*events), "ResponseMetadata": {"HTTPStatusCode": 200}})
    meta = thing(service_model=thing(service_name="bedrock-runtime"), config=thing())
    meta.config.retries = {"total_max_attempts": 1}
    answer = aegis.govern(thing(meta=meta, converse_stream=stream), governor).converse_stream(**ASK)
    assert answer["ResponseMetadata"] == {"HTTPStatusCode": 200}
    assert list(answer["stream"]) == events
    assert spent(governor) == 100 + 100 + 100
