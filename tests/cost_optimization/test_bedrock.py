"""A question goes to the model that its task and the budget call for, and costs what Bedrock says it used."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from tests.cost_optimization.aws import Clients
from tests.cost_optimization.conftest import Make

from aegis.core.errors import BadInput, BudgetExceeded, ServiceError
from aegis.cost_optimization import CostOptimizer, FreeTierLimits, ModelSelectionCriteria, ModelSelector, ServiceType
from aegis.cost_optimization.bedrock import Question
from aegis.cost_optimization.model_selector import LADDER

pytestmark = pytest.mark.anyio
HAIKU, SONNET, OPUS = LADDER


def used(optimizer: CostOptimizer, meter: str) -> int:
    return optimizer.usage_tracker.get_current_usage(ServiceType.BEDROCK).units[meter]


async def test_the_request_is_valid_and_the_cost_is_what_was_used(make: Make, shared: Path) -> None:
    clients = Clients(shared)
    clients.bedrock.usage |= {"cacheReadInputTokens": 1_000, "cacheWriteInputTokens": 200}
    optimizer = make(aws_clients=clients)
    answer = await optimizer.execute_bedrock_inference("Which hosts?", system="Be brief. " * 2_000)
    assert answer["text"] == clients.bedrock.text
    assert answer["usage"] == {
        "input_tokens": 100,
        "output_tokens": 20,
        "cache_read_tokens": 1_000,
        "cache_write_tokens": 200,
    }
    # Sonnet here: 3 dollars a million in, 15 out, 0.30 read, 6 written.
    assert round(answer["cost_usd"] * 1e6) == 300 + 300 + 300 + 1_200
    [request] = clients.bedrock.requests("Converse")
    assert request["system"][-1] == {"cachePoint": {"type": "default"}}
    assert (used(optimizer, "input_tokens"), used(optimizer, "output_tokens")) == (100, 20)


@pytest.mark.parametrize(
    ("criteria", "model"),
    [
        (ModelSelectionCriteria(), SONNET),
        (ModelSelectionCriteria(query_complexity="simple"), HAIKU),
        (ModelSelectionCriteria(query_complexity="simple", response_length_required="long"), SONNET),
        (ModelSelectionCriteria(query_complexity="complex"), OPUS),
        (ModelSelectionCriteria(query_complexity="moderate", accuracy_priority="accuracy"), OPUS),
        (ModelSelectionCriteria(query_complexity="complex", accuracy_priority="cost"), SONNET),
        (ModelSelectionCriteria(query_complexity="complex", available_budget_tokens=500), SONNET),
        (ModelSelectionCriteria(available_budget_tokens=5_000), SONNET),
    ],
)
def test_the_model_fits_the_task(criteria: ModelSelectionCriteria, model: str) -> None:
    assert ModelSelector().select_model(criteria) == model


criteria = st.builds(
    ModelSelectionCriteria,
    query_complexity=st.sampled_from(["simple", "moderate", "complex"]),
    response_length_required=st.sampled_from(["short", "medium", "long"]),
    accuracy_priority=st.sampled_from(["speed", "cost", "balanced", "accuracy"]),
    available_budget_tokens=st.none() | st.integers(0, 100_000),
)


@given(criteria)
def test_fallbacks_only_ever_cost_less(asked: ModelSelectionCriteria) -> None:
    found = ModelSelector().candidates(asked)
    places = [LADDER.index(model) for model in found]
    assert places == sorted(places, reverse=True)
    assert places[-1] == 0


@pytest.mark.parametrize(
    ("retired", "successor"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", HAIKU),
        ("anthropic.claude-3-sonnet-20240229-v1:0", SONNET),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", SONNET),
        ("anthropic.claude-3-opus-20240229-v1:0", OPUS),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", SONNET),
    ],
)
async def test_a_retired_model_is_refused_with_its_successor(make: Make, retired: str, successor: str) -> None:
    with pytest.raises(BadInput, match=successor):
        await make().execute_bedrock_inference("hello", model_id=retired)


async def test_words_that_are_no_criteria_are_refused(make: Make, clients: Clients) -> None:
    with pytest.raises(BadInput, match="brilliant"):
        await make().execute_bedrock_inference("hello", accuracy_priority="brilliant")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="word"):
        await make().execute_bedrock_inference("  ")
    assert not clients.bedrock.asked


async def test_equal_questions_at_one_time_are_asked_once(make: Make, clients: Clients) -> None:
    optimizer = make()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(optimizer.execute_bedrock_inference, "hello")
    assert len(clients.bedrock.requests("Converse")) == 1
    stats = optimizer.get_optimization_dashboard()["cache_performance"]["stats"]
    assert stats == {"hits": 4, "misses": 1, "hit_rate": 80.0}


async def test_a_quota_refuses_before_anything_is_asked(make: Make, clients: Clients) -> None:
    optimizer = make(limits=FreeTierLimits(bedrock_output_tokens_monthly=1_000))
    with pytest.raises(BudgetExceeded):
        await optimizer.execute_bedrock_inference("hello", response_length="long")
    assert not clients.bedrock.asked
    await optimizer.execute_bedrock_inference("hello", response_length="short")


def test_a_shared_part_that_may_be_cached_is_held_at_the_rate_of_writing_it() -> None:
    assert "cache_write_tokens" not in Question(models=LADDER, prompt="a", system="b" * 100).worst()
    long = Question(models=LADDER, prompt="a", system="b" * 20_000).worst()
    assert long["cache_write_tokens"] == 20_000


def error(status: int, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Converse")


@pytest.mark.parametrize(
    ("failure", "free"), [((429, "ThrottlingException"), True), ((500, "InternalServerException"), False)]
)
async def test_a_failed_question_counts_as_aws_bills_it(
    make: Make, clients: Clients, failure: tuple[int, str], free: bool
) -> None:
    clients.bedrock.fails = [error(*failure)]
    optimizer = make()
    with pytest.raises(ServiceError, match=failure[1]) as failed:
        await optimizer.execute_bedrock_inference("hello")
    assert failed.value.retryable
    assert (used(optimizer, "output_tokens") == 0) is free


async def test_a_usage_that_cannot_be_true_counts_at_the_worst_case(make: Make, clients: Clients) -> None:
    clients.bedrock.usage = {"inputTokens": -1, "outputTokens": 5, "totalTokens": 4}
    optimizer = make()
    answer = await optimizer.execute_bedrock_inference("hello", use_cache=False)
    assert (answer["text"], answer["usage"]) == (clients.bedrock.text, {})
    assert used(optimizer, "output_tokens") == 1_024
