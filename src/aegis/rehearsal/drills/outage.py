"""Drill: the model's provider is overloaded, then cuts connections; the breaker opens, analysis goes on offline, pages leave,
and everything is as before once the provider is back.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from aegis.config.settings import Config
from aegis.core.breakers import BreakerPolicy, BreakerState
from aegis.core.incidents import AnalysisSource, Incident
from aegis.rehearsal.drills.records import logging_stopped
from aegis.rehearsal.drills.report import Looked, Measure, Report
from aegis.rehearsal.drills.scene import Asking, Props, Scene, Told, reported, scene
from aegis.rehearsal.drills.seclusion import Watch
from aegis.rehearsal.drills.seen import milliseconds

PROVIDER: Final = "anthropic"
EVERY: Final = timedelta(seconds=10)
BEFORE, OVERLOADED, CUT, AFTER = 2, 9, 9, 9
"""Incidents before the outage, while the provider says 529, while it cuts connections, and after."""
NEVER: Final = BreakerPolicy(failures=1_000_000, failure_percent=100, volume=1_000_000)
FAILED: Final = ("failed", "void")
TOLD: Final = Told(
    kind="provider-outage",
    title="the model's provider is down",
    story=(
        "Every ten seconds another cloud account loses its audit log: a HIGH incident each, which Claude is asked about. "
        "Claude answers at first, then says that it is overloaded (529) for a minute and a half, then cuts every connection for as "
        "long, then is back."
    ),
    size=f"{BEFORE + OVERLOADED + CUT + AFTER} incidents, {OVERLOADED + CUT} of them while the provider is away",
)


async def play(asking: Asking, watch: Watch) -> Report:
    """Play it and measure."""
    change = _without_breaker if asking.planted == "breaker-off" else _as_it_is
    async with scene(asking, watch, Props(change=change)) as here:
        await _incidents(here, 0, BEFORE)
        down_at = here.clock.now()
        here.down([PROVIDER])
        await _incidents(here, BEFORE, OVERLOADED)
        here.down([PROVIDER], mode="reset")
        await _incidents(here, BEFORE + OVERLOADED, CUT)
        here.up([PROVIDER])
        up_at = here.clock.now()
        await _incidents(here, BEFORE + OVERLOADED + CUT, AFTER)
        await here.pass_(timedelta(minutes=1))
        return await reported(here, TOLD, await _measures(here, down_at, up_at), await _looked(here, down_at, up_at))


def _as_it_is(config: Config) -> Config:
    return config


def _without_breaker(config: Config) -> Config:
    service = replace(config.services[PROVIDER], breaker=NEVER)
    return replace(config, services={**config.services, PROVIDER: service})


async def _incidents(here: Scene, first: int, many: int) -> None:
    for number in range(first, first + many):
        await here.take(logging_stopped(here.clock.now(), number), source="cloudtrail")
        _breaker(here)
        await here.pass_(EVERY)


def _breaker(here: Scene) -> None:
    """Put down what the breaker says now."""
    state = next(one.breaker for one in here.app.governor.services() if one.service == PROVIDER)
    here.seen.breaker(here.clock.now(), PROVIDER, state)


async def _measures(here: Scene, down_at: datetime, up_at: datetime) -> list[Measure]:
    opened = here.seen.first("breaker", lambda f: f.more == BreakerState.OPEN)
    failed = here.seen.first("called", lambda f: f.more in FAILED and f.service == PROVIDER)
    slow = [
        milliseconds(one.opened_at, told.at) if (told := here.seen.told(one.id, ("pagerduty", "slack"))) else None
        for one in await _during(here, down_at, up_at)
    ]
    return [
        Measure(
            name="time_to_notice",
            value=milliseconds(down_at, failed.at if failed else None),
            target=15_000,
            text="from the outage to the first call that is known to have failed; a call comes every ten seconds",
        ),
        Measure(
            name="time_to_tell",
            value=None if None in slow else max((one for one in slow if one is not None), default=None),
            target=5_000,
            text="from an incident to its first message to people, the slowest of those while the provider was away",
            advice="Messages must never wait for a model: look at the lanes (aegis outbox list).",
        ),
        Measure(
            name="time_to_stop",
            value=milliseconds(down_at, opened.at if opened else None),
            target=60_000,
            text="from the outage to the open breaker: five failures in a row",
            advice="Set services.anthropic.breaker: without it every incident waits for a provider that is away.",
        ),
        *await _sides(here, up_at),
    ]


async def _sides(here: Scene, up_at: datetime) -> list[Measure]:
    closed = here.seen.first("breaker", lambda f: f.more == "closed" and f.at >= up_at)
    ever = here.seen.first("breaker", lambda f: f.more == BreakerState.OPEN)
    return [
        Measure(
            name="overspend",
            value=max(0, await _over(here)),
            target=0,
            text="what the provider charges above what the ledger holds",
            advice="A price is not the provider's: aegis price list.",
        ),
        Measure(
            name="false_stops",
            value=len(list(here.seen.all("called", lambda f: f.service != PROVIDER and f.more in ("breaker", "stop")))),
            target=0,
            text="calls to other services that were refused because of this one",
            advice="A breaker covers more than its service.",
        ),
        Measure(
            name="time_to_return",
            value=milliseconds(up_at, closed.at if closed and ever else None),
            target=90_000,
            text="from the provider's return to the closed breaker: a probe a minute",
            advice="Lower services.anthropic.breaker.recovery, or look why the probe failed.",
        ),
    ]


async def _over(here: Scene) -> int:
    spent = next((one.cost for one in await here.app.governor.spent() if one.service == PROVIDER), 0)
    return here.bill(PROVIDER) - spent


async def _during(here: Scene, since: datetime, until: datetime) -> list[Incident]:
    return [
        one
        for one in await here.app.incidents.recent(1_000)
        if since <= one.opened_at < until and one.kind == "security"
    ]


async def _looked(here: Scene, down_at: datetime, up_at: datetime) -> list[Looked]:
    during = await _during(here, down_at, up_at)
    offline = [one for one in during if one.analysis and one.analysis.source is AnalysisSource.OFFLINE]
    useful = [one for one in offline if one.analysis and one.analysis.summary and one.analysis.actions]
    every = await here.app.incidents.recent(1_000)
    after = [one for one in every if one.opened_at >= up_at and one.kind == "security"]
    model = [one for one in after if one.analysis and one.analysis.source is AnalysisSource.MODEL]
    waiting = await here.app.outbox.undelivered()
    total = BEFORE + OVERLOADED + CUT + AFTER
    opened = here.seen.first("breaker", lambda f: f.more == BreakerState.OPEN)
    probes = [f for f in here.seen.all("called", lambda f: f.more in FAILED) if opened and opened.at < f.at < up_at]
    return [
        Looked(
            name="only probes reached for the provider while the breaker was open",
            good=opened is not None and len(probes) <= (up_at - opened.at) // timedelta(minutes=1) + 1,
            text=f"{len(probes)} calls" if opened else "the breaker never opened",
            advice="Set services.anthropic.breaker.",
        ),
        Looked(
            name="no incident was lost",
            good=len([one for one in every if one.kind == "security"]) == total,
            text=f"{len([one for one in every if one.kind == 'security'])} of {total} are in the store",
        ),
        Looked(
            name="each was explained all the same",
            good=len(useful) == len(during) == OVERLOADED + CUT,
            text=f"{len(useful)} of {OVERLOADED + CUT} have an offline analysis with a summary and what to do",
            advice="aegis incident show ID says why there is none.",
        ),
        Looked(
            name="the model answers again",
            good=bool(model),
            text=f"{len(model)} of {len(after)} incidents after the outage were analysed by it",
            advice="aegis breaker list.",
        ),
        Looked(name="nothing waits", good=not waiting, text=f"{waiting} deliveries wait", advice="aegis outbox list"),
    ]
