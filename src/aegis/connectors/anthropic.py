"""Claude through Anthropic's Messages API: one question, one answer in the given JSON schema, usage as it is billed.

No tools, no sampling parameters, no retry: every attempt is a call that the governor admitted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aegis.core.calls import Usage
from aegis.core.errors import Billed, ServiceError
from aegis.core.exchange import code_word, failure, from_json, json_object, to_json
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest, ModelAnswer, ModelRequest, NewId
from aegis.core.secret import Secret

NAME = "anthropic"

API_VERSION = "2023-06-01"
"""platform.claude.com/docs/en/api/versioning. The body keeps to what 2026-10-21 takes as well."""

FRAMING_TOKENS = 2_048
"""What the service may add for roles and for rendering the schema: four times the 500 tokens of its tool-use preamble
(platform.claude.com/docs/en/agents-and-tools/tool-use/overview, pricing), because structured output publishes no figure.
"""

FINAL_TYPES = frozenset({"billing_error", "authentication_error", "permission_error", "invalid_request_error"})
"""Kinds of error that waiting does not cure, whatever status they come with."""

SPENT_CODES = frozenset(
    {
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
        "linked_organization_spend_limit_reached",
        "organization_on_hold",
    }
)
"""The provider's own spend limits: no retry, however the status looks (types of the Python SDK 2.11.0)."""

METERS = (
    ("input_tokens", "input_tokens"),
    ("cache_read_input_tokens", "cache_read_tokens"),
    ("output_tokens", "output_tokens"),
)
"""The answer's counts and our meters. `input_tokens` holds no cached tokens, so the meters are disjoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An API key."""

    key: Secret = field(metadata={"help": "API key (sk-ant-...), best of a workspace of its own with a spend limit"})
    base_url: str = field(default="https://api.anthropic.com", metadata={"help": "where the Messages API stands"})
    allow_private: bool = field(default=False, metadata={"help": "the API stands on a private address"})


def payload(request: ModelRequest) -> dict[str, Any]:
    """The body: fixed system text, one user text, the schema as structured output."""
    return {
        "model": request.model,
        "max_tokens": request.output_tokens_max,
        "system": request.system,
        "messages": [{"role": "user", "content": request.user}],
        "output_config": {"format": {"type": "json_schema", "schema": dict(request.schema)}},
    }


def tokens_bound(text: str) -> int:
    """An upper bound of a text's tokens: the bytes of the text and of its NFKC form, whichever are more.

    A token covers a byte or more; the one published Claude tokenizer normalises to NFKC first, which can lengthen.
    """
    plain = len(text.encode("utf-8", "surrogatepass"))
    if text.isascii():
        return plain
    return max(plain, len(unicodedata.normalize("NFKC", text).encode("utf-8", "surrogatepass")))


class Anthropic:
    """`Analyst`."""

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock

    def worst(self, request: ModelRequest) -> Usage:
        """An upper bound of what the request can use. Nothing is written to the provider's cache, so no cache meter."""
        schema = to_json(dict(request.schema)).decode()
        texts = (request.system, request.user, schema)
        return {
            "input_tokens": sum(map(tokens_bound, texts)) + FRAMING_TOKENS,
            "output_tokens": request.output_tokens_max,
        }

    async def complete(self, request: ModelRequest) -> ModelAnswer:
        """Ask once. A refusal or a cut answer is an answer with `complete=False`: it was billed all the same."""
        answer = await self._http.send(
            HttpRequest(
                service=NAME,
                method="POST",
                url=f"{self._config.base_url.rstrip('/')}/v1/messages",
                headers={
                    "x-api-key": self._config.key.reveal(),
                    "anthropic-version": API_VERSION,
                    "content-type": "application/json",
                },
                body=to_json(payload(request)),
                connect_timeout_ms=5_000,
                timeout_ms=120_000,
            )
        )
        if answer.status != 200:
            raise self._failure(answer)
        said = from_json(NAME, answer)
        return ModelAnswer(
            text=_text(said.get("content")),
            usage=usage(said.get("usage")),
            model=str(said.get("model", ""))[:200],
            complete=said.get("stop_reason") == "end_turn",
        )

    def _failure(self, answer: HttpAnswer) -> ServiceError:
        said = (json_object(answer) or {}).get("error")
        error: Mapping[str, Any] = said if isinstance(said, dict) else {}
        details = error.get("details")
        inner: Mapping[str, Any] = details if isinstance(details, dict) else {}
        code = code_word(error.get("error_code")) or code_word(inner.get("error_code"))
        kind = code_word(error.get("type"))
        final = code in SPENT_CODES or kind in FINAL_TYPES
        return failure(NAME, answer, now=self._clock.now(), code=code or kind, retryable=False if final else None)


def usage(said: object) -> Usage:
    """The usage as meters of ours: disjoint, cache writes by how long they are kept.

    Raises `ServiceError` (billed unknown) when the counts are missing or no counts: the call is settled at its worst.
    """
    counts: Mapping[str, Any] = said if isinstance(said, dict) else {}
    used = {ours: _count(counts.get(theirs)) for theirs, ours in METERS}
    written = _count(counts.get("cache_creation_input_tokens"))
    said_split = counts.get("cache_creation")
    split: Mapping[str, Any] = said_split if isinstance(said_split, dict) else {}
    kept_1h = _count(split.get("ephemeral_1h_input_tokens"))
    kept_5m = max(written - kept_1h, _count(split.get("ephemeral_5m_input_tokens")))
    used |= {"cache_write_tokens": kept_5m, "cache_write_1h_tokens": kept_1h}
    if "input_tokens" not in counts or "output_tokens" not in counts:
        raise _no_usage()
    return used


def _count(value: object) -> int:
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value < 10**12:
        raise _no_usage()
    return value


def _no_usage() -> ServiceError:
    return ServiceError(NAME, "answered without a readable usage", retryable=False, billed=Billed.UNKNOWN, status=200)


def _text(content: object) -> str:
    blocks = content if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> Anthropic:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Anthropic(config, http, clock=clock)
