"""What users of other systems report of reservations gone wrong, each as a claim about this one. The number behind a
name is the report: a system with that complaint fails the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import anyio
import pytest
from tests.governor.complaints import FULL, burst, metered, programs, quiet, settled, tries
from tests.governor.fakes import CENT, HOUR_MS, PRICES, START, Stage, asking, daily
from tests.library.stage import PRICES as LIBRARY_PRICES
from tests.library.stage import Client, Method, Pieces, completion, thing

import aegis
import aegis.sync
from aegis.core.budgets import Amounts, Budget
from aegis.core.errors import Billed, BudgetExceeded, Refused, ServiceError, StoreError
from aegis.core.ledger import Sync, Synced
from aegis.core.prices import Price, PriceBook
from aegis.core.windows import WindowPolicy
from aegis.governor.governor import Governor
from aegis.governor.pricing import load_prices
from aegis.stores.memory_ledger import MemoryLedger
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio


# --- holds that stay ----------------------------------------------------------------------------------------------


async def end_in_every_way(governor: Governor, number: int) -> None:
    """One call that is settled, left, refused, cancelled, refused by the service, lost or torn."""

    async def call(way: int) -> None:
        async with governor.admit(asking(tokens=3, id=f"call-{number}")) as reservation:
            match way:
                case 0:
                    reservation.settle(FULL)
                case 1:
                    reservation.void()
                case 2:
                    raise ServiceError("anthropic", "no", retryable=True, billed=Billed.NO, status=429)
                case 3:
                    raise LookupError
                case _:
                    await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        try:
            if number % 5 == 4:
                scope.cancel()
            await call(number % 5)
        except (Refused, ServiceError, LookupError):
            return


async def test_no_hold_outlives_its_call_however_it_ended__litellm_27639() -> None:
    stage = Stage(daily(100))
    async with stage.governor as governor:
        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(end_in_every_way, governor, number)
        stage.clock.pass_ms(HOUR_MS // 2)
        [balance] = await governor.balances()
        assert balance.held == 0
        left = (balance.limit - balance.settled) // CENT
        assert await tries(governor, 200) == left, "all that was not spent can be spent, at once and without a pause"


async def test_what_is_enforced_is_what_is_recorded__litellm_40050() -> None:
    stage = Stage(daily(50))
    async with stage.governor as governor:
        for used in range(1, 9):
            await tries(governor, 1, {"input_tokens": used}, tokens=10)
        [spend] = await governor.spent()
        assert await settled(governor) == spend.cost == 36 * CENT
        assert await tries(governor, 100) == 14


async def test_programs_that_start_add_nothing_to_what_was_spent__litellm_28247(tmp_path: Path) -> None:
    clock = FakeClock(START)
    async with programs(tmp_path / "aegis.db", daily(10), count=1, clock=clock) as (governor,):
        assert await tries(governor, 4) == 4
    async with programs(tmp_path / "aegis.db", daily(10), count=6, clock=clock) as pods:
        assert {await settled(pod) for pod in pods} == {4 * CENT}
        assert await burst(*pods, calls=30, clock=clock) == 6


class LossyLedger(MemoryLedger):
    """Applies every report, and loses the answer to every third: a store that timed out."""

    reports = 0

    async def sync(self, request: Sync) -> Synced:
        answer = await super().sync(request)
        self.reports += 1
        if self.reports % 3 == 0:
            raise StoreError("timed out")
        return answer


async def test_answers_of_the_store_that_are_lost_make_nothing_drift__litellm_30460() -> None:
    clock = FakeClock(START)
    stage = Stage(daily(100), ledger=LossyLedger(clock), clock=clock)
    sent = 0
    async with stage.governor as governor:
        for number in range(60):
            try:
                async with governor.admit(asking(tokens=2, id=f"call-{number}")) as reservation:
                    sent += 1
                    reservation.settle(FULL)
            except StoreError:
                continue
            await clock.advance(1_000)
        assert 20 < sent < 60, "the store failed for some calls, and those were not sent"
        for _ in range(4):
            try:
                [balance] = await governor.balances()
            except StoreError:
                continue
        assert (balance.settled, balance.held) == (sent * CENT, 0)


# --- holds that are too large -------------------------------------------------------------------------------------


async def test_worst_cases_do_not_fill_a_budget_that_nobody_spends__litellm_38647() -> None:
    stage = Stage(daily(25))
    async with stage.governor as governor:
        for _ in range(20):
            assert await burst(governor, calls=3, tokens=8, used={}) == 3, (
                "three agents at a time, each may use 8 of 25"
            )
        assert await settled(governor) == 0


async def test_an_agents_hold_is_what_it_was_capped_to_and_falls_as_its_answer_proceeds__litellm_38647() -> None:
    stage = Stage(daily(25))
    async with stage.governor as governor, governor.admit(asking(tokens=20)) as agent:
        governor.shrink(agent, {"input_tokens": 5})
        assert await tries(governor, 30) == 20
        agent.settle({"input_tokens": 5})
    create = Method(completion())
    client = Client(chat=thing(completions=thing(create=create)))
    with aegis.sync.open_governor(budgets={"day": "0.01"}, prices=LIBRARY_PRICES) as small:
        request = {"model": "gpt", "messages": [], "max_tokens": 100_000}
        with pytest.raises(BudgetExceeded):
            aegis.govern(client, small).chat.completions.create(**request)
        aegis.govern(client, small, output_tokens_max=200).chat.completions.create(**request)


def test_a_governed_stream_holds_less_as_soon_as_its_input_is_known__litellm_38647() -> None:
    begin = {"usage": {"input_tokens": 5, "output_tokens": 1}}
    pieces = (
        thing(type="message_start", message=begin),
        thing(type="content_block_delta", delta={"text": "so"}),
        thing(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 10}),
    )
    client = Client(messages=thing(create=Method(Pieces(*pieces))))
    request = {"model": "claude", "max_tokens": 10, "messages": [{"role": "user", "content": "x" * 40_000}]}
    with aegis.sync.open_governor(budgets={"day": 1}, prices=LIBRARY_PRICES) as governor:
        stream = aegis.govern(client, governor).messages.create(**request, stream=True)
        [before] = governor.balances()
        next(stream)
        [after] = governor.balances()
        assert before.held > 40_000_000
        assert after.held == 5_000 + 100_000, "five tokens in, ten out at the most"
        list(stream)
        [settled] = governor.balances()
        assert (settled.settled, settled.held) == (5_000 + 100_000, 0)


async def test_a_hold_that_cannot_be_written_stops_the_call__litellm_33923() -> None:
    stage = Stage(daily(100))
    assert isinstance(stage.ledger, MemoryLedger)
    async with stage.governor as governor:
        assert await tries(governor, 1) == 1, "allowance for more calls is at hand"
        stage.ledger.broken = True
        with pytest.raises(StoreError):
            async with governor.admit(asking()):
                pytest.fail("sent without a record")
        stage.ledger.broken = False
        assert await settled(governor) == CENT


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> PriceBook:
    return load_prices(tmp_path_factory.mktemp("state"))


@pytest.mark.parametrize(
    ("service", "model", "step"),
    [("openai", "gpt-6-astra", 272_000), ("anthropic", "claude-sonnet-4-5", 200_000)],
)
def test_a_long_prompt_is_held_at_the_rate_of_long_prompts__litellm_40002(
    book: PriceBook, service: str, model: str, step: int
) -> None:
    price = book.price(service, model, date(2026, 11, 21))
    for tokens in (step, step + 1, 2 * step):
        used = {"input_tokens": tokens, "output_tokens": 1_000}
        assert price.worst(used) == price.cost(used), tokens
    assert price.worst({"input_tokens": step + 1}) >= 2 * price.cost({"input_tokens": step})


# --- holds that are stale -----------------------------------------------------------------------------------------


async def test_what_was_given_back_and_what_was_reset_is_there_at_once__litellm_27735() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        assert await tries(governor, 10, {}, tokens=10) == 10, "each gave all of it back"
        assert await tries(governor, 3, {"input_tokens": 10}, tokens=10) == 1
        stage.clock.pass_ms(14 * HOUR_MS)
        assert await tries(governor, 3, {"input_tokens": 10}, tokens=10) == 1, "the new day begins with its first call"


def test_a_limit_on_tokens_asks_no_caller_for_max_tokens__tensorzero_3648() -> None:
    create = Method(*[completion(prompt=10, output=10)] * 2)
    client = Client(chat=thing(completions=thing(create=create)))
    limit = metered(10_000, "tokens")
    with aegis.sync.open_governor(budgets=[limit], prices=LIBRARY_PRICES) as governor:
        aegis.govern(client, governor).chat.completions.create(model="gpt", messages=[])
        [balance] = governor.balances()
        assert (balance.settled, balance.held) == (20, 0)
    assert [request["max_completion_tokens"] for request in create.asked] == [4_096]


def priced(cents: int) -> PriceBook:
    wrong = Price(service="anthropic", model="typo", rates={"input_tokens": ((0, 1_000_000 * cents * CENT),)})
    return PriceBook(overrides={**PRICES.overrides, ("anthropic", "typo"): wrong})


async def test_a_price_with_a_slip_of_the_pen_locks_nobody_out_for_good__litellm_20615(tmp_path: Path) -> None:
    clock, ledger = FakeClock(START), MemoryLedger(FakeClock(START))

    async def passes(cents_a_token: int, limit: int) -> Sequence[int]:
        stage = Stage(daily(limit), ledger=ledger, clock=clock, prices=priced(cents_a_token))
        async with stage.governor as governor:
            return [await tries(governor, 3, models=("typo",)), await settled(governor)]

    assert await passes(1_000_000, 100) == [0, 0], "too dear to be sent: refused, and nothing of it is on record"
    assert await passes(1, 100) == [3, 3 * CENT], "the price is set right: calls pass, nothing has to be deleted"
    assert await passes(90, 100) == [1, 93 * CENT], "one call was billed a wrong price"
    assert await passes(1, 200) == [3, 96 * CENT], "the limit is raised for the day: calls pass again"


async def test_a_lowered_limit_is_lifted_again_without_touching_records__litellm_20615() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        assert await tries(governor, 8) == 8
        governor.rebudget([daily(5)])
        assert await tries(governor, 1) == 0
        governor.rebudget([daily(10)])
        assert await tries(governor, 5) == 2


async def test_a_budget_over_two_windows_frees_both_or_none__litellm_27639() -> None:
    windows = (
        Amounts(window=WindowPolicy(kind="day"), emergency=5 * CENT),
        Amounts(window=WindowPolicy(kind="month"), emergency=8 * CENT),
    )
    stage = Stage(Budget(name="both", windows=windows))
    async with stage.governor as governor:
        assert await tries(governor, 9) == 5
        stage.clock.pass_ms(14 * HOUR_MS)
        assert await tries(governor, 9) == 3, "the month is used up, and took nothing of the day for the refused"
        balances = {balance.window: balance.settled // CENT for balance in await governor.balances()}
        assert balances == {"day": 3, "month": 8}
        await quiet(stage.clock, governor)
        assert [balance.held for balance in await governor.balances()] == [0, 0]
