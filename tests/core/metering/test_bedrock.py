"""Converse: every token is in one bucket, and what raises a bill beyond the hold is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import BadInput
from aegis.core.eventstream import write
from aegis.core.metering.bedrock import ConverseUsage, bound_converse, usage

COUNTS = st.integers(0, 10**9)
ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": [{"text": "hello"}]}]}


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_every_token_is_in_one_bucket(new: int, out: int, read: int, short: int, long: int) -> None:
    told = {
        "inputTokens": new,
        "outputTokens": out,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": short + long,
        "cacheDetails": [{"ttl": "1h", "inputTokens": long}, {"ttl": "5m", "inputTokens": short}],
    }
    assert sum(usage(told).values()) == new + out + read + short + long
    assert usage(told).get("cache_write_1h_tokens", 0) == long


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.integers(1, 10**6))
def test_a_request_is_held_at_its_bytes_and_its_cap(text: str, cap: int) -> None:
    messages = [{"role": "user", "content": [{"text": text}]}]
    bounded = bound_converse(
        {"model": "m", "messages": messages, "inferenceConfig": {"maxTokens": cap}}, output_tokens=9, stream=False
    )
    assert bounded.worst["output_tokens"] == cap
    assert bounded.worst["input_tokens"] >= len(text.encode())
    assert "model" not in orjson.loads(bounded.raw)


def test_a_request_without_a_cap_gets_one() -> None:
    bounded = bound_converse(ASKED, output_tokens=77, stream=True)
    assert orjson.loads(bounded.raw)["inferenceConfig"] == {"maxTokens": 77}
    assert (bounded.worst["output_tokens"], bounded.stream) == (77, True)


def test_a_part_of_the_prompt_that_is_cached_is_held_at_the_dearest_meter() -> None:
    system = [{"text": "long"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    worst = bound_converse(ASKED | {"system": system}, output_tokens=9, stream=False).worst
    assert worst["prompt_tokens"] == worst["cache_write_1h_tokens"] > 0


@pytest.mark.parametrize(
    "more",
    [
        {"guardrailConfig": {}},
        {"additionalModelRequestFields": {"x": 1}},
        {"performanceConfig": {"latency": "optimized"}},
        {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}},
        {"inferenceConfig": {"maxTokens": 0}},
        {"messages": [{"role": "user", "content": [{"video": {}}]}]},
        {"messages": [{"role": "user", "content": [{"image": {"source": {"s3Location": {}}}}]}]},
        {"messages": [{"role": "user", "content": ["hello"]}]},
        {"messages": [{"role": "user", "content": [{"toolResult": {"content": [{"document": {}}]}}]}]},
    ],
)
def test_what_raises_a_bill_beyond_the_hold_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        bound_converse(ASKED | more, output_tokens=9, stream=False)


def test_a_stream_tells_its_usage_in_its_last_frame_only() -> None:
    reader = ConverseUsage()
    head = {":message-type": "event", ":content-type": "application/json"}
    reader.see(write(head | {":event-type": "contentBlockDelta"}, b'{"delta":{"text":"metadata"}}'))
    assert reader.final() is None
    reader.see(write(head | {":event-type": "metadata"}, b'{"usage":{"inputTokens":3,"outputTokens":4}}'))
    assert reader.final() == {"input_tokens": 3, "output_tokens": 4}
