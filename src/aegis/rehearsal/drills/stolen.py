"""Drill: a virtual key is used from elsewhere; it is detected, paged, revoked by a person, and its program gets a new one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from aegis.core.money import usd
from aegis.core.secret import Secret
from aegis.rehearsal.drills.door import Door
from aegis.rehearsal.drills.records import OFFICE, THIEF, model_use
from aegis.rehearsal.drills.report import Looked, Measure, Report
from aegis.rehearsal.drills.scene import Asking, Props, Scene, Told, reported, scene
from aegis.rehearsal.drills.seclusion import Watch
from aegis.rehearsal.drills.seen import Fact, milliseconds
from aegis.rehearsal.programs import SMALL

KEY, NEXT, OTHER, TEAM, LIMIT = "ci-build", "ci-build-2", "support-bot", "platform", "0.40"
SETTINGS: Final = f"""\
budgets:
  {KEY}:
    scope: {{key: {KEY}}}
    daily: {{warning: 0.30, critical: 0.36, emergency: {LIMIT}}}
actions: {{warning: [log, email], critical: [log, email, sms], emergency: [disable_keys, alert_all]}}
contacts:
  team-lead: {{title: Team Lead, email: team-lead@example.com, phone: "+1-500-555-0006", roles: [lead]}}
"""
PROPS: Final = Props(settings=SETTINGS, extra=("email", "twilio"), gateway=True)
EVERY, LASTS = timedelta(seconds=2), timedelta(minutes=7)
A_RECORD: Final = 10
"""The gateway's use is shipped as a record every twenty seconds."""
REACTS, RENEWS = timedelta(seconds=60), timedelta(minutes=2)
"""How long the person on call needs from the page to `aegis key revoke`, and from there to a new key."""
STOLEN: Final = "Write a long story about a lighthouse keeper. " * 60
TOLD: Final = Told(
    kind="stolen-key",
    title="a virtual key is stolen",
    story=(
        f"The key `{KEY}` of a build server leaks. Somebody at {THIEF} asks Claude through the gateway with it, every two "
        "seconds; the use of keys is shipped to Aegis as a record every twenty. A minute after the page the person on call "
        f"revokes the key, two minutes later the build server has a new one. If nobody acted, the key's own budget of ${LIMIT} "
        "would hold it."
    ),
    size="one stolen key, one key of another program",
)


@dataclass(slots=True)
class Course:
    """How it went: when the thief began and was first refused, when the key was revoked and when the program worked again."""

    began: datetime
    refused_at: datetime | None = None
    revoked_at: datetime | None = None
    again_at: datetime | None = None
    others: list[int] = field(default_factory=list)
    stolen: list[int] = field(default_factory=list)


async def play(asking: Asking, watch: Watch) -> Report:
    """Play it and measure."""
    async with scene(asking, watch, PROPS) as here:
        door = Door.of(here)
        key, other = await here.key(KEY, team=TEAM), await here.key(OTHER, team=TEAM)
        for _ in range(3):
            await door.knock(key.secret, address=OFFICE, prompt="Which tests failed?", model=SMALL)
            await _use(here, KEY, OFFICE, "NL", 2, 900)
            await here.pass_(timedelta(seconds=20))
        course = Course(here.clock.now())
        paid = here.bill()
        await _steal(here, door, course, key.secret, other.secret)
        stolen = here.bill() - paid
        await _renew(here, door, course)
        return await reported(
            here, TOLD, _measures(here, course, stolen), await _looked(here, course, (key.secret, other.secret))
        )


async def _use(here: Scene, key: str, address: str, country: str, requests: int, output: int) -> None:
    record = model_use(
        here.clock.now(), key=key, team=TEAM, address=address, country=country, requests=requests, output=output
    )
    await here.take(record, source="model_usage")


async def _steal(here: Scene, door: Door, course: Course, key: Secret, other: Secret) -> None:
    """The thief, until refused for good; beside them another program, and the person on call."""
    until, number = here.clock.now() + LASTS, 0
    while here.clock.now() < until and len([one for one in course.stolen if one != 200]) < 5:
        status = await door.knock(key, address=THIEF, prompt=STOLEN)
        course.stolen.append(status)
        if status != 200 and course.refused_at is None:
            course.refused_at = here.clock.now()
        if number % A_RECORD == A_RECORD - 1:
            await _use(here, KEY, THIEF, "ZZ", 140, 18_000 + here.chance.randrange(9_000))
        if number % 5 == 0:
            course.others.append(
                await door.knock(other, address=OFFICE, prompt="What does the customer want?", model=SMALL)
            )
        await _react(here, course)
        await here.pass_(EVERY)
        number += 1


