"""The inbox: what verified webhooks say becomes words at the desk, events for intake and budget incidents.

Policy: everything that a delivery asks for is durable before its sender is answered; a delivery that comes again changes
nothing; acts on incidents that nobody knows are counted and answered all the same. An alert's incident resolves by
itself when all alerts in it are over and nothing else is in it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import anyio
import orjson

from aegis.core.errors import BadInput
from aegis.core.inbound import Act, Alert, BudgetNotice, Received, UnsettledAlert, alert_digest, alert_record
from aegis.core.incidents import Incident, Observable, ObservableKind, Status
from aegis.core.plaintext import defang
from aegis.core.ports import Arrivals, Clock
from aegis.incidents.act_links import LinkedAct
from aegis.incidents.desk import Desk

SETTLED_MAX = 500
"""Alerts that are over, looked at in one turn."""
COMPARED = 200
"""Letters of a note by which it is known again: channels cut long ones."""
ALERT: ObservableKind = "alert"
"""The kind of observable that an alert is known by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one delivery: known already, how many acts and alerts were taken, how many were about incidents
    that nobody knows or came too late.
    """

    duplicate: bool = False
    taken: int = 0
    unknown: int = 0
    incidents: tuple[Incident, ...] = ()


class Inbox:
    """Takes what was received, one delivery at a time."""

    def __init__(
        self,
        *,
        arrivals: Arrivals,
        desk: Desk,
        intake: Callable[[bytes, str], Awaitable[object]],
        spend: Callable[[BudgetNotice], Awaitable[object]],
        clock: Clock,
    ) -> None:
        """`intake` takes records as JSON lines from a source; `spend` opens an incident about money."""
        self._arrivals, self._desk = arrivals, desk
        self._intake, self._spend, self._clock = intake, spend, clock
        self._turn = anyio.Lock()

    async def take(self, received: Received) -> Outcome:
        """Do what the delivery says. Raises `StoreError`: then it can come again."""
        ids = [f"{received.service}:{one}" for one in received.ids]
        async with self._turn:
            if await self._arrivals.known(ids):
                return Outcome(duplicate=True)
            await self._arrivals.remember(received.service, await self._ours(received), now=self._clock.now())
            told = [await self._act(act) for act in received.acts]
            await self._tell(received.alerts, received.service)
            for budget in received.budgets:
                await self._spend(budget)
            await self._arrivals.arrive(ids, now=self._clock.now())
        known = tuple(incident for incident in told if incident is not None)
        return Outcome(
            taken=len(known) + len(received.alerts) + len(received.budgets),
            unknown=len(told) - len(known),
            incidents=known,
        )

    async def follow(self, act: LinkedAct, *, by: str) -> Incident:
        """Do what a link stands for, once. Raises `BadInput` (`link_used`, and what the desk refuses), `StoreError`."""
        async with self._turn:
            if await self._arrivals.known([act.name]):
                raise BadInput("This link was used already", code="link_used")
            changed = await self._desk.say(act.incident_id, act.verb, by=by)
            await self._arrivals.arrive([act.name], now=self._clock.now())
        return changed

    # --- acts ------------------------------------------------------------------------------------------------

    async def _ours(self, received: Received) -> dict[str, str]:
        """Of the names that the sender uses, those of incidents of ours."""
        return {handle: one for handle, one in received.handles.items() if await self._desk.get(one) is not None}

    async def _act(self, act: Act) -> Incident | None:
        incident_id = act.incident_id
        if not incident_id or await self._desk.get(incident_id) is None:
            incident_id = await self._arrivals.incident_of(act.via, act.handle)
        try:
            return await self._said(act, incident_id) if incident_id else None
        except BadInput:  # an acknowledgement of what is resolved, a note without text, an incident that is gone
            return None

    async def _said(self, act: Act, incident_id: str) -> Incident:
        incident = await self._desk.get(incident_id)
        if act.verb == "note" and incident is not None and is_ours(incident, act.text):
            return incident
        if act.verb == "escalate":
            return await self._desk.escalate(incident_id, act.by, act.via, act.at, to=act.text)
        return await self._desk.say(incident_id, act.verb, by=act.by, via=act.via, at=act.at, text=act.text)

    # --- alerts ----------------------------------------------------------------------------------------------

    async def _tell(self, alerts: Sequence[Alert], service: str) -> None:
        """Keep the state of each alert; those that are news become events. One that is over and that nobody ever heard
        of becomes an event too: the log is whole.
        """
        news = await self._arrivals.tell(alerts, now=self._clock.now())
        lines = [orjson.dumps(alert_record(alert)) for alert, new in zip(alerts, news, strict=True) if new]
        if lines:
            await self._intake(b"\n".join(lines), service)

    async def over(self) -> Sequence[UnsettledAlert]:
        """Alerts that are over, whose incidents do not know. To be asked before the events that wait are worked: then
        whatever an alert became is there afterwards. Raises `StoreError`.
        """
        return await self._arrivals.unsettled(SETTLED_MAX)

    async def settle(self, alerts: Sequence[UnsettledAlert]) -> None:
        """Tell the incidents of alerts that are over; one that became no incident is over all the same. Raises
        `StoreError`.
        """
        for alert in alerts:
            for incident in self._desk.holding(Observable(ALERT, alert.named)):
                if incident.status is not Status.RESOLVED:
                    await self._over(incident, alert.named)
            await self._arrivals.settle(alert.digest)

    async def _over(self, incident: Incident, named: str) -> None:
        product = named.rpartition("[")[2].partition(" ")[0]
        digests = [_digest(fingerprint) for fingerprint in incident.repeats]
        if all(digests) and not await self._arrivals.firing(digests):
            await self._desk.resolve(incident.id, product, product, text=f"{named} is over")
        else:
            await self._desk.note(incident.id, product, product, text=f"{named} is over")


def is_ours(incident: Incident, text: str) -> bool:
    """Whether a note that comes in is one that we wrote there ourselves: it names the incident, as our messages do, or it
    says (as `core.wording.told_note` does) what is in the timeline already. Taking it would send it round for ever.
    """
    if incident.id in text:
        return True
    said = _letters(text)
    written = (_letters(entry.text)[:COMPARED] for entry in incident.timeline if entry.kind == "note")
    return text.startswith("Note by ") and any(one and one in said for one in written)


def _letters(text: str) -> str:
    """The letters and digits of a text as our channels write them."""
    return "".join(character for character in defang(text).lower() if character.isalnum())


def _digest(fingerprint: str) -> str:
    """The digest of the alert that a fingerprint is about; empty when it is about something else."""
    _, _, about = fingerprint.partition("|")
    kind, _, value = about.partition("|")
    return alert_digest(value) if kind == ALERT else ""
