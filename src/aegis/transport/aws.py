"""AWS through boto3, the only place that knows it: clients with one attempt each, and calls whose failures say
whether they were billed.

Policy: boto3 is the extra `aws` and imported when a client is made; a call runs in a thread and is waited for even
when its caller goes away, since what it used is only known at its end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread

from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.exchange import code_word
from aegis.core.ports import Clock
from aegis.core.telemetry import Observer, ServiceAnswered

CONNECT_S: Final = 5
READ_S: Final = 120
"""A model may think for two minutes; nothing else here takes as long."""
CALLS_MAX: Final = 64
"""Threads that wait for AWS at one time; more calls wait for one."""
_PASSING: Final = frozenset(
    {
        "ThrottlingException",
        "TooManyRequestsException",
        "ModelNotReadyException",
        "ServiceUnavailableException",
        "InternalServerException",
        "ModelTimeoutException",
        "SlowDown",
    }
)
"""Codes that may pass by waiting (the modelled errors of Athena, Bedrock and S3 in botocore)."""


STAND_IN_REGION: Final = "eu-west-1"
STAND_IN_KEY: Final = "sandbox"
"""What a stand-in on this machine is asked with: no key of the environment is read for it."""
_NOTHING_OF_HERE: Final = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""botocore's variables (`SESSION_VARIABLES`: name in the file, in the environment, default, conversion), unset."""


def make_client(name: str, *, region: str | None = None, endpoint: str | None = None, stand_in: bool = False) -> Any:
    """A boto3 client that never retries by itself: every attempt is a call that the governor admitted.

    Credentials come from boto3's usual places; `stand_in` says that `endpoint` is the sandbox: then a made-up key is
    used, and no proxy of the environment. Raises `ConfigError` when boto3 is missing or has no region.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session as _Bare
    except ImportError as error:
        raise ConfigError("AWS needs boto3; run: pip install 'aegis[aws]'") from error
    settings = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        **({"proxies": {}} if stand_in else {}),
    )
    keys = {"aws_access_key_id": STAND_IN_KEY, "aws_secret_access_key": STAND_IN_KEY} if stand_in else {}
    region = region or (STAND_IN_REGION if stand_in else None)
    try:
        session = boto3.Session(botocore_session=_Bare(_NOTHING_OF_HERE)) if stand_in else boto3
        return session.client(name, region_name=region, endpoint_url=endpoint, config=settings, **keys)
    except BotoCoreError as error:
        raise ConfigError(f"no {name} client: {error}") from error


class Aws:
    """Calls operations of AWS clients without blocking the loop."""

    def __init__(self, *, calls_max: int = CALLS_MAX) -> None:
        self._threads = anyio.CapacityLimiter(calls_max)

    async def call(self, service: str, client: Any, operation: str, request: Mapping[str, Any]) -> Any:
        """The answer to one request; `client` is boto3's or has its methods (`operation`: `start_query_execution`).

        Raises `ServiceError`. A cancelled caller is told so at its next wait: the answer comes first.
        """
        method = getattr(client, operation)
        with anyio.CancelScope(shield=True):
            try:
                return await anyio.to_thread.run_sync(partial(method, **request), limiter=self._threads)
            except _client_errors() as error:
                raise service_error(service, error) from error


def service_error(service: str, error: BaseException) -> ServiceError:
    """What an error of boto3 means: a 4xx and a connection that never stood were not billed; else nobody knows."""
    answer = getattr(error, "response", None)
    if not isinstance(answer, Mapping):
        unsent = type(error).__name__ in _NEVER_SENT
        billed = Billed.NO if unsent else Billed.UNKNOWN
        return ServiceError(service, f"no answer ({type(error).__name__})", retryable=True, billed=billed)
    code = code_word(answer.get("Error", {}).get("Code", ""))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    refused = isinstance(status, int) and 400 <= status < 500
    return ServiceError(
        service,
        f"answered {status} {code}".strip(),
        retryable=code in _PASSING or not refused,
        billed=Billed.NO if refused else Billed.UNKNOWN,
        status=status if isinstance(status, int) else None,
    )


_NEVER_SENT: Final = frozenset(
    {
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "ParamValidationError",
        "NoRegionError",
        "ProxyConnectionError",
        "SSLError",
    }
)
"""botocore's errors that come before a request leaves."""


def _client_errors() -> tuple[type[BaseException], ...]:
    try:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError
    except ImportError:
        return (OSError,)
    # An answer that is no text or no JSON leaves botocore's parser as itself or as a ValueError.
    return (BotoCoreError, ClientError, ResponseParserError, ValueError, OSError)


class AwsClients:
    """The port `AwsCalls`: keeps one client of each kind. `make` makes them; with a clock, `observer` hears how each call
    went (status 0: no answer came).
    """

    def __init__(
        self,
        aws: Aws | None = None,
        *,
        make: Callable[..., Any] = make_client,
        clock: Clock | None = None,
        observer: Observer = lambda _happened: None,
    ) -> None:
        self._aws, self._make, self._clock, self._observer = aws or Aws(), make, clock, observer
        self._clients: dict[tuple[str, str, str], Any] = {}

    async def call(
        self, service: str, client: str, operation: str, request: Mapping[str, Any], *, region: str, endpoint: str
    ) -> Mapping[str, Any]:
        """One operation. Raises `ServiceError`, and `ConfigError` when there can be no such client."""
        key = (client, region, endpoint)
        if key not in self._clients:  # a first client takes a tenth of a second, in a thread
            made = partial(self._make, client, region=region or None, endpoint=endpoint or None)
            self._clients[key] = await anyio.to_thread.run_sync(made)
        began_ns = self._clock.monotonic_ns() if self._clock else 0
        try:
            answer: Mapping[str, Any] = await self._aws.call(service, self._clients[key], operation, request)
        except ServiceError as error:
            self._tell(service, error.status or 0, began_ns)
            raise
        self._tell(service, 200, began_ns)
        return answer

    def _tell(self, service: str, status: int, began_ns: int) -> None:
        if self._clock is not None:
            took_ms = (self._clock.monotonic_ns() - began_ns) // 1_000_000
            self._observer(ServiceAnswered(at=self._clock.now(), service=service, status=status, took_ms=took_ms))
