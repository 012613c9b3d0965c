"""Two policies beside each other, on the same record: what calls would have cost, what would have been refused, who is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aegis.app.opening import analysis_policy
from aegis.app.services import BUILT, policies, quotas
from aegis.config.settings import Config
from aegis.core.charges import EndedAttempt
from aegis.core.incidents import Incident
from aegis.core.money import format_usd
from aegis.core.prices import PriceBook
from aegis.core.wording import rfc3339
from aegis.incidents.routing import told
from aegis.rehearsal.simulation import CALLS_MAX, Outcome, Policy, recorded_calls, simulate
from aegis.stores.attempts import attempts, incidents
from aegis.stores.database import Database

INCIDENTS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One policy's result: the calls, which services would have been told how often, and how many incidents a model would
    have been asked about.
    """

    outcome: Outcome
    told: Mapping[str, int]
    asked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Both sides; `spent` is what really was spent, `left_out` how many older calls were too many to play."""

    since: datetime
    until: datetime
    calls: int
    left_out: int
    incidents: int
    spent: int
    now: Side
    then: Side


async def compare(
    database: Database, since: datetime, until: datetime, now: tuple[Config, PriceBook], then: tuple[Config, PriceBook]
) -> Compared:
    """Play the span under the configuration `now` in force and under `then`. Raises `StoreError`."""
    found = [one async for page in attempts(database, since, until) for one in page]
    played = found[-CALLS_MAX:]
    seen: list[Incident] = []
    async for page in incidents(database, since, until):
        seen += page[: INCIDENTS_MAX - len(seen)]
    return Compared(
        since=since,
        until=until,
        calls=len(played),
        left_out=len(found) - len(played),
        incidents=len(seen),
        spent=sum(one.cost for one in played),
        now=await _side(played, seen, *now),
        then=await _side(played, seen, *then),
    )


async def _side(played: Sequence[EndedAttempt], seen: Sequence[Incident], config: Config, prices: PriceBook) -> Side:
    asking = analysis_policy(config)
    waits = {severity.name: wait_ms for severity, wait_ms in asking.wait_ms.items()}
    policy = Policy(budgets=(*config.budgets, *quotas(config)), prices=prices, services=policies(config))
    outcome = await simulate(recorded_calls(played, prices, waits), policy)
    services = [name for name in BUILT if name in config.connectors]
    counted: Counter[str] = Counter()
    for one in seen:
        counted.update(told(one, services=services, now=one.opened_at, routes=config.routes, teams=config.teams))
    asked = sum(bool(asking.models.get(one.severity)) for one in seen)
    return Side(outcome=outcome, told=dict(counted), asked=asked)


def document(compared: Compared) -> dict[str, Any]:
    """The comparison as JSON values, `aegis.simulation/1`; differences are the other policy's less the present one's."""
    now, then = compared.now, compared.then
    return {
        "since": rfc3339(compared.since, whole=True),
        "until": rfc3339(compared.until, whole=True),
        "calls": compared.calls,
        "calls_left_out": compared.left_out,
        "incidents": compared.incidents,
        "recorded_usd": format_usd(compared.spent),
        "now": _values(now),
        "policy": _values(then),
        "difference": {
            "cost_usd": format_usd(then.outcome.spent - now.outcome.spent),
            "refused": then.outcome.refused.total() - now.outcome.refused.total(),
            "wait_p95_ms": then.outcome.wait(95) - now.outcome.wait(95),
            "missed_analyses": then.outcome.missed - now.outcome.missed,
            "messages": sum(then.told.values()) - sum(now.told.values()),
        },
    }


def _values(side: Side) -> dict[str, Any]:
    outcome = side.outcome
    return {
        "cost_usd": format_usd(outcome.spent),
        "cost_by_service_usd": {name: format_usd(cost) for name, cost in sorted(outcome.cost.items())},
        "made": outcome.made,
        "cached": outcome.cached,
        "refused": dict(sorted(outcome.refused.items())),
        "wait_p50_ms": outcome.wait(50),
        "wait_p95_ms": outcome.wait(95),
        "wait_max_ms": outcome.wait(100),
        "missed_analyses": outcome.missed,
        "incidents_for_a_model": side.asked,
        "told": dict(sorted(side.told.items())),
    }


def lines(compared: Compared) -> list[str]:
    """The comparison for people."""
    made = document(compared)
    now, then, rest = made["now"], made["policy"], made["difference"]
    rows = [
        ("", "now", "policy", "difference"),
        ("cost", f"${now['cost_usd']}", f"${then['cost_usd']}", f"${rest['cost_usd']}"),
        ("calls made", now["made"], then["made"], then["made"] - now["made"]),
        ("from the cache", now["cached"], then["cached"], then["cached"] - now["cached"]),
        ("refused", sum(now["refused"].values()), sum(then["refused"].values()), rest["refused"]),
        *(
            (f"  by {gate}", now["refused"].get(gate, 0), then["refused"].get(gate, 0), "")
            for gate in _gates(now, then)
        ),
        ("wait, 95 of 100 calls", f"{now['wait_p95_ms']} ms", f"{then['wait_p95_ms']} ms", f"{rest['wait_p95_ms']} ms"),
        ("analyses missed", now["missed_analyses"], then["missed_analyses"], rest["missed_analyses"]),
        ("messages to services", sum(now["told"].values()), sum(then["told"].values()), rest["messages"]),
    ]
    head = f"{compared.calls:,} calls and {compared.incidents:,} incidents from {made['since']} to {made['until']}"
    left = [f"{compared.left_out:,} older calls were too many to play"] if compared.left_out else []
    told_ = [f"  {a!s:<24}{b!s:>16}{c!s:>16}{d!s:>16}" for a, b, c, d in rows]
    return [head, *left, f"recorded: ${made['recorded_usd']}", "", *told_]


def _gates(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    return sorted(now["refused"].keys() | then["refused"].keys())
