"""A governed client promises: the caller's code stays, every metered call asks first, and what nobody bounds is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import pytest
from tests.library.stage import (
    PRICES,
    AsyncClient,
    AsyncMethod,
    Client,
    Closable,
    Method,
    Pieces,
    VendorError,
    completion,
    message,
    thing,
)

import aegis
from aegis.core.errors import ConfigError, UnknownPrice
from aegis.sync import SyncGovernor, open_governor

pytestmark = pytest.mark.anyio

ASK: dict[str, Any] = {"model": "claude", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
CHAT: dict[str, Any] = {"model": "gpt", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def governor() -> Iterator[SyncGovernor]:
    with open_governor(budgets={"day": "0.05"}, prices=PRICES) as opened:
        yield opened


def spent(governor: SyncGovernor) -> int:
    """Micro-dollars settled, and nothing still held."""
    [balance] = governor.balances()
    assert balance.held == 0
    return balance.settled // 1_000


def anthropic(*answers: Any) -> tuple[Client, Method]:
    create = Method(*answers)
    return Client(messages=thing(create=create)), create


def openai(*answers: Any) -> tuple[Client, Method]:
    create = Method(*answers)
    return Client(chat=thing(completions=thing(create=create))), create


def test_a_call_is_settled_by_the_usage_in_its_answer(governor: SyncGovernor) -> None:
    answer = message(100, 10, cache_read_input_tokens=1_000, cache_creation_input_tokens=50)
    client, create = anthropic(answer)
    assert aegis.govern(client, governor).messages.create(**ASK) is answer
    assert create.asked == [ASK]
    assert spent(governor) == 100 + 100 + 100 + 100


def test_openai_counts_its_cached_tokens_once(governor: SyncGovernor) -> None:
    client, _ = openai(completion(prompt=1_000, cached=900, output=10))
    aegis.govern(client, governor).chat.completions.create(**CHAT)
    assert spent(governor) == 100 + 90 + 100


def test_a_call_that_does_not_fit_is_refused_and_never_sent(governor: SyncGovernor) -> None:
    client, create = anthropic(message())
    with pytest.raises(aegis.Refused, match="everything"):
        aegis.govern(client, governor).messages.create(**ASK | {"max_tokens": 6_000})
    assert create.asked == []
    assert spent(governor) == 0


def test_the_clients_own_retries_are_off_also_in_its_copies(governor: SyncGovernor) -> None:
    governed = aegis.govern(anthropic()[0], governor)
    assert governed.max_retries == 0
    assert governed.with_options(max_retries=5).max_retries == 0
    assert governed.api_key == "key"


def test_a_request_without_a_cap_gets_one_and_a_cap_can_be_clamped(governor: SyncGovernor) -> None:
    client, create = openai(completion(), completion(), completion())
    aegis.govern(client, governor).chat.completions.create(**CHAT)
    clamped = aegis.govern(client, governor, output_tokens_max=50)
    clamped.chat.completions.create(**CHAT, max_tokens=400)
    clamped.chat.completions.create(**CHAT)
    assert [request.get("max_completion_tokens") for request in create.asked] == [4_096, None, 50]
    assert create.asked[1]["max_tokens"] == 50


@pytest.mark.parametrize(("status", "micro"), [(400, 0), (429, 0), (500, 3_142), (529, 3_142)])
def test_a_vendors_error_reaches_the_caller_and_counts_as_the_vendor_bills(
    governor: SyncGovernor, status: int, micro: int
) -> None:
    client, _ = anthropic(VendorError(status))
    with pytest.raises(VendorError) as raised:
        aegis.govern(client, governor).messages.create(**ASK)
    assert raised.value.status_code == status
    assert abs(spent(governor) - micro) < 50


@pytest.mark.parametrize("told", [{"input_tokens": -5, "output_tokens": 1}, {"input_tokens": None, "output_tokens": 1}])
def test_a_usage_that_cannot_be_true_counts_at_the_worst_case(governor: SyncGovernor, told: dict[str, Any]) -> None:
    client, _ = anthropic(thing(usage=told))
    aegis.govern(client, governor).messages.create(**ASK)
    assert spent(governor) > 3_000


@pytest.mark.parametrize(
    ("path", "request_"),
    [
        ("messages.create", ASK | {"tools": [{"type": "web_search_20260209", "name": "web_search"}]}),
        ("messages.create", ASK | {"mcp_servers": [{"url": "https://example.com"}]}),
        ("messages.create", ASK | {"speed": "fast"}),
        ("messages.create", ASK | {"inference_geo": "us"}),
        ("messages.create", ASK | {"extra_body": {"max_tokens": 9_000}}),
        ("messages.with_raw_response.create", ASK),
        ("messages.batches.create", {}),
        ("beta.messages.create", ASK),
    ],
)
def test_what_nobody_can_bound_is_refused(governor: SyncGovernor, path: str, request_: dict[str, Any]) -> None:
    create = Method(message())
    resource = thing(create=create)
    resource.batches, resource.with_raw_response, beta = thing(create=create), thing(create=create), thing()
    beta.messages = thing(create=create)
    found: Any = aegis.govern(Client(messages=resource, beta=beta), governor)
    for name in path.split("."):
        found = getattr(found, name)
    with pytest.raises(UnknownPrice, match="beforehand"):
        found(**request_)
    assert create.asked == []


@pytest.mark.parametrize(
    "more",
    [
        {"service_tier": "priority"},
        {"prediction": {"type": "content", "content": "a"}},
        {"web_search_options": {"search_context_size": "low"}},
        {"modalities": ["text", "audio"]},
        {"n": 0.5},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
    ],
)
def test_openai_requests_that_nobody_can_bound_are_refused(governor: SyncGovernor, more: dict[str, Any]) -> None:
    client, create = openai(completion())
    with pytest.raises(UnknownPrice):
        aegis.govern(client, governor).chat.completions.create(**CHAT | more)
    assert create.asked == []


def test_a_stream_is_settled_by_its_final_usage_which_the_caller_does_not_see_unless_asked(
    governor: SyncGovernor,
) -> None:
    words = [thing(choices=["a"], usage=None), thing(choices=["b"], usage=None)]
    last = completion(prompt=200, output=20)
    last.choices = []
    client, create = openai(Pieces(*words, last), Pieces(*words, last))
    governed = aegis.govern(client, governor)
    assert list(governed.chat.completions.create(**CHAT, stream=True)) == words
    assert create.asked[0]["stream_options"] == {"include_usage": True}
    assert spent(governor) == 400
    asked = {"stream_options": {"include_usage": True}}
    assert list(governed.chat.completions.create(**CHAT, **asked, stream=True)) == [*words, last]
    assert spent(governor) == 800


def messages(*, whole: bool = True) -> list[Any]:
    """The events of an Anthropic stream."""
    begun = thing(type="message_start", message=message(100, 1))
    text = thing(type="content_block_delta")
    last = thing(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 30})
    return [begun, text, last] if whole else [begun, text]


def test_a_message_stream_adds_up_its_events(governor: SyncGovernor) -> None:
    client, _ = anthropic(Pieces(*messages()))
    assert len(list(aegis.govern(client, governor).messages.create(**ASK, stream=True))) == 3
    assert spent(governor) == 100 + 300


def test_a_stream_that_is_left_or_breaks_counts_at_the_worst_case(governor: SyncGovernor) -> None:
    left = Closable(*messages())
    client, _ = anthropic(left, Pieces(*messages(whole=False), VendorError(500)))
    governed = aegis.govern(client, governor)
    with governed.messages.create(**ASK, stream=True) as stream:
        next(stream)
    assert left.closed
    first = spent(governor)
    assert first > 3_000
    with pytest.raises(VendorError):
        list(governed.messages.create(**ASK, stream=True))
    assert spent(governor) == 2 * first


class Helper:
    """The shape of `messages.stream(...)`: a block that yields the stream helper."""

    def __init__(self, snapshot: Any) -> None:
        self.current_message_snapshot = snapshot

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def test_the_stream_helper_is_settled_by_its_snapshot(governor: SyncGovernor) -> None:
    helper = Helper(message(100, 20))
    client = Client(messages=thing(stream=Method(helper)))
    with aegis.govern(client, governor).messages.stream(**ASK) as stream:
        assert stream is helper
    assert spent(governor) == 300


async def test_an_asynchronous_client_is_governed_the_same_way() -> None:
    create, helper = AsyncMethod(message(100, 10), Pieces(*messages()), VendorError(400)), Helper(message(100, 20))
    client = AsyncClient(messages=thing(create=create, stream=Method(helper)))
    async with aegis.open_governor(budgets={"day": "0.05"}, prices=PRICES) as governor:
        governed = aegis.govern(client, governor)
        await governed.messages.create(**ASK)
        stream = await governed.messages.create(**ASK, stream=True)
        assert len([event async for event in stream]) == 3
        with pytest.raises(VendorError):
            await governed.messages.create(**ASK)
        async with governed.messages.stream(**ASK) as found:
            assert found is helper
        with pytest.raises(aegis.Refused):
            await governed.messages.create(**ASK | {"max_tokens": 6_000})
        [balance] = await governor.balances()
        assert (balance.settled // 1_000, balance.held) == (200 + 400 + 300, 0)


def test_embeddings_and_responses_are_governed_too(governor: SyncGovernor) -> None:
    told = {"input_tokens": 300, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 100}}
    responses = Method(thing(usage=told), Pieces(thing(type="response.completed", response={"usage": told})))
    embeddings = Method(thing(usage={"prompt_tokens": 70}))
    client = Client(responses=thing(create=responses), embeddings=thing(create=embeddings), chat=thing())
    governed = aegis.govern(client, governor)
    governed.responses.create(model="gpt", input="hello")
    list(governed.responses.create(model="gpt", input="hello", stream=True))
    governed.embeddings.create(model="gpt", input=["a", "b"])
    assert spent(governor) == 2 * (200 + 10 + 50) + 70
    assert responses.asked[0]["max_output_tokens"] == 4_096
    with pytest.raises(UnknownPrice, match="previous_response_id"):
        governed.responses.create(model="gpt", input="hello", previous_response_id="r1")


def test_a_client_that_does_not_fit_is_refused_by_name(governor: SyncGovernor) -> None:
    with pytest.raises(ConfigError, match="asynchronous"):
        aegis.govern(AsyncClient(messages=thing()), governor)
    with pytest.raises(ConfigError, match="no client of"):
        aegis.govern(Client(), governor)
    with pytest.raises(ConfigError, match="retries"):
        aegis.govern(thing(messages=thing()), governor)


@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_the_real_client_has_the_shape_that_is_governed(governor: SyncGovernor, name: str) -> None:
    module = pytest.importorskip(name, reason=f"{name} is not installed: its real client was not tried")
    client = getattr(module, {"anthropic": "Anthropic", "openai": "OpenAI"}[name])(api_key="not-a-key")
    governed = aegis.govern(client, governor)
    assert governed.max_retries == 0
