"""`govern(client, governor)`: an existing client of OpenAI, Anthropic or boto3 whose every metered call asks first.

Policy: the client's own retries are off, since each attempt is a call; what cannot be bounded is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis.app.system import SystemClock, random_ids
from aegis.core.calls import Priority
from aegis.core.errors import ConfigError
from aegis.core.ports import NewId
from aegis.library import anthropic_client, blocking, openai_client, waiting
from aegis.library.athena_client import AthenaFace
from aegis.library.bedrock_client import VENDOR as BEDROCK
from aegis.library.calling import AnyGovernor
from aegis.library.faces import Face, Terms


def govern(
    client: Any,
    governor: AnyGovernor,
    *,
    scope: Mapping[str, str] | None = None,
    priority: Priority = Priority.MEDIUM,
    wait_ms: int = 0,
    output_tokens_max: int | None = None,
    new_id: NewId | None = None,
) -> Any:
    """The client, to be used as before. Refusals are raised as `Refused`; answers and errors stay the vendor's own.

    Asynchronous clients take a governor of `aegis.open_governor`, the others (boto3's too) one of
    `aegis.sync.open_governor`. `output_tokens_max` clamps the output of every call; a request without a cap gets one.
    Raises `ConfigError` for a client that is not known, does not fit the governor, or whose retries cannot be put off.
    """
    terms = Terms(
        governor=governor,
        new_id=new_id or random_ids(SystemClock()),
        scope=scope or {},
        priority=priority,
        wait_ms=wait_ms,
        output_tokens_max=output_tokens_max,
    )
    waits = not hasattr(governor, "admit_async")
    if (service := _aws_service(client)) is not None:
        return _aws(client, service, terms, waits=waits)
    if waits != type(client).__name__.startswith("Async"):
        raise ConfigError(
            f"{type(client).__name__}: asynchronous clients are governed by aegis.open_governor, the others by "
            "aegis.sync.open_governor"
        )
    if hasattr(client, "messages"):
        vendor = anthropic_client.VENDOR
    elif hasattr(client, "chat") or hasattr(client, "responses"):
        vendor = openai_client.VENDOR
    else:
        raise ConfigError(f"{type(client).__name__} is no client of OpenAI, Anthropic or boto3 that is known here")
    if not hasattr(client, "with_options"):
        raise ConfigError(f"{type(client).__name__}: its own retries cannot be put off (it has no with_options)")
    return Face(client.with_options(max_retries=0), vendor, terms, waiting.drive if waits else blocking.drive)


def _aws_service(client: Any) -> str | None:
    model = getattr(getattr(client, "meta", None), "service_model", None)
    name = getattr(model, "service_name", None)
    return name if isinstance(name, str) else None


def _aws(client: Any, service: str, terms: Terms, *, waits: bool) -> Any:
    if waits:
        raise ConfigError("boto3 clients block: govern them with aegis.sync.open_governor")
    _no_retries(client, service)
    if service == "bedrock-runtime":
        return Face(client, BEDROCK, terms, blocking.drive)
    if service == "athena":
        return AthenaFace(client, terms)
    raise ConfigError(f"{service} is no metered AWS service that is known here: bedrock-runtime and athena are")


def _no_retries(client: Any, service: str) -> None:
    """One attempt each: the handler that botocore registers for retries is taken off the client."""
    if (client.meta.config.retries or {}).get("total_max_attempts") == 1:
        return
    event = str(client.meta.service_model.service_id.hyphenize())
    # The names are botocore's (`ClientCreator._register_retries`), the same for its legacy and standard modes.
    client.meta.events.unregister(f"needs-retry.{event}", unique_id=f"retry-config-{event}")
    if (client.meta.config.retries or {}).get("mode") == "adaptive":
        raise ConfigError(f"{service}: adaptive retries cannot be put off; make the client with total_max_attempts=1")
