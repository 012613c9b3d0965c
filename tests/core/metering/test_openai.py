"""OpenAI on the wire: its input includes what was cached, ours does not; what it may bill beyond the text is held."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import BadInput
from aegis.core.metering import openai

COUNTS = st.integers(0, 10**9)
BODY: dict[str, Any] = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "hi"}]}


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.booleans())
def test_every_token_is_in_exactly_one_bucket(new: int, read: int, written: int, out: int, chat: bool) -> None:
    prompt, output, details = (
        ("prompt_tokens", "completion_tokens", "prompt_tokens_details")
        if chat
        else ("input_tokens", "output_tokens", "input_tokens_details")
    )
    cached = {"cached_tokens": read, "cache_write_tokens": written}
    used = openai.usage({prompt: new + read + written, output: out, details: cached})
    assert sum(used.values()) == new + read + written + out
    assert (used["input_tokens"], used.get("cache_read_tokens", 0)) == (new, read)


def test_more_cached_than_there_was_is_no_usage() -> None:
    with pytest.raises(BadInput):
        openai.usage({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}})


@given(st.integers(1, 128), st.integers(1, 100_000))
def test_every_choice_may_be_as_long_as_the_cap(choices: int, cap: int) -> None:
    body = {**BODY, "n": choices, "max_completion_tokens": cap}
    assert openai.bound_chat(body, output_tokens=1, vendor=True).worst["output_tokens"] == choices * cap


def test_of_two_caps_the_larger_is_held() -> None:
    body = {**BODY, "max_tokens": 9, "max_completion_tokens": 5}
    assert openai.bound_chat(body, output_tokens=1, vendor=True).worst["output_tokens"] == 9


def test_the_vendor_is_pinned_to_the_tier_of_the_list_price() -> None:
    for asked in ({}, {"service_tier": "auto"}):
        sent = orjson.loads(openai.bound_chat({**BODY, **asked}, output_tokens=7, vendor=True).raw)
        assert (sent["service_tier"], sent["max_completion_tokens"]) == ("default", 7)
    other = orjson.loads(openai.bound_chat(BODY, output_tokens=7, vendor=False).raw)
    assert "service_tier" not in other
    assert other["max_tokens"] == 7, "servers that are like it know the older name"


def test_only_the_usage_that_was_asked_for_by_us_is_hidden() -> None:
    last = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}}\n\n'
    for asked, shown in ((False, False), (True, True)):
        body = {**BODY, "stream": True} | ({"stream_options": {"include_usage": True}} if asked else {})
        bounded = openai.bound_chat(body, output_tokens=1, vendor=True)
        assert orjson.loads(bounded.raw)["stream_options"] == {"include_usage": True}
        assert openai.ChatUsage(hide=bounded.hides_usage).see(last) is shown


def test_a_running_count_is_not_taken_for_the_whole() -> None:
    stream = openai.ChatUsage(hide=False)
    told = '{"prompt_tokens":5,"completion_tokens":%d}'
    stream.see(b'data: {"choices":[{"finish_reason":null}],"usage":' + (told % 1).encode() + b"}\n\n")
    assert stream.final() is None
    stream.see(b'data: {"choices":[],"usage":' + (told % 9).encode() + b"}\n\n")
    assert stream.final() == {"input_tokens": 5, "output_tokens": 9}


def test_a_prediction_that_is_not_used_is_billed_as_output_and_held() -> None:
    body = {**BODY, "max_completion_tokens": 10, "prediction": {"type": "content", "content": "x" * 100}}
    assert openai.bound_chat(body, output_tokens=1, vendor=True).worst["output_tokens"] >= 110