async def _react(here: Scene, course: Course) -> None:
    """The person on call, who acts on a CRITICAL page and on nothing else."""
    page = _page(here)
    acts = here.asking.planted != "nobody-acts" and course.revoked_at is None
    if acts and page is not None and here.clock.now() - page.at >= REACTS:
        await here.desk().revoke(KEY)
        course.revoked_at = here.clock.now()
        here.seen.say(here.clock.now(), "person", f"aegis key revoke {KEY}")


async def _renew(here: Scene, door: Door, course: Course) -> None:
    if course.revoked_at is None:
        return
    await here.pass_(RENEWS)
    fresh = await here.key(NEXT, team=TEAM)
    here.seen.say(here.clock.now(), "person", f"aegis key create {NEXT}")
    if await door.knock(fresh.secret, address=OFFICE, prompt="Which tests failed?", model=SMALL) == 200:
        course.again_at = here.clock.now()


def _critical(here: Scene) -> Fact | None:
    return here.seen.first("raised", lambda f: f.more == "CRITICAL" and "stolen" in f.text)


def _page(here: Scene) -> Fact | None:
    """The first message about the CRITICAL incident that rings for somebody."""
    raised = _critical(here)
    return here.seen.told(raised.about, ("pagerduty", "sms", "phone"), since=raised.at) if raised else None


def _measures(here: Scene, course: Course, stolen: int) -> list[Measure]:
    opened = here.seen.first("opened", lambda f: f.at >= course.began and "model key" in f.text)
    raised, page = _critical(here), _page(here)
    return [
        Measure(
            name="time_to_notice",
            value=milliseconds(course.began, opened.at if opened else None),
            target=30_000,
            text="from the thief's first call to the incident",
            advice="Ship the use of keys more often than every twenty seconds.",
        ),
        Measure(
            name="time_to_tell",
            value=milliseconds(raised.at, page.at if page else None) if raised else None,
            target=10_000,
            text="from the incident's CRITICAL to a message that rings",
            advice="Give the person on call a second way to ring: contacts, connectors.twilio, a fallback.",
        ),
        Measure(
            name="time_to_stop",
            value=milliseconds(course.began, course.refused_at),
            target=4 * 60_000,
            text="from the thief's first call to the first refused one; a person needs one of these minutes",
            advice="Escalate faster, or give the key a smaller budget with disable_keys.",
        ),
        Measure(
            name="overspend",
            value=max(0, stolen - usd(LIMIT)),
            target=0,
            text="what the provider charges for the time of the theft above the key's budget",
            advice="Give every key a budget: aegis key create --daily.",
        ),
        Measure(
            name="false_stops",
            value=len([one for one in course.others if one != 200]),
            target=0,
            text="requests of the other program that were refused",
            advice="Revoke by name, not by team.",
        ),
        Measure(
            name="time_to_return",
            value=milliseconds(course.refused_at, course.again_at) if course.refused_at else None,
            target=5 * 60_000,
            text="from the thief's first refusal to the program's first answer with a new key",
            advice="Write down who makes keys for this program.",
        ),
    ]


async def _looked(here: Scene, course: Course, secrets: tuple[Secret, ...]) -> list[Looked]:
    refused = {one for one in course.stolen if one != 200}
    got = "".join(record.body for tally in here.world.tallies().values() for record in tally.records)
    leaked = sum(secret.reveal() in got for secret in secrets)
    raised = _critical(here)
    told = sorted(
        {f.service for f in here.seen.all("delivered", lambda f: raised is not None and f.about == raised.about)}
    )
    return [
        Looked(
            name="the key was refused at the door",
            good=refused == {401},
            text=f"status {', '.join(str(one) for one in sorted(refused)) or 'none'} after {course.stolen.count(200)} calls",
            advice="aegis key list: is it revoked?",
        ),
        Looked(
            name="it is one incident",
            good=raised is not None and len(list(here.seen.all("opened", lambda f: "model key" in f.text))) == 1,
            text="the first sign and the theft are told as one, raised to CRITICAL"
            if raised
            else "it was never CRITICAL",
        ),
        Looked(
            name="people were told on more than one way",
            good=len(set(told) & {"pagerduty", "slack", "teams", "discord", "email", "sms", "phone"}) > 1,
            text=", ".join(told) or "nobody",
            advice="Routes: aegis route explain.",
        ),
        Looked(
            name="no message and no request holds a key",
            good=not leaked,
            text=f"{leaked} of {len(secrets)} virtual keys were seen by a service",
        ),
    ]
