"""Guardrails: for every service its breaker, throttle, bucket, queue, quota, latency, cache and last error; dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from aegis.core.breakers import BreakerState
from aegis.core.budgets import MONEY, Balance
from aegis.core.charts import meter
from aegis.core.errors import BadInput
from aegis.core.throttles import ThrottleStep
from aegis.governor.account import Spend
from aegis.governor.gates import ServiceStatus
from aegis.incidents.delivery import LaneState
from aegis.web import views
from aegis.web.dashboard.forms import read_form, refuse_unless, status_of
from aegis.web.dashboard.frame import Frame, after, picture, who
from aegis.web.views import amount

DEAD_SHOWN: Final = 20
SHAPES: Final = {
    BreakerState.CLOSED: ("●", "closed", "good"),
    BreakerState.HALF_OPEN: ("◐", "trying", "medium"),
    BreakerState.OPEN: ("■", "open", "critical"),
}


def add(routes: APIRouter, frame: Frame) -> None:
    """The page `/guardrails`."""

    @routes.get("/guardrails")
    async def guardrails(request: Request) -> Response:
        return await _page(frame, request)

    @routes.post("/deliveries/{delivery_id:path}/replay")
    async def replay(request: Request, delivery_id: str) -> Response:
        """Send a dead letter again."""
        try:
            await read_form(request)
            again = await frame.app.outbox.replay(delivery_id, now=frame.app.clock.now())
            refuse_unless(again, "That delivery is no dead letter any more", "not_dead")
            await frame.app.audit.note(who(request), "delivery.replayed", {"delivery": delivery_id})
            frame.app.lanes.wake()
        except BadInput as refused:
            return await _page(frame, request, status=status_of(refused), problem=str(refused))
        return after("/guardrails", "replayed")


async def _page(frame: Frame, request: Request, *, status: int = 200, problem: str = "") -> Response:
    dead = await frame.app.outbox.dead(DEAD_SHOWN)
    return frame.page(
        request,
        "guardrails.html",
        status=status,
        problem=problem,
        rows=await rows(frame),
        dead=[
            {
                "id": one.id,
                "service": one.service,
                "incident": one.incident_id,
                "change": one.notification.change,
                "error": one.last_error,
                "attempts": one.attempts,
            }
            for one in dead
        ],
    )


async def rows(frame: Frame) -> Sequence[Mapping[str, Any]]:
    """One row a service that is used, governed or has a quota."""
    app = frame.app
    states = {one.name: one for one in await app.services()}
    gates = {one.service: one for one in app.governor.services()}
    lanes = {one.service: one for one in app.lanes.states()}
    spent = {one.service: one for one in await app.governor.spent()}
    quotas = _quotas(frame, await app.governor.balances())
    names = sorted({*states, *gates, *lanes, *quotas} - {""})
    return [
        {
            "name": name,
            "state": views.service_row(states[name]) if name in states else None,
            **_health(gates.get(name), lanes.get(name)),
            **_flow(gates.get(name)),
            **_cache(spent.get(name)),
            "quota": quotas.get(name, ()),
            "latency": _latency(frame, name),
            "error": _error(frame, name, gates.get(name), lanes.get(name)),
        }
        for name in names
    ]


def _health(gate: ServiceStatus | None, lane: LaneState | None) -> Mapping[str, Any]:
    """The worse of two breakers: that of governed calls and that of the lane of deliveries."""
    states = [one.breaker for one in (gate, lane) if one is not None]
    worst = max(states, key=lambda one: tuple(SHAPES).index(one), default=BreakerState.CLOSED)
    shape, word, tone = SHAPES[worst]
    return {"breaker": word, "shape": shape, "breaker_tone": tone}


def _flow(gate: ServiceStatus | None) -> Mapping[str, Any]:
    if gate is None:
        return {"throttle": "–", "throttle_tone": "soft", "bucket": "", "queue": 0}
    step = gate.throttle
    tone = "soft" if step is ThrottleStep.NONE else "critical" if step >= ThrottleStep.HEAVY else "medium"
    bucket = ""
    if gate.rate is not None and gate.room is not None:
        used = max(0, gate.rate - gate.room)
        words = f"{gate.room} of {gate.rate} calls may start now"
        bar = meter(used, gate.rate, title=words, tone="full" if gate.room <= 0 else "calm")
        return {
            "throttle": step.name.lower(),
            "throttle_tone": tone,
            "bucket": picture(bar),
            "bucket_words": f"{gate.room} of {gate.rate} free",
            "queue": gate.waiting,
        }
    return {"throttle": step.name.lower(), "throttle_tone": tone, "bucket": bucket, "queue": gate.waiting}


def _cache(spent: Spend | None) -> Mapping[str, Any]:
    asked = spent.calls + spent.cached if spent else 0
    return {
        "calls": f"{spent.calls:,}" if spent else "",
        "cached": f"{spent.cached * 100 // asked} %" if spent and asked else "",
        "refused": spent.refused if spent else 0,
    }


def _quotas(frame: Frame, balances: Sequence[Balance]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """What is left of free tiers and quotas, by the service that they are about."""
    scopes = {budget.name: budget.scope.get("service", "") for budget in frame.app.governor.budgets}
    found: dict[str, list[Mapping[str, Any]]] = {}
    for line in balances:
        service = scopes.get(line.budget, "")
        if not service or line.unit == MONEY:
            continue
        left = max(0, line.limit - line.settled - line.held)
        words = f"{amount(left, line.unit)} left this {line.window}"
        tone = "full" if not left else "near" if left * 5 < line.limit else "calm"
        bar = meter(line.settled + line.held, line.limit, title=f"{line.budget}: {words}", tone=tone)
        found.setdefault(service, []).append({"picture": picture(bar), "words": words, "name": line.budget})
    return found


def _latency(frame: Frame, name: str) -> str:
    took = frame.latencies.percentiles(name)
    return f"{took[0]} / {took[1]} ms" if took else ""


def _error(frame: Frame, name: str, gate: ServiceStatus | None, lane: LaneState | None) -> str:
    return (gate.why if gate else "") or (lane.why if lane else "") or frame.latencies.last_error(name)
