"""boto3 as it is, pointed at the gateway by its endpoint address: the virtual key stands where its access key does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio.to_thread
import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EventStreamError
from tests.transport.scripted import Wire, scripted
from tests.web.gateway.stage import Stage, staged

from aegis.core import eventstream
from aegis.core.secret import Secret
from aegis.transport.relay import Signer

pytestmark = pytest.mark.anyio

MODEL = "anthropic.claude-haiku-4-5-20251001-v1:0"
ASKED: Any = {
    "modelId": MODEL,
    "messages": [{"role": "user", "content": [{"text": "Failed logins for 214 accounts."}]}],
    "inferenceConfig": {"maxTokens": 100},
}
EMPTY = "budgets:\n  everything: {scope: all, daily: {emergency: 0.000001}}\n"


@asynccontextmanager
async def bedrock(home: Path, *, budgets: str = "", url: str = "") -> AsyncIterator[tuple[Stage, Callable[[str], Any]]]:
    async with staged(home, budgets=budgets, bedrock=url) as stage:

        def client(key: str) -> Any:
            return boto3.client(
                "bedrock-runtime",
                region_name="eu-west-1",
                endpoint_url=stage.address,
                aws_access_key_id=key,
                aws_secret_access_key="not-used",
                config=Config(proxies={}),
            )

        yield stage, client


async def call(method: Callable[..., Any], **asked: Any) -> Any:
    return await anyio.to_thread.run_sync(lambda: method(**asked))


async def spent(stage: Stage) -> dict[str, int]:
    return {spend.service: spend.cost for spend in await stage.app.governor.spent()}


async def test_boto3_converses_and_is_settled_to_the_usage_it_was_told(tmp_path: Path) -> None:
    async with bedrock(tmp_path) as (stage, client):
        said = await call(client(await stage.key()).converse, **ASKED)
        used, head = said["usage"], said["ResponseMetadata"]["HTTPHeaders"]
        assert said["output"]["message"]["content"][0]["text"]
        assert (head["x-aegis-model"], head["x-aegis-cache"]) == (MODEL, "off")
        costs = await spent(stage)
        assert costs == {"bedrock": (used["inputTokens"] * 1_100 + used["outputTokens"] * 5_500)}, "regional: + 10 %"


async def test_boto3_streams_every_byte_and_is_settled_by_the_last_frame(tmp_path: Path) -> None:
    async with bedrock(tmp_path) as (stage, client):
        runtime = client(await stage.key())
        whole = await call(runtime.converse, **ASKED)
        stream = await call(runtime.converse_stream, **ASKED)
        events = await anyio.to_thread.run_sync(lambda: list(stream["stream"]))
        text = "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e)
        assert text == whole["output"]["message"]["content"][0]["text"]
        used = events[-1]["metadata"]["usage"]
        assert used == whole["usage"]
        assert await spent(stage) == {"bedrock": 2 * (used["inputTokens"] * 1_100 + used["outputTokens"] * 5_500)}


async def test_a_refusal_is_awss_own_and_is_not_tried_again(tmp_path: Path) -> None:
    async with bedrock(tmp_path, budgets=EMPTY) as (stage, client):
        with pytest.raises(ClientError) as no:
            await call(client(await stage.key()).converse, **ASKED)
        assert no.value.response["Error"]["Code"] == "ServiceQuotaExceededException"
        assert no.value.response["ResponseMetadata"]["RetryAttempts"] == 0
        with pytest.raises(ClientError) as unknown:
            await call(client("AKIAIOSFODNN7EXAMPLE").converse, **ASKED)
        assert unknown.value.response["Error"]["Code"] == "UnrecognizedClientException"
        assert stage.world.tallies()["bedrock"].number == 0


@pytest.mark.parametrize(
    "more",
    [
        {"guardrailConfig": {"guardrailIdentifier": "abcd", "guardrailVersion": "1"}},
        {"additionalModelRequestFields": {"anthropic_beta": ["x"]}},
        {"performanceConfig": {"latency": "optimized"}},
        {"messages": [{"role": "user", "content": [{"document": {"name": "a", "source": {"bytes": b"a"}}}]}]},
    ],
)
async def test_what_nothing_bounds_is_refused_by_name(tmp_path: Path, more: dict[str, Any]) -> None:
    async with bedrock(tmp_path) as (stage, client):
        with pytest.raises(ClientError) as no:
            await call(client(await stage.key()).converse, **ASKED | more)
        assert no.value.response["Error"]["Code"] == "ValidationException"
        assert stage.world.tallies()["bedrock"].number == 0


async def test_a_stream_that_is_none_ends_with_an_error_and_counts(tmp_path: Path) -> None:
    async def talk(wire: Wire) -> None:
        await wire.request()
        await wire.start_stream()
        head = {":event-type": "messageStart", ":message-type": "event", ":content-type": "application/json"}
        await wire.chunk(eventstream.write(head, b'{"role":"assistant"}'))

    async with scripted(talk) as vendor, bedrock(tmp_path, url=vendor.url) as (stage, client):
        stream = await call(client(await stage.key()).converse_stream, **ASKED)
        with pytest.raises(EventStreamError):
            await anyio.to_thread.run_sync(lambda: list(stream["stream"]))
        assert (await spent(stage))["bedrock"] > 0
        assert b"aeg_live" not in vendor.requests[0], "the virtual key stays here"
        assert b"Credential=sandbox/" in vendor.requests[0]


def test_a_signature_is_the_one_that_awss_own_signer_makes() -> None:
    at, path, body = datetime(2026, 11, 21, 12, tzinfo=UTC), b"/model/a.b-v1%3A0/converse", b'{"a":1}'
    ours = dict(Signer(Secret("AK:secret:token"), "https://bedrock.example", region="eu-west-1").sign(path, body, at))
    request = AWSRequest("POST", "https://bedrock.example" + path.decode(), data=body)
    request.context["timestamp"] = request.headers["X-Amz-Date"] = "20261121T120000Z"
    request.headers["X-Amz-Security-Token"] = "token"
    theirs = SigV4Auth(Credentials("AK", "secret", "token"), "bedrock", "eu-west-1")
    said = theirs.string_to_sign(request, theirs.canonical_request(request))
    assert ours[b"authorization"].decode().endswith("Signature=" + theirs.signature(said, request))
