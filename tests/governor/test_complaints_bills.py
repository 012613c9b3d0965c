"""What users of other systems report of cost arithmetic, streams and callers that leave, each as a claim about this one.
The number behind a name is the report: a system with that complaint fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import anyio
import pytest
from tests.governor.complaints import metered, settled
from tests.governor.fakes import CENT, Stage, asking, daily
from tests.library.stage import (
    PRICES,
    AsyncClient,
    AsyncMethod,
    Client,
    Closable,
    Method,
    Pieces,
    completion,
    message,
    thing,
)

import aegis
from aegis.core.money import USD, usd
from aegis.core.prices import Price, PriceBook
from aegis.governor.pricing import load_prices
from aegis.library import anthropic_client, bedrock_client, openai_client
from aegis.sync import SyncGovernor, open_governor

pytestmark = pytest.mark.anyio
TODAY = date(2026, 11, 21)
ASK: dict[str, Any] = {"model": "claude", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
CHAT: dict[str, Any] = {"model": "gpt", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> PriceBook:
    return load_prices(tmp_path_factory.mktemp("state"))


@pytest.fixture
def governor() -> Iterator[SyncGovernor]:
    with open_governor(budgets={"day": "1.00"}, prices=PRICES) as opened:
        yield opened


def micro(governor: SyncGovernor) -> int:
    """Micro-dollars settled, nothing held: a token in costs 1, out 10, read from a cache 0.1, written to one 2."""
    [balance] = governor.balances()
    assert balance.held == 0
    return balance.settled // 1_000


def say(governor: SyncGovernor, answer: Any, **more: Any) -> Any:
    """One message of a governed Anthropic client."""
    client = Client(messages=thing(create=Method(answer)))
    return aegis.govern(client, governor).messages.create(**ASK | more)


def chat(governor: SyncGovernor, answer: Any, **more: Any) -> Any:
    """One completion of a governed OpenAI client."""
    client = Client(chat=thing(completions=thing(create=Method(answer))))
    return aegis.govern(client, governor).chat.completions.create(**CHAT | more)


# --- cached tokens ------------------------------------------------------------------------------------------------


def test_tokens_written_to_the_cache_are_billed_once__litellm_9812(book: PriceBook) -> None:
    used = anthropic_client.usage(message(3, 550, cache_creation_input_tokens=12_304))
    assert used == {"input_tokens": 3, "output_tokens": 550, "cache_write_tokens": 12_304}
    # 3 x 3 + 12,304 x 3.75 + 550 x 15 USD per million, as the vendor's own console has it.
    assert book.price("anthropic", "claude-sonnet-4-5", TODAY).cost(used) == usd("0.054399")


def test_tokens_read_from_the_cache_are_not_left_out__litellm_5443(governor: SyncGovernor) -> None:
    say(governor, message(10, 1, cache_read_input_tokens=10_000))
    assert micro(governor) == 10 + 10 + 1_000


def test_tokens_read_from_the_cache_do_not_cost_like_new_ones__litellm_11364(governor: SyncGovernor) -> None:
    say(governor, message(10, 1, cache_read_input_tokens=66_360, cache_creation_input_tokens=32_435))
    assert micro(governor) == 10 + 10 + 6_636 + 2 * 32_435


def test_own_prices_bill_a_cached_token_once_too__litellm_40006_40016(governor: SyncGovernor) -> None:
    say(governor, message(0, 0, cache_read_input_tokens=1_000))
    assert micro(governor) == 100, "the prices of this governor are its own"


@pytest.mark.parametrize(("field", "each"), [("cacheReadInputTokens", 1), ("cacheWriteInputTokens", 20)])
def test_cached_tokens_on_bedrock_are_not_free__litellm_29265(field: str, each: int) -> None:
    used = bedrock_client.usage({"usage": {"inputTokens": 5, "outputTokens": 1, field: 10_000}})
    assert used is not None
    assert PRICES.price("bedrock", "claude", TODAY).cost(used) == (5 + 10) * 1_000 + 10_000 * each * 100


def test_an_hours_cache_on_bedrock_costs_its_own_rate__litellm_29265(book: PriceBook) -> None:
    told = {"inputTokens": 0, "outputTokens": 0, "cacheWriteInputTokens": 10**6}
    kept = told | {"cacheDetails": [{"ttl": "1h", "inputTokens": 10**6}]}
    price = book.price("bedrock", "global.anthropic.claude-sonnet-5-5", TODAY)
    assert [price.cost(bedrock_client.counted(usage)) for usage in (told, kept)] == [usd("2.50"), usd("4")]


def test_a_cached_token_is_in_one_meter_only__librechat_13795() -> None:
    used = anthropic_client.usage(message(7, 1, cache_read_input_tokens=20, cache_creation_input_tokens=30))
    assert used is not None
    assert sum(used.values()) == 7 + 1 + 20 + 30


def test_what_openai_reads_from_its_cache_is_taken_out_of_the_prompt__openlit_1378(governor: SyncGovernor) -> None:
    chat(governor, completion(prompt=1_000, cached=1_000, output=0))
    assert micro(governor) == 100


def test_what_openai_writes_to_its_cache_costs_that_rate_and_was_held_at_it__openlit_1378(book: PriceBook) -> None:
    told = {"prompt_tokens": 10**6, "completion_tokens": 0, "prompt_tokens_details": {"cache_write_tokens": 10**6}}
    price, used = book.price("openai", "gpt-6-astra", TODAY), openai_client.usage({"usage": told})
    assert used is not None
    assert price.cost(used) == 2 * usd("12.50"), "12.50 a million, twice that beyond 272,000 tokens"
    bound = openai_client.bound_chat({"model": "gpt-6-astra", "messages": [{"content": "x" * 10**6}]}, 1)
    assert price.worst(bound.worst) >= price.cost(used)


@pytest.mark.parametrize(("prompt", "cached"), [(100_000, 80_000), (10, 80_000)])
def test_a_warm_cache_never_makes_a_cost_negative_and_never_hides_it__headroom_2757(
    governor: SyncGovernor, prompt: int, cached: int
) -> None:
    chat(governor, completion(prompt=prompt, cached=cached, output=0))
    if prompt > cached:
        assert micro(governor) == 20_000 + 8_000
    else:
        assert micro(governor) > 1_000, "more cached than sent cannot be true: the worst case counts"


def test_the_vendors_own_word_for_the_price_is_not_asked_for__litellm_37924(governor: SyncGovernor) -> None:
    answer = completion(prompt=1_000, output=10)
    answer.usage.cost = answer.cost = 0
    chat(governor, answer)
    assert micro(governor) == 1_000 + 100


@pytest.mark.parametrize(
    ("asked", "answered", "factor"),
    [("priority", "priority", 2), ("priority", "default", 1), (None, "priority", 2), ("flex", "flex", 1)],
)
def test_a_tier_is_held_at_its_price_and_billed_at_the_one_that_answered(
    asked: str | None, answered: str, factor: int
) -> None:
    double = Price(
        service="openai", model="gpt", rates={"input_tokens": ((0, 2 * USD),), "output_tokens": ((0, 20 * USD),)}
    )
    priced = replace(PRICES.overrides["openai", "gpt"], tiers={"priority": double})
    with open_governor(budgets={"day": 1}, prices=PriceBook(overrides={("openai", "gpt"): priced})) as governor:
        chat(governor, completion(prompt=1_000, output=10, service_tier=answered), service_tier=asked)
        assert micro(governor) == factor * (1_000 + 100)


async def test_an_answer_from_the_cache_uses_no_tokens_a_second_time__litellm_39057() -> None:
    stage = Stage(daily(100), metered(1_000, "tokens"))
    async with stage.governor as governor:
        for _ in range(5):
            async with governor.admit(asking(tokens=10, cache_key="same")) as reservation:
                if reservation.cached is None:
                    reservation.settle({"input_tokens": 10}, answer=b"yes")
        assert (await settled(governor), await settled(governor, "tokens")) == (10 * CENT, 10)


def test_a_cache_that_nobody_asked_for_is_counted__litellm_16341(governor: SyncGovernor) -> None:
    assert "cache_control" not in str(CHAT)
    chat(governor, completion(prompt=10_000, cached=9_000, output=0))
    assert micro(governor) == 1_000 + 900


# --- streams and callers that leave -------------------------------------------------------------------------------

PIECES = (
    thing(type="message_start", message={"usage": {"input_tokens": 50, "output_tokens": 1}}),
    thing(type="content_block_delta", delta={"text": "so"}),
    thing(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 40}),
)


def worst(governor: SyncGovernor, **more: Any) -> int:
    """What a call of these tests may use at most, in micro-dollars."""
    bound = anthropic_client.bound(ASK | more, None)
    return PRICES.price("anthropic", "claude", TODAY).worst(bound.worst) // 1_000


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_a_stream_that_its_reader_left_is_not_free__litellm_33736_30630(governor: SyncGovernor, seen: int) -> None:
    stream = say(governor, Pieces(*PIECES), stream=True)
    for _ in range(seen):
        next(stream)
    stream.close()
    assert micro(governor) == worst(governor), "the vendor bills what it wrote, and nobody saw how much"


def test_a_usage_of_zero_is_believed_and_not_replaced_by_an_estimate__litellm_37992(governor: SyncGovernor) -> None:
    say(governor, message(0, 0))
    assert micro(governor) == 0


@pytest.mark.parametrize("cut", [ConnectionResetError(), None], ids=["torn", "just ends"])
def test_the_place_holder_at_a_streams_beginning_is_not_its_usage__litellm_35958_39893(
    governor: SyncGovernor, cut: Exception | None
) -> None:
    pieces = PIECES[:2] if cut is None else (*PIECES[:2], cut)
    try:
        list(say(governor, Pieces(*pieces), stream=True))
    except ConnectionResetError:
        assert cut is not None
    assert micro(governor) == worst(governor), "one output token was said at the beginning, a hundred may have been"


def test_a_stream_that_was_read_to_its_end_costs_what_it_says_there__litellm_35958(governor: SyncGovernor) -> None:
    assert len(list(say(governor, Pieces(*PIECES), stream=True))) == 3
    assert micro(governor) == 50 + 400


async def test_a_caller_that_goes_away_while_the_vendor_works_pays_for_input_and_output__litellm_13245() -> None:
    class Slow(AsyncMethod):
        async def __call__(self, **request: Any) -> Any:
            self.asked.append(request)
            await anyio.sleep_forever()

    create = Slow()
    async with aegis.open_governor(budgets={"day": "1.00"}, prices=PRICES) as governor:
        client = aegis.govern(AsyncClient(messages=thing(create=create)), governor)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client.messages.create(**ASK))
            while not create.asked:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        [balance] = await governor.balances()
        bound = anthropic_client.bound(ASK, None)
        assert balance.settled == PRICES.price("anthropic", "claude", TODAY).worst(bound.worst)
        assert balance.held == 0


def test_who_leaves_a_stream_ends_it_at_the_vendor__litellm_17364(governor: SyncGovernor) -> None:
    upstream = Closable(*PIECES)
    with say(governor, upstream, stream=True) as stream:
        next(stream)
    assert upstream.closed, "the vendor is told to stop writing"
