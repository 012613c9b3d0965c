"""Anthropic on the wire: no answer within a request's own bounds ever uses more than its hold, and every token is in one
bucket.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import BadInput
from aegis.core.metering import anthropic

COUNTS = st.integers(0, 10**9)
BODY: dict[str, Any] = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "hi"}]}


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_every_token_is_in_exactly_one_bucket(new: int, read: int, short: int, long: int, out: int) -> None:
    told = {
        "input_tokens": new,
        "output_tokens": out,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": short + long,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
    }
    used = anthropic.usage(told)
    assert sum(used.values()) == new + read + short + long + out
    assert used["input_tokens"] == new, "the vendor's input excludes what was cached"
    assert used.get("cache_write_1h_tokens", 0) == long


@pytest.mark.parametrize("told", [None, {}, {"input_tokens": 1}, {"input_tokens": -1, "output_tokens": 1}, [1]])
def test_a_usage_that_cannot_be_true_is_none(told: Any) -> None:
    with pytest.raises(BadInput):
        anthropic.usage(told)


@given(st.text(max_size=300), st.integers(1, 128_000))
def test_the_hold_covers_the_texts_in_both_their_forms_and_the_cap(text: str, cap: int) -> None:
    import unicodedata

    try:
        text.encode()
    except UnicodeEncodeError:
        return
    body = {**BODY, "max_tokens": cap, "system": text}
    bounded = anthropic.bound(body, output_tokens=1)
    normal = unicodedata.normalize("NFKC", text)
    assert bounded.worst["input_tokens"] >= max(len(text.encode()), len(normal.encode()))
    assert bounded.worst["output_tokens"] == cap


def test_a_request_without_a_cap_gets_one_and_the_rest_is_as_it_was() -> None:
    bounded = anthropic.bound(BODY, output_tokens=77)
    assert orjson.loads(bounded.raw) == {**BODY, "max_tokens": 77}
    assert bounded.worst["output_tokens"] == 77


def test_what_may_be_written_to_the_cache_is_held_at_that_rate() -> None:
    system = [{"type": "text", "text": "rules", "cache_control": {"type": "ephemeral"}}]
    assert "prompt_tokens" in anthropic.bound({**BODY, "system": system}, output_tokens=1).worst
    system[0]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
    worst = anthropic.bound({**BODY, "system": system}, output_tokens=1).worst
    assert worst["cache_write_1h_tokens"] == worst["prompt_tokens"]


def test_a_picture_counts_by_its_own_bound_not_by_its_bytes() -> None:
    def worst(part: dict[str, Any]) -> int:
        message = {"role": "user", "content": [part]}
        return anthropic.bound({**BODY, "messages": [message]}, output_tokens=1).worst["input_tokens"]

    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 1_000_000}}
    assert 50_000 < worst(picture) < 60_000
    text = {"type": "tool_use", "id": "x", "name": "y", "input": picture}
    assert worst(text) > 1_000_000, "what only looks like a picture is text"


def test_the_input_of_a_stream_is_known_from_its_start_and_all_of_it_only_at_its_end() -> None:
    stream = anthropic.StreamUsage()
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}}
    stream.see(b"event: message_start\ndata: " + orjson.dumps(start) + b"\n\n")
    assert stream.final() is None
    assert stream.least({"output_tokens": 100}) == {"input_tokens": 5, "output_tokens": 100}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}
    stream.see(b"event: message_delta\ndata: " + orjson.dumps(end) + b"\n\n")
    assert stream.final() == {"input_tokens": 5, "output_tokens": 9}
