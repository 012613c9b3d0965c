"""Claims about what Claude is asked, what it can cost, and how its answers and refusals are read."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.connectors.contracts import Contract
from tests.connectors.stories import CANARY, HOSTILE, SECRET, FixedClock, ScriptedHttp, answer, shown_secret

from aegis.connectors.anthropic import FRAMING_TOKENS, Anthropic, Config, payload, tokens_bound, usage
from aegis.core.errors import Billed, ServiceError
from aegis.core.ports import ModelRequest

pytestmark = pytest.mark.anyio

SCHEMA = {
    "type": "object",
    "properties": {"summary": {"type": "string"}},
    "required": ["summary"],
    "additionalProperties": False,
}


def question(user: str = "<events>[]</events>", system: str = "You analyse incidents.") -> ModelRequest:
    return ModelRequest(model="claude-sonnet-5-5", system=system, user=user, schema=SCHEMA, output_tokens_max=1_000)


def said(**changes: Any) -> dict[str, Any]:
    counted = {
        "input_tokens": 812,
        "output_tokens": 140,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [{"type": "text", "text": '{"summary":'}, {"type": "text", "text": ' "x"}'}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": counted,
        **changes,
    }


def connector(http: ScriptedHttp) -> Anthropic:
    return Anthropic(Config(key=SECRET), http, clock=FixedClock())


@pytest.mark.parametrize("contract", ["anthropic", "anthropic_2023_06_01"])
@pytest.mark.parametrize("text", ["plain", *HOSTILE])
def test_a_question_keeps_the_contract_of_both_versions(shared: Path, contract: str, text: str) -> None:
    assert Contract.of(shared, contract, "messages").breaches(payload(question(text, text))) == []


def test_a_question_carries_no_sampling_parameter_and_no_tool() -> None:
    assert set(payload(question())) == {"model", "max_tokens", "system", "messages", "output_config"}
    assert payload(question())["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}


async def test_an_answer_is_text_usage_and_model() -> None:
    http = ScriptedHttp([answer(200, said())])
    got = await connector(http).complete(question())
    assert (got.text, got.model, got.complete) == ('{"summary": "x"}', "claude-sonnet-5-5", True)
    assert got.usage == {
        "input_tokens": 812,
        "output_tokens": 140,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "cache_write_1h_tokens": 0,
    }
    request = http.sent[0]
    assert request.url == "https://api.anthropic.com/v1/messages"
    assert (request.headers["anthropic-version"], request.headers["x-api-key"]) == ("2023-06-01", CANARY)


@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "model_context_window_exceeded", None])
async def test_an_answer_that_is_not_whole_says_so(reason: str | None) -> None:
    got = await connector(ScriptedHttp([answer(200, said(stop_reason=reason, content=[]))])).complete(question())
    assert (got.complete, got.text) == (False, "")


def test_cache_writes_are_told_apart_by_how_long_they_are_kept() -> None:
    counts = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    }
    assert usage(counts) == {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_tokens": 3,
        "cache_write_tokens": 10,
        "cache_write_1h_tokens": 20,
    }
    assert usage({**counts, "cache_creation": None})["cache_write_tokens"] == 30


@pytest.mark.parametrize(
    "broken",
    [None, [], {}, {"input_tokens": 1}, {"input_tokens": -1, "output_tokens": 1}, {"input_tokens": 1.5, "output_tokens": 1},
     {"input_tokens": True, "output_tokens": 1}, {"input_tokens": 10**20, "output_tokens": 1}],
)  # fmt: skip
async def test_a_usage_that_cannot_be_read_is_settled_as_unknown(broken: object) -> None:
    with pytest.raises(ServiceError) as caught:
        await connector(ScriptedHttp([answer(200, said(usage=broken))])).complete(question())
    assert (caught.value.billed, caught.value.retryable) == (Billed.UNKNOWN, False)


@pytest.mark.parametrize(
    ("status", "kind", "code", "retryable", "billed"),
    [
        (429, "rate_limit_error", None, True, Billed.NO),
        (429, "rate_limit_error", "enforced_spend_limit_reached", False, Billed.NO),
        (403, "permission_error", "organization_on_hold", False, Billed.NO),
        (402, "billing_error", None, False, Billed.NO),
        (401, "authentication_error", None, False, Billed.NO),
        (400, "invalid_request_error", None, False, Billed.NO),
        (413, "request_too_large", None, False, Billed.NO),
        (500, "api_error", None, True, Billed.UNKNOWN),
        (504, "timeout_error", None, True, Billed.UNKNOWN),
        (529, "overloaded_error", None, True, Billed.UNKNOWN),
    ],
)
async def test_failures_are_told_apart(
    status: int, kind: str, code: str | None, retryable: bool, billed: Billed
) -> None:
    error = {"type": kind, "message": f"{CANARY} is wrong"} | ({"error_code": code} if code else {})
    http = ScriptedHttp([answer(status, {"type": "error", "error": error}, {"retry-after": "3"})])
    with pytest.raises(ServiceError, match=code or kind) as caught:
        await connector(http).complete(question())
    assert (caught.value.retryable, caught.value.billed, caught.value.retry_after_ms) == (retryable, billed, 3_000)
    assert not shown_secret(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"'])
async def test_garbage_with_status_200_may_have_been_billed(body: bytes) -> None:
    with pytest.raises(ServiceError) as caught:
        await connector(ScriptedHttp([answer(200, body)])).complete(question())
    assert caught.value.billed is Billed.UNKNOWN


def test_the_worst_case_covers_every_text_and_the_output_cap() -> None:
    worst = connector(ScriptedHttp([])).worst(question("x" * 10_000, "y" * 500))
    assert worst["input_tokens"] >= 10_500 + FRAMING_TOKENS
    assert worst["output_tokens"] == 1_000


def test_a_letter_that_grows_when_normalised_counts_grown() -> None:
    assert tokens_bound("\ufdfa" * 100) == 3_300  # one code point, eleven letters of two and three bytes


@given(st.text(st.characters()))
def test_the_bound_is_never_below_the_bytes_of_the_text(text: str) -> None:
    assert tokens_bound(text) >= len(text.encode("utf-8", "surrogatepass"))
