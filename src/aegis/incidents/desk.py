"""The desk: what people say about incidents, from wherever they say it, goes through here.

Policy: a word is committed together with what follows from it (messages, the end of an escalation) before its caller
is answered; the rules of the life of an incident stand in `core.lifecycle`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from aegis.core.incidents import Incident, Observable, Status
from aegis.core.lifecycle import Verb, Word, change_between, heard
from aegis.core.notifications import Change
from aegis.core.ports import Clock
from aegis.incidents.outcome import Tell
from aegis.incidents.record import Record
from aegis.incidents.timeline import with_entries

HERE = "aegis"
"""The channel of words that were said to Aegis itself."""
OURSELVES = frozenset({HERE, "the budget"})
"""Who writes here without being a person: such a note is on record and interrupts nobody."""


class Desk:
    """Every method takes who said it (`by`), the channel (`via`, a service's name where it has one) and when it was
    said there (`at`; None: now), and returns the incident as it stands then.

    Each raises `BadInput` (`no_such_incident` and what `core.lifecycle.heard` names) and `StoreError`. A word that came
    late or says nothing new changes no status; compare `status_by` and `status_via` to see whose word counts.
    """

    def __init__(self, record: Record, *, clock: Clock, moved: Callable[[Incident], object] = lambda _: None) -> None:
        """`moved` hears of every incident whose status may have changed."""
        self._record, self._clock, self._moved = record, clock, moved
        self.noted: Callable[[str, str, Mapping[str, str]], Awaitable[None]] | None = None
        """Where the words of people that change an incident go on record besides: the audit log."""

    async def acknowledge(
        self, incident_id: str, by: str, via: str = HERE, at: datetime | None = None, text: str = ""
    ) -> Incident:
        """Somebody takes the incident on: nobody else is woken for it."""
        return await self.say(incident_id, "acknowledge", by=by, via=via, at=at, text=text)

    async def resolve(
        self, incident_id: str, by: str, via: str = HERE, at: datetime | None = None, text: str = ""
    ) -> Incident:
        """The incident is over: pages and issues are closed."""
        return await self.say(incident_id, "resolve", by=by, via=via, at=at, text=text)

    async def reopen(
        self, incident_id: str, by: str, via: str = HERE, at: datetime | None = None, text: str = ""
    ) -> Incident:
        """The incident is not over, or whoever had taken it on has let it go."""
        return await self.say(incident_id, "reopen", by=by, via=via, at=at, text=text)

    async def note(
        self, incident_id: str, by: str, via: str = HERE, at: datetime | None = None, *, text: str
    ) -> Incident:
        """Write into the timeline; where people talk they are told of what people wrote, but where it came from."""
        return await self.say(incident_id, "note", by=by, via=via, at=at, text=text)

    async def assign(
        self, incident_id: str, by: str, via: str = HERE, at: datetime | None = None, *, to: str
    ) -> Incident:
        """Put a name on the incident; nobody is told."""
        return await self.say(incident_id, "assign", by=by, via=via, at=at, text=to)

    async def escalate(
        self, incident_id: str, by: str, via: str = HERE, at: datetime | None = None, *, to: str = ""
    ) -> Incident:
        """The next step of the escalation follows at once, also when somebody had acknowledged; `to` names whom it went
        to elsewhere. Without a further step only a note is left.
        """
        text = f"Escalated to {to}" if to else "Escalated"
        word = Word(verb="note", by=by, via=via, at=at or self._clock.now(), text=text)

        def apply(incident: Incident, now: datetime) -> Incident:
            after, state = with_entries(heard(incident, word, now)), incident.escalation
            if state is None or incident.status is Status.RESOLVED or state.halted not in ("", "acknowledged"):
                return after
            return replace(after, escalation=replace(state, halted="", next_at=now))

        changed = await self._record.change(incident_id, apply, tell=lambda *_: Tell("noted", ("noted",)))
        self._moved(changed)
        return changed

    async def get(self, incident_id: str) -> Incident | None:
        """The incident that somebody speaks about, or None. Raises `StoreError`."""
        return await self._record.get(incident_id)

    def holding(self, entity: Observable) -> Sequence[Incident]:
        """The incidents in memory that hold an entity which may link."""
        return self._record.holding(entity)

    async def say(
        self, incident_id: str, verb: Verb, *, by: str, via: str = HERE, at: datetime | None = None, text: str = ""
    ) -> Incident:
        """Any of the above by its name."""
        word = Word(verb=verb, by=by, via=via, at=at or self._clock.now(), text=text)

        def apply(incident: Incident, now: datetime) -> Incident:
            after = heard(incident, word, now)
            return after if after is incident else with_entries(after)

        def tell(before: Incident, after: Incident) -> Tell:
            told: Change | None = None if via == HERE and by in OURSELVES else "noted"
            change = told if verb == "note" else change_between(before, after)
            return Tell(change, (change,)) if change else Tell()

        changed = await self._record.change(incident_id, apply, tell=tell)
        self._moved(changed)
        if self.noted is not None and verb != "note" and not (via == HERE and by in OURSELVES):
            facts = {"incident": incident_id, "via": via, "status": changed.status.value}
            await self.noted(by, f"incident.{verb}", facts)
        return changed
