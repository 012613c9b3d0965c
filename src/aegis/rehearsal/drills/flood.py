"""Drill: a flood of detections: repeats fold, channels get digests, a CRITICAL page still leaves at once, nothing is lost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from aegis.core.incidents import Incident, Severity
from aegis.core.notifications import DeliveryState
from aegis.rehearsal.drills.records import ATTACKER, logging_stopped, sshd, web_hit
from aegis.rehearsal.drills.report import Looked, Measure, Report
from aegis.rehearsal.drills.scene import Asking, Props, Scene, Told, reported, scene
from aegis.rehearsal.drills.seclusion import Watch
from aegis.rehearsal.drills.seen import Fact, milliseconds

DETECTIONS, DETECTIONS_FAST = 10_000, 200
SPREAD: Final = 4
"""One detection of so many is about something new; the others repeat what one scanner does."""
BATCHES, BATCHES_FAST = 60, 10
"""One batch a second; the CRITICAL event comes half way."""
QUIET: Final = timedelta(minutes=30)
"""How long the channels may need for what waits: 2,500 incidents, for channels of one message a second."""
TOLD_WITHIN_MS: Final = 5_000
GUESSED: Final = (
    36,
    "Failed password for {name} from {address} port 40022 ssh2",
    "Accepted password for deploy from {address} port 40100 ssh2",
)


def told(many: int, seconds: int) -> Told:
    return Told(
        kind="alert-flood",
        title="a flood of detections",
        story=(
            f"{many} detections within {seconds} seconds: three of four are one scanner that knocks again and again, every fourth is "
            "another cloud account whose audit log was switched off. In the middle of it a guessed password opens an account "
            "on a bastion host. Channels take one message a second, as the real ones do. Time here is the story's: waiting "
            "counts, computing does not (bench burst measures that)."
        ),
        size=f"{many} detections in {seconds} seconds, {many // SPREAD} of them incidents of their own",
    )


async def play(asking: Asking, watch: Watch) -> Report:
    """Play it and measure."""
    many, batches = (DETECTIONS_FAST, BATCHES_FAST) if asking.fast else (DETECTIONS, BATCHES)
    async with scene(asking, watch, Props()) as here:
        for batch in range(batches):
            await _batch(here, batch, many // batches)
            if batch == batches // 2:
                await _break_in(here)
            await here.pass_(timedelta(seconds=1))
        over_at = here.clock.now()
        await here.director.finish(by=over_at + QUIET)
        await here.director.calm()
        return await reported(
            here, told(many, batches), await _measures(here, batches, over_at), await _looked(here, many)
        )


async def _batch(here: Scene, batch: int, size: int) -> None:
    first, now = batch * size, here.clock.now()
    scans, trails = [], []
    for number in range(first, first + size):
        if number % SPREAD:
            scans.append(web_hit(now, address=ATTACKER, path=f"/page-{number}"))
        else:
            trails.append(logging_stopped(now, number))
    await here.take("\n".join(scans), source="access.log")
    await here.take("\n".join(trails), source="cloudtrail")


async def _break_in(here: Scene) -> None:
    """Passwords are tried until one fits: the one CRITICAL incident."""
    tries, failed, accepted = GUESSED
    address, now = "192.0.2.44", here.clock.now()
    lines = [sshd(now, failed.format(name=f"user{n % 6}", address=address)) for n in range(tries)]
    await here.take("\n".join([*lines, sshd(now, accepted.format(address=address))]), source="auth.log")


def _critical(here: Scene) -> Fact | None:
    return here.seen.first("raised", lambda f: f.more == "CRITICAL") or here.seen.first(
        "opened", lambda f: f.more == "CRITICAL"
    )


async def _measures(here: Scene, batches: int, over_at: datetime) -> list[Measure]:
    critical = _critical(here)
    began = here.began + timedelta(seconds=batches // 2)
    page = here.seen.told(critical.about, ("pagerduty",), since=critical.at) if critical else None
    last = max((f.at for f in here.seen.all("delivered")), default=over_at)
    waits = await here.app.outbox.undelivered()
    return [
        Measure(
            name="time_to_notice",
            value=milliseconds(began, critical.at) if critical else None,
            target=1_000,
            text="from the CRITICAL event in the middle of the flood to its incident",
        ),
        Measure(
            name="time_to_tell",
            value=milliseconds(began, page.at) if page else None,
            target=5_000,
            text="from the CRITICAL event to the answer of PagerDuty",
            advice="A page must not wait behind others: look at the lane (aegis outbox list).",
        ),
        Measure(name="time_to_stop", text="nothing is stopped in this drill"),
        Measure(
            name="overspend", value=await _over(here), target=0, text="what Claude charges above what the ledger holds"
        ),
        Measure(name="false_stops", text="nothing is stopped in this drill"),
        Measure(
            name="time_to_return",
            value=None if waits else max(0, milliseconds(over_at, last) or 0),
            target=10 * 60_000,
            text="from the end of the flood until nothing waits any more",
            advice="Channels are slow by their own limits: send fewer severities there (aegis route explain).",
        ),
    ]


async def _lost(here: Scene) -> int:
    counts = await here.app.outbox.counts()
    return sum(states.get(DeliveryState.DEAD, 0) for states in counts.values()) + await here.app.outbox.undelivered()


async def _serious(here: Scene) -> list[Incident]:
    return [one for one in await here.app.incidents.recent(DETECTIONS) if one.severity >= Severity.HIGH]


def _told_in_time(here: Scene, incident: Incident) -> bool:
    first = here.seen.told(incident.id)
    waited = milliseconds(incident.opened_at, first.at if first else None)
    return waited is not None and waited <= TOLD_WITHIN_MS


async def _over(here: Scene) -> int:
    spent = next((one.cost for one in await here.app.governor.spent() if one.service == "anthropic"), 0)
    return max(0, here.bill() - spent)


async def _looked(here: Scene, many: int) -> list[Looked]:
    incidents = await here.app.incidents.recent(DETECTIONS)
    made = len(list(here.seen.all("detected")))
    kept = sum(one.count for one in incidents)
    scanner = [one for one in incidents if one.entity.value == ATTACKER]
    fresh = many // SPREAD
    in_digest = len(
        list(here.seen.all("delivered", lambda f: f.service == "slack" and f.more.startswith("in a digest")))
    )
    told_by_slack = len(list(here.seen.all("delivered", lambda f: f.service == "slack")))
    lost = await _lost(here)
    slow = [one for one in await _serious(here) if not _told_in_time(here, one)]
    return [
        Looked(
            name="no detection was lost",
            good=kept == made and made >= many,
            text=f"{made} detections were made, {kept} stand in {len(incidents)} incidents",
        ),
        Looked(
            name="repeats were folded",
            good=len(scanner) == 1,
            text=f"{scanner[0].count if scanner else 0} detections of the scanner are {len(scanner)} incident",
            advice="Look at the grouping of its rule.",
        ),
        Looked(
            name="the channel got digests",
            good=bool(in_digest),
            text=f"{told_by_slack} deliveries to Slack in {here.world.received('slack').received} messages, {in_digest} of them in digests",
            advice="Digests begin at 20 waiting messages: is the lane's rule another one?",
        ),
        Looked(
            name="no delivery was lost",
            good=not lost,
            text=f"{lost} were given up or wait still",
            advice="aegis outbox list; aegis outbox replay.",
        ),
        Looked(
            name="every HIGH and CRITICAL incident reached somebody within five seconds",
            good=not slow,
            text=f"{len(slow)} did not",
            advice="More than one channel for HIGH incidents.",
        ),
        Looked(
            name="each new thing is an incident of its own",
            good=len(incidents) >= fresh + 2,
            text=f"{len(incidents)} incidents of {fresh} accounts, one scanner and one break-in",
        ),
    ]
