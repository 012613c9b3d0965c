"""Answers used again: never for another question, never too old, asked for once by however many."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from tests.governor.fakes import CENT, START, Stage, asking, daily

from aegis.core.errors import Billed, ServiceError
from aegis.core.ports import Answers
from aegis.core.telemetry import CallEnded
from aegis.governor.cache import AnswerCache, answer_key
from aegis.governor.policies import ServicePolicy
from aegis.stores.answers import MemoryAnswers, SqliteAnswers
from aegis.stores.database import Database
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio
MINUTE_MS = 60_000


@pytest.fixture(params=["memory", "sqlite"])
async def answers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Answers]:
    if request.param == "memory":
        yield MemoryAnswers()
        return
    database = await Database.open(tmp_path / "aegis.db")
    yield SqliteAnswers(database)
    await database.close()


async def ask(stage: Stage, **more: object) -> bytes | None:
    """One call about the same question; what the cache said to it."""
    async with stage.governor.admit(asking(tokens=5, cache_key="why", **more)) as reservation:
        if reservation.cached is None:
            reservation.settle({"input_tokens": 5}, answer=b"because")
    return reservation.cached


async def test_the_second_call_is_answered_from_the_cache_and_costs_nothing() -> None:
    stage = Stage(daily(100))
    async with stage.governor:
        assert [await ask(stage), await ask(stage)] == [None, b"because"]
        assert await stage.settled() == 5
        [spend] = await stage.governor.spent()
        assert (spend.calls, spend.cached) == (1, 1)
    assert [ended.outcome for ended in stage.heard(CallEnded)] == ["settled", "cached"]


async def test_an_answer_is_used_for_five_minutes_and_no_longer() -> None:
    stage = Stage(daily(100))
    async with stage.governor:
        await ask(stage)
        stage.clock.pass_ms(5 * MINUTE_MS - 1)
        assert await ask(stage) == b"because"
        stage.clock.pass_ms(1)
        assert await ask(stage) is None


async def test_another_model_or_operation_is_another_question() -> None:
    stage = Stage(daily(1_000))
    async with stage.governor:
        await ask(stage)
        assert await ask(stage, models=("cheap",)) is None
        assert await ask(stage, operation="other") is None
    assert answer_key(asking(cache_key="a", operation="bc"), "m") != answer_key(
        asking(cache_key="ca", operation="b"), "m"
    )


async def test_a_call_without_a_key_is_never_answered_from_the_cache() -> None:
    stage = Stage(daily(100))
    async with stage.governor:
        for _ in range(2):
            async with stage.governor.admit(asking(tokens=5)) as reservation:
                assert reservation.cached is None
                reservation.settle({"input_tokens": 5}, answer=b"x")


async def test_of_many_callers_with_one_question_one_asks() -> None:
    stage, asked, answered = Stage(daily(100)), 0, 0
    release = anyio.Event()

    async def caller() -> None:
        nonlocal asked, answered
        async with stage.governor.admit(asking(tokens=5, cache_key="why")) as reservation:
            if reservation.cached is not None:
                answered += 1
                return
            asked += 1
            await release.wait()
            reservation.settle({"input_tokens": 5}, answer=b"because")

    async with stage.governor:
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(caller)
            await anyio.wait_all_tasks_blocked()
            release.set()
        assert (asked, answered, await stage.settled()) == (1, 49, 5)


async def test_when_the_one_that_asks_fails_the_next_one_asks() -> None:
    stage, asked = Stage(daily(100)), 0

    async def caller() -> None:
        nonlocal asked
        async with stage.governor.admit(asking(tokens=5, cache_key="why")) as reservation:
            if reservation.cached is None:
                asked += 1
                await anyio.lowlevel.checkpoint()
                if asked == 1:
                    raise ServiceError("anthropic", "overloaded", retryable=True, billed=Billed.NO)
                reservation.settle({"input_tokens": 5}, answer=b"because")

    async def first() -> None:
        with pytest.raises(ServiceError):
            await caller()

    async with stage.governor:
        async with anyio.create_task_group() as group:
            group.start_soon(first)
            for _ in range(3):
                group.start_soon(caller)
        assert (asked, await stage.settled()) == (2, 5)


async def test_a_refused_caller_does_not_keep_the_others_waiting() -> None:
    stage = Stage(daily(100), services={"anthropic": ServicePolicy()})
    async with stage.governor:
        await stage.governor.stop({"service": "anthropic"}, "test")
        for _ in range(2):
            with anyio.fail_after(60), pytest.raises(Exception, match="stopped"):
                await ask(stage)
        await stage.governor.resume({"service": "anthropic"})
        assert await ask(stage) is None


async def test_answers_survive_a_restart(answers: Answers) -> None:
    clock = FakeClock(START)
    before = Stage(daily(100), answers=answers, clock=clock)
    async with before.governor:
        await ask(before)
    after = Stage(daily(100), answers=answers, clock=clock)
    async with after.governor:
        assert await ask(after) == b"because"
        assert await after.settled() == 0


async def test_the_store_forgets_what_no_longer_holds(answers: Answers) -> None:
    await answers.put("a", b"1", expires_at=START + timedelta(seconds=1), now=START)
    await answers.put("b", b"2", expires_at=START + timedelta(seconds=9), now=START)
    assert await answers.get("a", START) == b"1"
    assert await answers.get("a", START + timedelta(seconds=1)) is None
    assert await answers.get("b", START + timedelta(seconds=1)) == b"2"
    await answers.clear()
    assert await answers.get("b", START) is None


async def test_the_cache_keeps_within_its_size_and_lets_the_least_used_go() -> None:
    cache = AnswerCache(FakeClock(START), None, bytes_max=30)
    for key in "abc":
        assert await cache.find(key) is None
        cache.land(key, bytes(10), keep_ms=MINUTE_MS)
    assert await cache.find("a") is not None
    assert await cache.find("d") is None
    cache.land("d", bytes(10), keep_ms=MINUTE_MS)
    assert [await cache.find(key) is not None for key in "acd"] == [True, True, True]
    assert await cache.find("b") is None


async def test_money_is_exact_through_hits_and_misses() -> None:
    stage = Stage(daily(100))
    async with stage.governor:
        for _ in range(4):
            await ask(stage)
            stage.clock.pass_ms(3 * MINUTE_MS)
        [balance] = await stage.governor.balances()
        assert (balance.settled, balance.held) == (2 * 5 * CENT, 0)
