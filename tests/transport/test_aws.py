"""AWS calls: one attempt, off the loop, and a failure says whether it was billed."""

from __future__ import annotations

import subprocess
import sys

import anyio
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.telemetry import ServiceAnswered
from aegis.testing import FakeClock, Recorder
from aegis.transport.aws import Aws, AwsClients, make_client, service_error

pytestmark = pytest.mark.anyio


def refused(status: int, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Converse")


@pytest.mark.parametrize(
    ("error", "billed", "retryable"),
    [
        (refused(400, "ValidationException"), Billed.NO, False),
        (refused(429, "ThrottlingException"), Billed.NO, True),
        (refused(400, "TooManyRequestsException"), Billed.NO, True),
        (refused(503, "ServiceUnavailableException"), Billed.UNKNOWN, True),
        (EndpointConnectionError(endpoint_url="https://example.com"), Billed.NO, True),
        (ReadTimeoutError(endpoint_url="https://example.com"), Billed.UNKNOWN, True),
    ],
)
def test_an_error_says_what_it_means_for_the_bill(error: Exception, billed: Billed, retryable: bool) -> None:
    read = service_error("bedrock", error)
    assert (read.billed, read.retryable) == (billed, retryable)
    assert "example.com" not in str(read)


async def test_a_call_answers_and_its_own_errors_become_ours() -> None:
    class Client:
        def ask(self, *, word: str) -> str:
            if word == "no":
                raise refused(400, "ValidationException")
            return word.upper()

    aws = Aws()
    assert await aws.call("bedrock", Client(), "ask", {"word": "yes"}) == "YES"
    with pytest.raises(ServiceError, match="400 ValidationException"):
        await aws.call("bedrock", Client(), "ask", {"word": "no"})


async def test_an_answer_that_was_paid_for_comes_before_the_callers_cancellation() -> None:
    class Client:
        def ask(self) -> str:
            anyio.from_thread.run_sync(scope.cancel)
            return "paid"

    with anyio.CancelScope() as scope:
        assert await Aws().call("bedrock", Client(), "ask", {}) == "paid"
        await anyio.sleep(0)
        pytest.fail("the cancellation was lost")


def test_a_client_is_made_for_one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_client("athena", region="eu-west-1")
    assert client.meta.config.retries == {"mode": "standard", "total_max_attempts": 1}
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(ConfigError, match="region"):
        make_client("athena")


def test_boto3_is_only_imported_when_a_client_is_made() -> None:
    code = "import aegis.transport.aws, aegis.cost_optimization.cost_optimizer, sys; print('boto3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


async def test_clients_are_made_once_for_each_place_and_asked_by_name() -> None:
    made: list[tuple[object, ...]] = []

    class Client:
        def put_metric_data(self, **request: object) -> dict[str, object]:
            return {"asked": request}

    def make(name: str, *, region: str | None, endpoint: str | None) -> Client:
        made.append((name, region, endpoint))
        return Client()

    clients = AwsClients(make=make)
    for region in ("eu-central-1", "eu-central-1", ""):
        answer = await clients.call("cloudwatch", "cloudwatch", "put_metric_data", {"a": 1}, region=region, endpoint="")
        assert answer == {"asked": {"a": 1}}
    assert made == [("cloudwatch", "eu-central-1", None), ("cloudwatch", None, None)]


async def test_how_each_call_went_is_told_like_any_other_service() -> None:
    class Client:
        def put_metric_data(self, **request: object) -> dict[str, object]:
            if request:
                raise OSError("refused")
            return {}

    seen = Recorder()
    clients = AwsClients(make=lambda *_name, **_where: Client(), clock=FakeClock(), observer=seen)
    await clients.call("cloudwatch", "cloudwatch", "put_metric_data", {}, region="r", endpoint="")
    with pytest.raises(ServiceError):
        await clients.call("cloudwatch", "cloudwatch", "put_metric_data", {"a": 1}, region="r", endpoint="")
    told = [(one.service, one.status) for one in seen.happened if isinstance(one, ServiceAnswered)]
    assert told == [("cloudwatch", 200), ("cloudwatch", 0)]
