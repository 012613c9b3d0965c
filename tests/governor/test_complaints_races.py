"""What users of other systems report of races and bypasses, each as a claim about this one. The number behind a name
is the report: a system with that complaint fails the test.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.governor.complaints import FULL, burst, metered, programs, quiet, settled, tries
from tests.governor.fakes import CENT, PRICES, START, Stage, asking, daily
from tests.library.stage import PRICES as LIBRARY_PRICES
from tests.library.stage import Client, Method, completion, thing

import aegis
import aegis.sync
from aegis.core.buckets import Rate
from aegis.core.budgets import BudgetBook
from aegis.core.calls import Priority
from aegis.core.errors import BudgetExceeded, RateLimited, Refused, Stopped, UnknownPrice
from aegis.core.prices import Listed, Pattern, Price, PriceBook, free
from aegis.governor.policies import ServicePolicy
from aegis.testing import FakeClock

pytestmark = pytest.mark.anyio
MINUTE_MS = 60_000

GATEWAY = {
    "litellm#11083": "whose call it is comes from a header: only a gateway reads headers",
    "bifrost#2873": "paths that are passed through: only a gateway has paths (a client's methods are claimed below)",
    "litellm#36008": "the answer is drained to its end after its reader left: only a gateway has such a reader",
}
"""Reports that make sense at the gateway only, with the reason; they are claimed with it."""


# --- checked, then added: turns that run at the same time ---------------------------------------------------------


async def test_parallel_turns_of_one_session_cannot_all_pass__litellm_34732() -> None:
    stage = Stage(daily(10, name="session", scope={"session": "*"}))
    async with stage.governor as governor:
        assert await burst(governor, calls=100, scope={"session": "s-1"}) == 10
        assert await settled(governor, "session") == 10 * CENT


async def test_first_requests_of_an_unknown_user_meet_the_default_budget_all_together__litellm_40095(
    tmp_path: Path,
) -> None:
    clock, default = FakeClock(START), daily(3, name="default", scope={"user": "*"})
    async with programs(tmp_path / "aegis.db", default, clock=clock) as (one, other):
        assert await burst(one, other, calls=40, clock=clock, scope={"user": "nobody-knows-me"}) == 3
        await quiet(clock, one, other)
        assert await settled(one, "default") == 3 * CENT


async def test_spend_never_passes_the_budget_of_a_key_or_of_its_user__litellm_26672() -> None:
    key, user = daily(7, name="key", scope={"key": "*"}), daily(11, name="user", scope={"user": "*"})
    stage = Stage(key, user)
    async with stage.governor as governor:
        passed = [await burst(governor, calls=50, scope={"key": k, "user": "ann"}) for k in ("red", "blue")]
        assert passed == [7, 4], "the second key has room, the user has not"
        assert await settled(governor, "user") == 11 * CENT


# --- a limit that exists and is never asked -----------------------------------------------------------------------


def test_every_entrance_of_the_library_asks_the_budget__litellm_27381() -> None:
    create = Method(completion(), completion())
    client = Client(chat=thing(completions=thing(create=create)))
    ran: list[str] = []
    with aegis.sync.open_governor(budgets={"day": 0}, prices=LIBRARY_PRICES) as governor:
        block = aegis.governed(governor=governor, service="reports", worst={"pages": 1})
        function: Callable[[], None] = block(lambda: ran.append("function"))
        call = aegis.Call(id="c", service="reports", operation="print", worst={"pages": 1})
        with pytest.raises(BudgetExceeded):
            function()
        with pytest.raises(BudgetExceeded), block:
            ran.append("block")
        with pytest.raises(BudgetExceeded), governor.admit(call):
            ran.append("call")
        with pytest.raises(BudgetExceeded):
            aegis.govern(client, governor).chat.completions.create(model="gpt", messages=[])
    assert (ran, create.asked) == ([], [])


# --- one model under several names --------------------------------------------------------------------------------

OPUS = Listed(
    service="anthropic",
    name="claude-opus",
    patterns=((Pattern("starts", "claude-opus"),), (Pattern("equals", "vertex_ai/claude-opus@default"),)),
    prices=(Price(service="anthropic", model="claude-opus", rates={"input_tokens": ((0, 1_000_000 * CENT),)}),),
)
BOOK = PriceBook(listed=[OPUS], overrides=PRICES.overrides)
NAMES = ("claude-opus", "claude-opus-20260901", "CLAUDE-OPUS", "vertex_ai/claude-opus@default")


@pytest.mark.parametrize("budgeted", ["*", *NAMES])
async def test_a_model_is_one_model_under_all_of_its_names__litellm_25549(budgeted: str) -> None:
    stage = Stage(daily(8, name="opus", scope={"model": budgeted}), prices=BOOK)
    async with stage.governor as governor:
        passed = [await tries(governor, 3, models=(name,)) for name in NAMES]
        assert passed == [3, 3, 2, 0], "no spelling has a budget of its own"
        assert await settled(governor, "opus") == 8 * CENT


@pytest.mark.parametrize("stopped", NAMES)
async def test_a_stopped_model_is_stopped_under_all_of_its_names__litellm_25549(stopped: str) -> None:
    stage = Stage(daily(100), prices=BOOK)
    async with stage.governor as governor:
        await governor.stop({"model": stopped}, "too dear")
        for name in NAMES:
            with pytest.raises(Stopped):
                async with governor.admit(asking(models=(name,))):
                    pass
        async with governor.admit(asking(models=(NAMES[1], "cheap"))) as reservation:
            assert reservation.model == "cheap", "the next candidate goes on, the stopped one does not"
            reservation.settle(FULL)


# --- each process counts for itself -------------------------------------------------------------------------------


async def test_replicas_share_one_budget_of_a_model__litellm_33325_39390(tmp_path: Path) -> None:
    clock = FakeClock(START)
    async with programs(tmp_path / "aegis.db", daily(9, scope={"model": "dear"}), count=3, clock=clock) as pods:
        assert await burst(*pods, calls=60, clock=clock) == 9
        await quiet(clock, *pods)
        assert {await settled(pod) for pod in pods} == {9 * CENT}


async def test_what_another_process_spent_counts_here_without_any_setting__litellm_30661(tmp_path: Path) -> None:
    for passes in (6, 0):
        async with programs(tmp_path / "aegis.db", daily(6), count=1) as (governor,):
            assert await tries(governor, 20) == passes


async def test_spend_of_a_replica_counts_at_once_and_not_with_the_next_synchronisation__litellm_6288(
    tmp_path: Path,
) -> None:
    clock = FakeClock(START)
    async with programs(tmp_path / "aegis.db", daily(10), clock=clock) as (one, other):
        assert await burst(one, calls=9, clock=clock) == 9
        assert await burst(other, calls=9, clock=clock) == 1


async def test_tokens_a_minute_are_counted_over_all_replicas__litellm_40291(tmp_path: Path) -> None:
    clock, rate = FakeClock(START), metered(1_000, "tokens", span_ms=MINUTE_MS)
    async with programs(tmp_path / "aegis.db", rate, count=3, clock=clock) as pods:
        more: dict[str, Any] = {"clock": clock, "tokens": 100, "used": {"input_tokens": 100}}
        assert await burst(*pods, calls=60, **more) == 10
        for _ in range(8):
            await clock.advance(10_000)
            for pod in pods:
                await pod.tick()
        assert await burst(*pods, calls=60, **more) == 10, "a minute later there is a minute's worth again, not more"


# --- whoever is somebody else -------------------------------------------------------------------------------------


@given(
    scope=st.dictionaries(
        st.sampled_from(("key", "team", "user", "purpose", "source", "session", "admin", "master")),
        st.sampled_from(("", "*", "master", "admin", "root", "sk-1234", "None")),
    ),
    priority=st.sampled_from(Priority),
    model=st.sampled_from(("dear", "cheap", "nobody-knows")),
)
def test_no_key_name_or_rank_goes_round_the_budget_over_all__buttercup_550(
    scope: dict[str, str], priority: Priority, model: str
) -> None:
    call = asking(scope=scope, priority=priority, models=(model,))
    lines = BudgetBook([daily(10)]).route(call, model).lines
    assert [line.budget for line in lines] == ["everything"]


async def test_a_master_key_is_refused_where_the_budget_is_used_up__buttercup_550() -> None:
    stage = Stage(daily(5))
    async with stage.governor as governor:
        assert await tries(governor, 9, scope={"key": "master", "purpose": "admin"}, priority=Priority.CRITICAL) == 5


def test_what_a_client_can_do_beyond_the_known_calls_is_refused_not_passed_through__bifrost_2873() -> None:
    upload = Method(thing(id="file-1"))
    client = Client(chat=thing(), files=thing(create=upload), post=upload)
    with aegis.sync.open_governor(budgets={"day": 0}, prices=LIBRARY_PRICES) as governor:
        governed = aegis.govern(client, governor)
        for method in (governed.files.create, governed.post):
            with pytest.raises(UnknownPrice):
                method(body={"model": "gpt"})
    assert upload.asked == []


# --- counted by the wrong measure ---------------------------------------------------------------------------------


async def test_a_quota_of_tokens_counts_tokens_and_not_requests__wso2_2932() -> None:
    stage = Stage(metered(300, "tokens"))
    async with stage.governor as governor:
        used = {"input_tokens": 90, "output_tokens": 60}
        worst = {"input_tokens": 100, "output_tokens": 100}
        assert await tries(governor, 9, used, worst=worst) == 1, "150 are left, and the next may take 200"
        assert await settled(governor, "tokens") == 150


async def test_a_rate_limits__helicone_2217() -> None:
    stage = Stage(daily(100), services={"anthropic": ServicePolicy(rates=(Rate(count=4, per_ms=MINUTE_MS),))})
    async with stage.governor as governor:
        assert await burst(governor, calls=30) == 4
        with pytest.raises(RateLimited):
            async with governor.admit(asking()):
                pass


async def test_what_remains_falls_with_every_call__envoy_ai_gateway_1754() -> None:
    rates = (Rate(count=3, per_ms=MINUTE_MS),)
    stage = Stage(daily(10), services={"anthropic": ServicePolicy(rates=rates)})
    async with stage.governor as governor:
        seen = []
        for _ in range(3):
            assert await tries(governor, 1) == 1
            [balance] = await governor.balances()
            seen.append((governor.services()[0].room, (balance.limit - balance.settled) // CENT))
        assert seen == [(2, 9), (1, 8), (0, 7)]


async def test_a_stream_counts_from_its_first_moment_and_not_after_its_last__envoy_ai_gateway_2394() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor, governor.admit(asking(tokens=8)) as stream:
        with pytest.raises(BudgetExceeded):
            async with governor.admit(asking(tokens=3)):
                pass
        stream.settle({"input_tokens": 8})


async def test_the_documented_example_limits__envoy_ai_gateway_1169() -> None:
    async with aegis.open_governor(budgets={"day": "0.02"}, prices=LIBRARY_PRICES) as governor:
        printed = 0

        @aegis.governed(governor=governor, service="reports", worst={"pages": 1})
        async def print_page() -> None:
            nonlocal printed
            printed += 1

        for _ in range(2):
            await print_page()
        with pytest.raises(Refused):
            await print_page()
        assert printed == 2


# --- what has no price --------------------------------------------------------------------------------------------


async def test_a_model_without_a_price_is_refused_and_counts_nothing__litellm_30715() -> None:
    stage = Stage(daily(10))
    async with stage.governor as governor:
        assert await tries(governor, 1, models=("brand-new",)) == 0
        assert await settled(governor) == 0


async def test_an_explicit_zero_is_free_also_when_nothing_is_left__litellm_27581() -> None:
    local = PriceBook(overrides={**PRICES.overrides, ("anthropic", "local"): free("anthropic", "local")})
    stage = Stage(daily(1), prices=local)
    async with stage.governor as governor:
        assert await tries(governor, 5) == 1
        assert await tries(governor, 5, models=("local",)) == 5
