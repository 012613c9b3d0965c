"""What bounds a request of each vendor, and how its usage is read: the rules, without any client."""

from __future__ import annotations

from typing import Any

import pytest
from tests.library.stage import PRICES, thing

from aegis.core.errors import UnknownPrice
from aegis.library import anthropic_client, bedrock_client, openai_client
from aegis.library.athena_client import AthenaFace
from aegis.library.faces import Terms
from aegis.sync import open_governor
from aegis.testing import FixedIds

HELLO = [{"role": "user", "content": "hello"}]


def test_every_choice_may_be_as_long_as_the_cap() -> None:
    bounded = openai_client.bound_chat({"model": "gpt", "messages": HELLO, "n": 3, "max_completion_tokens": 50}, None)
    assert bounded.worst["output_tokens"] == 150


@pytest.mark.parametrize(("mark", "meter"), [({}, "cache_write_tokens"), ({"ttl": "1h"}, "cache_write_1h_tokens")])
def test_a_part_that_is_to_be_cached_may_be_written_at_that_rate(mark: dict[str, str], meter: str) -> None:
    system = [{"type": "text", "text": "rules", "cache_control": {"type": "ephemeral", **mark}}]
    asked = {"model": "claude", "max_tokens": 5, "messages": HELLO, "system": system}
    point = {"cachePoint": {"type": "default", **mark}}
    converse: dict[str, Any] = {"modelId": "claude"}
    converse["messages"] = [{"role": "user", "content": [{"text": "hello"}, point]}]
    converse["inferenceConfig"] = {"maxTokens": 5}
    price = PRICES.overrides["anthropic", "claude"]
    for bound in (anthropic_client.bound(asked, None), bedrock_client.bound_converse(converse, None)):
        prompt = bound.worst["prompt_tokens"]
        assert prompt >= 2_048
        assert price.cost({meter: prompt}) <= price.worst(bound.worst) - price.cost({"output_tokens": 5})


def test_what_was_kept_for_an_hour_is_counted_apart() -> None:
    told = {
        "input_tokens": 5,
        "output_tokens": 6,
        "cache_creation_input_tokens": 100,
        "cache_creation": {"ephemeral_1h_input_tokens": 70},
        "cache_read_input_tokens": None,
    }
    counts = {"input_tokens": 5, "output_tokens": 6, "cache_write_tokens": 30, "cache_write_1h_tokens": 70}
    assert anthropic_client.counted(told) == counts
    details = [{"ttl": "1h", "inputTokens": 70}, {"ttl": "5m", "inputTokens": 30}]
    usage = {"inputTokens": 5, "outputTokens": 6, "cacheWriteInputTokens": 100, "cacheDetails": details}
    assert bedrock_client.counted(usage) == counts


def test_a_stream_without_its_last_event_has_said_nothing() -> None:
    bounded = anthropic_client.bound({"model": "claude", "max_tokens": 5, "messages": HELLO}, None)
    fold = anthropic_client.Fold(bounded)
    assert fold.see(thing(type="message_start", message={"usage": {"input_tokens": 5, "output_tokens": 1}}))
    assert fold.usage() is None
    fold.see(thing(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9}))
    assert fold.usage() == {"input_tokens": 5, "output_tokens": 9}
    converse = bedrock_client.Fold(bounded)
    assert converse.see({"messageStop": {"stopReason": "end_turn"}})
    assert converse.usage() is None
    converse.see({"metadata": {"usage": {"inputTokens": 5, "outputTokens": 9}}})
    assert converse.usage() == {"input_tokens": 5, "output_tokens": 9}


@pytest.mark.parametrize(
    "more",
    [
        {"guardrailConfig": {"guardrailIdentifier": "g"}},
        {"serviceTier": {"type": "priority"}},
        {"messages": [{"role": "user", "content": [{"document": {"name": "a"}}]}]},
    ],
)
def test_a_converse_that_nobody_can_bound_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(UnknownPrice):
        bedrock_client.bound_converse({"modelId": "claude", "messages": [], **more}, None)


def test_only_so_many_queries_wait_for_their_end_to_be_seen() -> None:
    class Client:
        started = 0

        def get_work_group(self, **_: Any) -> dict[str, Any]:
            return {}

        def start_query_execution(self, **_: Any) -> dict[str, Any]:
            self.started += 1
            return {"QueryExecutionId": f"q{self.started}"}

        def close(self) -> None:
            return

    with open_governor(budgets={"day": "1000"}, prices=PRICES) as governor:
        face = AthenaFace(Client(), Terms(governor=governor, new_id=FixedIds()), open_max=3)
        for _ in range(5):
            face.start_query_execution(QueryString="SELECT 1")
        [balance] = governor.balances()
        assert balance.settled * 3 == balance.held * 2 > 0
        face.close()
        [balance] = governor.balances()
        assert balance.held == 0
