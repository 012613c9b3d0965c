"""Drill: a program runs away with its team's budget; warned at each level, refused, stopped at G1 and G2, and given back by
10, 50 and 100 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aegis.config.settings import Config
from aegis.core.calls import Priority
from aegis.core.money import usd
from aegis.core.stops import Stop
from aegis.rehearsal.drills.report import Looked, Measure, Report
from aegis.rehearsal.drills.scene import Asking, Props, Scene, Told, at_once, at_rate, reported, scene
from aegis.rehearsal.drills.seclusion import Watch
from aegis.rehearsal.drills.seen import Fact, Seen, milliseconds
from aegis.rehearsal.programs import SMALL, Program
from aegis.rehearsal.ramp import Climb, Ramp

TEAM, OTHERS, LIMIT = "importers", "support", "0.30"
LEVELS: Final = ("warning", "critical", "emergency")
BEGINS: Final = datetime.fromisoformat("2026-03-03T23:40:00+00:00")
"""Twenty minutes before the budget's next window: what its levels stopped ends with it, what a person stopped does not."""
SETTINGS: Final = f"""\
budgets:
  {TEAM}:
    scope: {{team: {TEAM}}}
    daily: {{warning: 0.15, critical: 0.24, emergency: {LIMIT}}}
contacts:
  team-lead: {{title: Team Lead, email: team-lead@example.com, phone: "+1-500-555-0006", roles: [lead]}}
  finance: {{title: Finance, email: finance@example.com, tier: secondary}}
emergency: {{calls: 5}}
"""
ACTIONS: Final = """\
actions:
  warning: [log, email]
  critical: [log, email, sms, reduce_limits]
  emergency: [shutdown, disable_keys, alert_all]
"""
"""As the first specification has them."""
UNARMED: Final = "actions: {warning: [log], critical: [log], emergency: [log]}\n"
RUNAWAY: Final = Program(key="importer", team=TEAM, prompt="Read all of this again and write it out. " * 400)
MENDED: Final = Program(key="importer", team=TEAM, prompt="Sum up: 214 rows.", model=SMALL, output_tokens_max=200)
SUPPORT: Final = Program(
    key="support-bot", team=OTHERS, prompt="What does the customer want?", model=SMALL, priority=Priority.MEDIUM
)
A_MINUTE: Final = 600
"""Calls that Claude may be asked: also half of them are more than both programs make."""
EVERY, LASTS = timedelta(seconds=2), timedelta(minutes=2)
"""The runaway asks once a second, and goes on for so long, whatever it is answered."""
TOLD: Final = Told(
    kind="budget",
    title="a program empties its budget",
    story=(
        f"A program of the team `{TEAM}` repeats one large question every second. Its team may spend ${LIMIT} a day; "
        f"another team, `{OTHERS}`, works on beside it. The levels do what the first specification sets: mail; mail, text and "
        "half the rates; stop, hold the keys and tell everybody. A person takes over with a planned stop, mends the program, "
        "and gives it back when the next day's budget is open."
    ),
    size="one runaway program, one innocent one, one budget with three levels",
)


@dataclass(slots=True)
class Others:
    """The innocent program: what it paid, and how many of its calls were refused."""

    paid: int = 0
    refused: int = 0

    async def work(self, here: Scene) -> None:
        asked = await here.ask(SUPPORT)
        self.paid += asked.cost
        self.refused += not asked.made


async def play(asking: Asking, watch: Watch) -> Report:
    """Play it and measure."""
    settings = SETTINGS + (UNARMED if asking.planted == "actions-off" else ACTIONS)
    props = Props(settings=settings, extra=("email", "twilio"), change=_paced)
    async with scene(asking, watch, props, begins=BEGINS) as here:
        key = await here.key(RUNAWAY.key, team=TEAM)
        await here.key(SUPPORT.key, team=OTHERS)
        others = Others()
        await _run_away(here, others)
        over = here.bill() - others.paid - usd(LIMIT)
        held = next(one for one in await here.app.keys.store.all() if one.id == key.key.id).held
        stop, climb = await _come_back(here)
        await others.work(here)
        measures = [
            *_noticed(here.seen),
            _stopped(here.seen),
            Measure(
                name="overspend",
                value=max(0, over),
                target=0,
                text="what the provider charges the team above its limit",
                advice="Is the budget in observe mode, or a price wrong?",
            ),
            Measure(
                name="false_stops",
                value=others.refused,
                target=0,
                text=f"calls of the team {OTHERS} that were refused",
                advice="Narrow the scope of the budget or of the stop.",
            ),
            Measure(
                name="time_to_return",
                value=milliseconds(climb.asked_at, climb.over_at),
                target=16 * 60_000,
                text="from asking for the return to 100 % of the calls",
                advice="Look at the gates that did not open: aegis recover status.",
            ),
        ]
        return await reported(here, TOLD, measures, await _looked(here, bool(held), key.key.id, stop, climb))


def _paced(config: Config) -> Config:
    return at_rate(config, A_MINUTE)


