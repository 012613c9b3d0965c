"""The same call through litellm's own budgets, in its own environment: CPU a call at 64 at once, and what a burst passes.

The answer is litellm's own `mock_response`, so neither side pays for a network. `Router` has a budget for its provider,
`BudgetManager` is used as its documentation shows: look, call, then add what it cost.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # the price table it ships, nothing is fetched

import litellm
from litellm import BudgetManager, Router

Make = Callable[[float], Callable[[], Awaitable[object]]]
"""Takes a budget in USD, gives a call that is held to it."""

CALLERS = 64
CALLS = 640
BURST = 200
FITS = 20
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}], "mock_response": "y", "max_tokens": 10}


def router(budget: float) -> Router:
    """A Router of one deployment whose provider may spend so much a day."""
    return Router(
        model_list=[{"model_name": "m", "litellm_params": {"model": "gpt-4o", "api_key": "none"}}],
        provider_budget_config={"openai": {"budget_limit": budget, "time_period": "1d"}},
        num_retries=0,
    )


def through_router(budget: float) -> Callable[[], Awaitable[object]]:
    routed = router(budget)

    async def call() -> object:
        return await routed.acompletion(model="m", **ASKED)

    return call


def through_manager(budget: float) -> Callable[[], Awaitable[object]]:
    manager = BudgetManager(project_name="bench")
    manager.create_budget(total_budget=budget, user="u", duration="daily")

    async def call() -> object:
        if manager.get_current_cost("u") >= manager.get_total_budget("u"):
            raise RuntimeError("over budget")
        answer = await litellm.acompletion(model="gpt-4o", **ASKED)
        manager.update_cost(completion_obj=answer, user="u")
        return answer

    return call


async def measure(through: Make) -> dict[str, float]:
    """CPU microseconds a call, and the latency of a call that its provider answers at once."""
    call = through(1e9)
    took: list[float] = []

    async def caller(count: int) -> None:
        for _ in range(count):
            began = time.perf_counter()
            await call()
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(caller(1) for _ in range(CALLERS)))
    took.clear()
    began = time.process_time()
    await asyncio.gather(*(caller(CALLS // CALLERS) for _ in range(CALLERS)))
    cpu = time.process_time() - began
    took.sort()
    return {
        "cpu_us": round(cpu / CALLS * 1e6, 1),
        "p50_ms": round(took[len(took) // 2] * 1e3, 3),
        "p99_ms": round(took[len(took) * 99 // 100] * 1e3, 3),
    }


async def burst(through: Make, cost: float) -> int:
    """How many of 200 calls at once pass a budget for 20."""
    call = through(cost * FITS)
    results = await asyncio.gather(*(call() for _ in range(BURST)), return_exceptions=True)
    return sum(not isinstance(result, BaseException) for result in results)


async def main() -> None:
    answer = await router(1e9).acompletion(model="m", **ASKED)
    cost = litellm.completion_cost(completion_response=answer)
    result: dict[str, Any] = {"version": version("litellm"), "callers": CALLERS, "calls": CALLS}
    for name, through in (("router", through_router), ("budget_manager", through_manager)):
        result[name] = {
            **await measure(through),
            f"passed_of_{BURST}_on_a_budget_for_{FITS}": await burst(through, cost),
        }
    print(json.dumps(result), flush=True)


asyncio.run(main())
