"""Spend: a budget's burn-up with what is expected, who spends it, what moved; and the calls behind every sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from aegis.core.budgets import MONEY, Balance
from aegis.core.charts import bars
from aegis.core.money import format_usd, show_usd
from aegis.stores.calls import CallsWanted
from aegis.stores.spend_hours import COLUMNS
from aegis.stores.spend_sums import Sum, Sums
from aegis.web.dashboard import money
from aegis.web.dashboard.frame import Frame, picture
from aegis.web.dashboard.rows import call_row, small_usd
from aegis.web.views import amount

SPANS: Final = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "91d": timedelta(days=91),
}
PARTS: Final = {
    "service": "Service",
    "model": "Model",
    "key": "Key",
    "team": "Team",
    "severity": "Severity",
    "purpose": "Purpose",
}
ROWS: Final = 8
"""Values of one name that are shown; the rest is one row."""
MOVERS: Final = 6
CALLS: Final = 100
ATTEMPTS_MAX: Final = 100
NAMES: Final = (*PARTS, "source", "operation", "incident")


def add(routes: APIRouter, frame: Frame) -> None:
    """The pages `/spend` and `/calls`."""

    @routes.get("/spend")
    async def spend(request: Request) -> Response:
        return frame.page(request, "spend.html", **await shown(frame, request.query_params))

    @routes.get("/calls")
    async def calls(request: Request) -> Response:
        asked, now = request.query_params, frame.app.clock.now()
        span = SPANS.get(asked.get("span", ""), SPANS["24h"])
        names = {name: asked[name][:200] for name in NAMES if asked.get(name)}
        states = ("refused",) if asked.get("end") == "refused" else ("cached",) if asked.get("end") == "cached" else ()
        wanted = CallsWanted(since=now - span, until=now + timedelta(minutes=1), names=names, states=states)
        found = await frame.shown.calls(wanted, CALLS)
        return frame.page(
            request,
            "calls.html",
            calls=[call_row(line, now) for line in found.lines],
            more=found.more,
            total=small_usd(sum(line.cost for line in found.lines)),
            names=names,
            span=asked.get("span", "24h") if asked.get("span") in SPANS else "24h",
            spans=tuple(SPANS),
            end=states[0] if states else "",
        )

    @routes.get("/calls/{call_id}")
    async def call(request: Request, call_id: str) -> Response:
        """Why a call was admitted or refused: every attempt, gate by gate."""
        found = await frame.app.governor.explain(call_id)
        if not found:
            return frame.page(request, "missing.html", status=404, what=f"call {call_id[:64]}", back="/calls")
        return frame.page(
            request, "call.html", call_id=call_id, attempts=[_attempt(one) for one in found[:ATTEMPTS_MAX]]
        )


async def shown(frame: Frame, asked: Mapping[str, str]) -> Mapping[str, Any]:
    """Everything that the page says."""
    app, now = frame.app, frame.app.clock.now()
    balances = await app.governor.balances()
    span = asked.get("span", "24h") if asked.get("span") in SPANS else "24h"
    sums, before = await frame.shown.sums(SPANS[span]), await frame.shown.sums(SPANS[span], before=1)
    return {
        "budgets": [money.budget_row(line) for line in balances],
        "chosen": await _chosen(frame, balances, asked, now),
        "span": span,
        "spans": tuple(SPANS),
        "total": small_usd(sums.total.cost),
        "total_exact": format_usd(sums.total.cost),
        "calls": f"{sums.total.calls:,}",
        "parts": _parts(sums, span),
        "movers": _movers(sums, before, span),
        "dearest": [
            {
                "id": one.id,
                "title": one.title,
                "cost": small_usd(one.cost),
                "severity": one.severity.name,
                "tone": one.severity.name.lower(),
            }
            for one in await (await frame.shown.lists()).dearest(ROWS)
        ],
        "days": await _days(frame, now),
        "anomalies": await _anomalies(frame),
    }


async def _chosen(
    frame: Frame, balances: Sequence[Balance], asked: Mapping[str, str], now: datetime
) -> Mapping[str, Any] | None:
    """The budget line that is drawn: the one that is asked for, else the one nearest to its limit."""
    wanted = asked.get("budget", ""), asked.get("part", ""), asked.get("window", "")
    line = next((one for one in balances if money.line_key(one) == wanted), None) or money.tightest(balances)
    if line is None:
        return None
    budget = next(one for one in frame.app.governor.budgets if one.name == line.budget)
    made = next(
        (one for one in await frame.shown.forecasts(balances) if money.line_key(one) == money.line_key(line)), None
    )
    hours: Mapping[int, int] = {}
    if line.unit == MONEY and all(name in COLUMNS for name in budget.scope):
        found = await frame.shown.hours(budget.scope, now - timedelta(days=32))
        hours = next((by for values, by in found.items() if "/".join(values) == line.part), {})
    return {
        **money.budget_row(line),
        "chart": picture(money.burn_picture(line, budget, made, hours, now)),
        "forecast": money.forecast_words(made) if made else None,
        "rolling": line.window == "rolling",
    }


def _parts(sums: Sums, span: str) -> Sequence[Mapping[str, Any]]:
    """Spending by each name, the dearest values first, each with its share and the way to its calls."""
    parts = []
    for name, label in PARTS.items():
        found = sorted(
            ((value, one) for value, one in sums.by[name].items() if value), key=lambda item: (-item[1].cost, item[0])
        )
        rows = [_part(name, value, one, sums.total, span) for value, one in found[:ROWS]]
        rest = Sum()
        for _, one in found[ROWS:]:
            rest += one
        parts.append(
            {
                "name": label,
                "rows": rows,
                "rest": small_usd(rest.cost) if rest.calls else "",
                "others": len(found) - ROWS,
            }
        )
    return parts


def _part(name: str, value: str, one: Sum, total: Sum, span: str) -> Mapping[str, Any]:
    return {
        "value": value,
        "calls": f"{one.calls:,}",
        "cost": small_usd(one.cost),
        "share": one.cost * 100 // total.cost if total.cost else 0,
        "href": f"/calls?{urlencode({name: value, 'span': span})}",
    }


def _movers(now: Sums, before: Sums, span: str) -> Sequence[Mapping[str, Any]]:
    """What rose or fell most against the stretch before."""
    moved = []
    for name in ("key", "model", "service", "team"):
        for value in {*now.by[name], *before.by[name]} - {""}:
            here, there = now.by[name].get(value, Sum()).cost, before.by[name].get(value, Sum()).cost
            if here != there:
                moved.append((here - there, name, value, here, there))
    moved.sort(key=lambda one: (-abs(one[0]), one[1], one[2]))
    return [
        {
            "name": name,
            "value": value,
            "now": small_usd(here),
            "before": small_usd(there),
            "change": f"{'+' if change > 0 else '−'}{small_usd(abs(change))}",
            "tone": "high" if change > 0 else "good",
            "href": f"/calls?{urlencode({name: value, 'span': span})}",
        }
        for change, name, value, here, there in moved[:MOVERS]
    ]


async def _days(frame: Frame, now: datetime) -> Mapping[str, Any]:
    """What each of the last thirty days cost."""
    first = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=29)
    found = (await frame.shown.hours({}, first)).get((), {})
    sums = [0] * 30
    start_ms = int(first.timestamp() * 1_000)
    for hour, cost in found.items():
        day = (hour - start_ms) // 86_400_000
        if 0 <= day < len(sums):
            sums[day] += cost
    dearest = max(range(30), key=lambda day: sums[day])
    words = f"The last 30 days: {show_usd(sum(sums))} in all, today {show_usd(sums[-1])}"
    words += (
        f", most on {first + timedelta(days=dearest):%d %b} with {show_usd(sums[dearest])}" if sums[dearest] else ""
    )
    return {"picture": picture(bars(sums, title=words)), "words": words, "some": sums[dearest] > 0}


async def _anomalies(frame: Frame) -> Sequence[Mapping[str, str]]:
    watch = frame.app.spendwatch
    found = await watch.anomalies.newest(5) if watch else ()
    return [
        {
            "id": one.id,
            "incident": one.incident,
            "driver": one.driver.replace(":", " ", 1),
            "reason": one.alarms[-1].reason if one.alarms else "",
            "state": "over" if one.closed_at else "open",
            "tone": "soft" if one.closed_at else "high",
            "opened": f"{one.opened_at:%d %b %H:%M}",
        }
        for one in found
    ]


def _attempt(one: Any) -> Mapping[str, Any]:
    """One attempt of a call, explained."""
    return {
        "attempt": one.attempt,
        "state": one.state,
        "service": one.service,
        "model": one.model,
        "operation": one.operation,
        "scope": sorted(one.scope.items()),
        "priority": one.priority,
        "at": f"{one.at:%Y-%m-%d %H:%M:%S}",
        "worst": small_usd(one.worst),
        "cost": small_usd(one.cost),
        "usage": [(meter.replace("_", " "), f"{units:,}") for meter, units in sorted(one.usage.items())],
        "gate": one.gate,
        "message": one.message,
        "lines": [{"line": need.line, "need": amount(need.need, need.unit)} for need in one.lines],
    }