async def _run_away(here: Scene, others: Others) -> None:
    """The runaway for as long as it lasts, and the innocent program beside it."""
    until, number = here.clock.now() + LASTS, 0
    while here.clock.now() < until:
        for _ in range(2):
            await here.ask(RUNAWAY)
        if number % 5 == 0:
            await others.work(here)
        await here.pass_(EVERY)
        number += 1


async def _come_back(here: Scene) -> tuple[Stop, Climb]:
    """A person's stop by a plan, and the return when the next day's budget is open."""
    ramp = Ramp(here.app, here.clock, here.director, lambda at, text: here.seen.say(at, "stop", text))
    stop = await ramp.stop({"team": TEAM}, reason="a loop in the importer", by="ada")
    await here.pass_(BEGINS + timedelta(minutes=25) - here.clock.now())
    climb = await ramp.back(
        stop,
        lambda: here.ask(MENDED),
        by="ada",
        approver="grace",
        root_cause="a loop in the importer, mended",
        pause=at_once,
    )
    return stop, climb


def _noticed(seen: Seen) -> list[Measure]:
    """From each crossed amount to its incident, and to the first message about it; the slowest level counts."""
    noticed: list[int | None] = []
    told: list[int | None] = []
    for level in LEVELS:
        crossed, opened = _crossing(seen, level), _incident(seen, level)
        if crossed is None or opened is None:
            return [_notice(None), _tell(None)]
        heard = seen.told(opened.about)
        noticed.append(milliseconds(crossed.at, opened.at))
        told.append(milliseconds(crossed.at, heard.at if heard else None))
    return [_notice(_slowest(noticed)), _tell(_slowest(told))]


def _crossing(seen: Seen, level: str) -> Fact | None:
    return seen.first("crossed", lambda f: f.about == TEAM and f.more == level)


def _incident(seen: Seen, level: str) -> Fact | None:
    return seen.first("opened", lambda f: f.text.startswith(f"Budget {TEAM} crossed {level}"))


def _notice(value: int | None) -> Measure:
    return Measure(
        name="time_to_notice",
        value=value,
        target=1_000,
        text="from an amount that is crossed to its incident, the slowest of three levels",
        advice="Does the governor's housekeeping turn (aegis doctor)?",
    )


def _tell(value: int | None) -> Measure:
    return Measure(
        name="time_to_tell",
        value=value,
        target=10_000,
        text="from an amount that is crossed to the first message that reached people, the slowest of three levels",
        advice="Look at the lanes (aegis outbox list), give each contact a second channel, set a fallback.",
    )


def _slowest(values: list[int | None]) -> int | None:
    """The largest; None when one never happened."""
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def _stopped(seen: Seen) -> Measure:
    crossed = _crossing(seen, "emergency")
    refused = seen.first("called", lambda f: f.more == "stop" and f.at < BEGINS + LASTS)
    return Measure(
        name="time_to_stop",
        value=milliseconds(crossed.at, refused.at) if crossed and refused else None,
        target=15_000,
        text="from the emergency amount to the first call that the stop refused; the budget itself refused those before it",
        advice="Give the emergency level of the budget the actions shutdown and disable_keys.",
    )


async def _looked(here: Scene, held: bool, key_id: str, stop: Stop, climb: Climb) -> list[Looked]:
    seen, spent = here.seen, sum(one.cost for one in await here.app.governor.spent() if one.service == "anthropic")
    warned = [level for level in LEVELS if _mailed(seen, level)]
    back = next(one for one in await here.app.keys.store.all() if one.id == key_id)
    shares, returned = list(climb.tried), climb.stop.state == "returned"
    switches = [one.reason for one in here.app.governor.stopped()]
    return [
        Looked(
            name="every level was told by mail",
            good=warned == list(LEVELS),
            text=f"mail at {', '.join(warned) or 'no level'}",
            advice="Put email into the actions of each level, and look at connectors.email.",
        ),
        Looked(
            name="the key was held",
            good=held,
            text="its program was refused at the door" if held else "it was never held",
            advice="Put disable_keys into the actions of the emergency level.",
        ),
        Looked(
            name="the ledger agrees with the provider",
            good=spent == here.bill(),
            text="to the nano-dollar" if spent == here.bill() else "the two differ",
            advice="aegis price list: a price is not the provider's.",
        ),
        Looked(
            name="a person's stop outlived the budget's",
            good=stop.state == "stopped",
            text=f"G{int(stop.plan.grade)} on team {TEAM}, held over the end of the window",
        ),
        Looked(
            name="it came back by 10, 50 and 100 %",
            good=returned and shares == [10, 50, 100],
            text=", ".join(f"{climb.made[s]} of {climb.tried[s]} calls at {s} %" for s in shares) or "never",
            advice="aegis recover status names the gate that did not open.",
        ),
        Looked(
            name="nothing is stopped any more",
            good=not switches and not back.held,
            text="no switch, and the key may be used" if not switches and not back.held else "; ".join(switches),
        ),
    ]


def _mailed(seen: Seen, level: str) -> bool:
    opened = _incident(seen, level)
    return opened is not None and seen.told(opened.about, ("email",)) is not None
