"""The governed call: CPU and latency that the governor adds, with six budget lines, 64 callers at once.

`durable`: money, on record on disk before it is sent. `granted`: a free request counted against quotas only.
`governor_cpu_us` is without the CPU of the benchmark's own loop (`bare_cpu_us`, measured beside it). `paced`: durable
calls that take 20 ms each, so that 64 callers do not come all at once, beside the flush of the same disk. `alone`: one
caller, durable. `floor`: the bare rows in the same database, without a governor. Every run checks that
what is settled is exactly what was used. `litellm` is measured beside it in an environment of its own; `by_scopes` and
`by_rows` show the CPU of a durable call as budgets and journal grow; `by_scopes` calls ten of the scopes,
`by_scopes_all_called` every one in turn, so that ever fewer calls of a batch share a line.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench import _floor, _peer
from bench._governed import CALLERS, Plan, beside_bare, fill_journal, keyed, median_of, paced, six_lines

CALLS = 12_800
PAUSE_MS = 20
LITELLM = "litellm==1.106.2"
SCOPES = (10, 100, 1_000, 10_000)
ROWS = (1, 1_000, 100_000, 1_000_000)


def run() -> dict[str, object]:
    """Medians of the rounds."""
    durable = beside_bare(Plan(budgets=six_lines("usd"), service="anthropic", calls=CALLS))
    granted = beside_bare(Plan(budgets=six_lines("requests"), service="virustotal", calls=CALLS))
    alone = median_of(Plan(budgets=six_lines("usd"), service="anthropic", calls=CALLS // 16, callers=1))
    spread = paced(Plan(budgets=six_lines("usd"), service="anthropic", calls=CALLS // 4, pause_ms=PAUSE_MS), rounds=3)
    litellm = _peer.measured("litellm", "litellm_budgets.py", LITELLM)
    return {
        "callers": CALLERS,
        "lines": 6,
        "durable": durable,
        "granted": granted,
        "alone": alone,
        "paced": {"call_ms": PAUSE_MS, **spread},
        "floor": _floor.run(CALLERS, CALLS),
        "litellm": litellm,
        "times_less_cpu_than": {name: _ratio(litellm[name], durable) for name in ("router", "budget_manager")},
        "by_scopes": {f"{count:,}": _scopes(count, called=SCOPES[0]) for count in SCOPES},
        "by_scopes_all_called": {f"{count:,}": _scopes(count, called=count) for count in SCOPES},
        "by_rows": {
            f"{count:,}": median_of(
                Plan(budgets=six_lines("usd"), service="anthropic", calls=CALLS, prepare=fill_journal(count)), rounds=3
            )
            for count in ROWS
        },
        "goal": "durable <= 30 us and p99 <= 1 ms, granted <= 10 us, flat over scopes and rows",
    }


def _scopes(count: int, *, called: int) -> dict[str, float]:
    return median_of(Plan(budgets=keyed(count), service="anthropic", calls=CALLS, keys=called), rounds=3)


def _ratio(peer: Mapping[str, float], ours: Mapping[str, float]) -> float:
    return round(peer["cpu_us"] / ours["cpu_us"], 1)
