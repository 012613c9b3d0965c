"""Decides, before anything is told about an incident, whether it is held back and whom an escalation wakes.

Policy: asked before every message, the first, the repeated and the escalated one alike; what it decides is part of the
incident and is committed with it. It keeps nothing of its own but an index of what the store holds, made anew at a start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from aegis.core.escalations import Chain, Roster, begins, ended, fired, halted, in_words
from aegis.core.incidents import Incident, Status, TimelineEntry
from aegis.core.matching import Labels, Team, all_hold, labels_of
from aegis.core.notifications import Change
from aegis.core.silences import FIRST, Inhibition, Silence, held_longer, inhibited, louder, silenced
from aegis.core.standing import Hold
from aegis.incidents.outcome import Tell
from aegis.incidents.timeline import with_entries

SOURCES_MAX = 2_000
"""Open incidents that may hold others back, the newest: more are a flood, in which no dependency can be seen."""
REMARKS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Decided:
    """The incident as it is to be committed, and what people are told of it."""

    incident: Incident
    change: Change


class Telling:
    """The rules of one installation on the incidents of its store."""

    def __init__(
        self, *, roster: Roster | None = None, teams: Sequence[Team] = (), inhibitions: Sequence[Inhibition] = ()
    ) -> None:
        self.roster, self.teams, self.inhibitions = roster or Roster(), tuple(teams), tuple(inhibitions)
        self.silences: tuple[Silence, ...] = ()
        self._sources: dict[str, tuple[Incident, Labels]] = {}
        self._watched: dict[str, Incident] = {}

    def learn(self, silences: Iterable[Silence]) -> None:
        """The silences that are in force from now on."""
        self.silences = tuple(silences)

    def note(self, incidents: Iterable[Incident]) -> None:
        """Incidents as they now stand: what they hold back and what waits for them."""
        for incident in incidents:
            open_still = incident.status is not Status.RESOLVED
            waits = incident.held is not None or (incident.escalation is not None and incident.escalation.running)
            if open_still and waits:
                self._watched[incident.id] = incident
            else:
                self._watched.pop(incident.id, None)
            if self.inhibitions:
                self._note_source(incident, open_still=open_still)

    def begin_anew(self, incidents: Iterable[Incident]) -> None:
        """After a start: only what the store holds counts."""
        self._sources.clear()
        self._watched.clear()
        self.note(incidents)

    def forget(self, incident_id: str) -> None:
        """The store holds it no longer."""
        self._sources.pop(incident_id, None)
        self._watched.pop(incident_id, None)

    def _note_source(self, incident: Incident, *, open_still: bool) -> None:
        self._sources.pop(incident.id, None)
        labels = labels_of(incident, self.teams)
        if open_still and any(all_hold(rule.source, labels) for rule in self.inhibitions):
            self._sources[incident.id] = (incident, labels)
            if len(self._sources) > SOURCES_MAX:
                del self._sources[next(iter(self._sources))]

    # --- before something is told ----------------------------------------------------------------------------

    def decide(self, incident: Incident, change: Change, now: datetime) -> Decided:
        """What becomes of a change that people are to be told of."""
        if change in ("acknowledged", "resolved"):
            return Decided(self._ended(incident, change, now), change)
        labels = labels_of(incident, self.teams)
        hold = self._hold(incident, labels, change, now)
        if hold is not None:
            return Decided(self._held(incident, hold, now), change)
        if incident.held is not None:  # free again: people hear the loudest of what they have missed
            change = louder(incident.held.change, change)
            incident = self._freed(incident, now)
        if (chain := begins(self.roster, incident, change, labels, now)) is not None:
            incident = self._fired(incident, chain, 1, labels, now)
        return Decided(incident, change)

    def _ended(self, incident: Incident, change: Change, now: datetime) -> Incident:
        """Somebody acts: nobody else is woken. Who never heard of it does not hear that it is over either."""
        incident = halted(incident, "acknowledged" if change == "acknowledged" else "resolved")
        if incident.held is None or not incident.held.unheard:
            return ended(self.roster, replace(incident, held=None), now)
        if change == "resolved":
            text = f"Resolved while it was held back by {incident.held.why}: nobody had been told, nobody is"
            return with_entries(incident, TimelineEntry(at=now, kind="held", text=text))
        return incident

    def _hold(self, incident: Incident, labels: Labels, change: Change, now: datetime) -> Hold | None:
        found = silenced(labels, self.silences, now, change)
        if found is None and self.inhibitions:
            found = inhibited(incident, labels, self.inhibitions, self._sources.values(), now, change)
        return found

    def _held(self, incident: Incident, hold: Hold, now: datetime, *, messages: int = 1) -> Incident:
        """Held back, or longer still: said once on the timeline for each that holds it."""
        before, after = incident.held, held_longer(incident.held, hold, messages=messages)
        incident = replace(halted(incident, "held"), held=after)
        if before is not None and before.by == hold.by:
            return incident
        entry = TimelineEntry(at=now, kind="held", text=f"Held back by {hold.why}", attributes={hold.kind: hold.by})
        return with_entries(incident, entry)

    def _freed(self, incident: Incident, now: datetime) -> Incident:
        hold = incident.held
        assert hold is not None, "only what is held is freed"
        count = f"{hold.messages} message{'s' if hold.messages != 1 else ''}"
        text = f"No longer held back ({count} since {hold.since:%Y-%m-%d %H:%M} UTC): told now"
        return with_entries(replace(incident, held=None), TimelineEntry(at=now, kind="released", text=text))

    def _fired(self, incident: Incident, chain: Chain, number: int, labels: Labels, now: datetime) -> Incident:
        state, rung = fired(self.roster, chain, number, incident, labels, now)
        remarks = "; ".join(rung.remarks[:REMARKS_SHOWN])
        text = f"Escalation {chain.name}, step {number}: {in_words(rung.told)}{f' ({remarks})' if remarks else ''}"
        entry = TimelineEntry(
            at=now, kind="escalated", text=text, attributes={"chain": chain.name, "step": str(number)}
        )
        return with_entries(replace(incident, escalation=state), entry)

    def is_silenced(self, incident: Incident, now: datetime) -> bool:
        """Whether a silence holds for an incident that is not over."""
        labels = labels_of(incident, self.teams)
        return incident.status is not Status.RESOLVED and bool(silenced(labels, self.silences, now, "updated"))

    def hushed(self, incident: Incident, waiting: Sequence[Change], now: datetime, *, told: bool) -> Incident:
        """The incident after what `waiting` was to say is taken back, since a silence has begun before it left; the same
        object when none holds. `told`: somebody knows of the incident already.
        """
        hold = silenced(labels_of(incident, self.teams), self.silences, now, "updated")
        if hold is None or not waiting or incident.status is Status.RESOLVED:
            return incident
        loudest: Change = "updated"
        for change in waiting:
            loudest = louder(loudest, change)
        if told and loudest in FIRST:
            loudest = "updated"
        return self._held(incident, replace(hold, change=loudest), now, messages=len(waiting))

    # --- as time goes by -------------------------------------------------------------------------------------

    def due(self, now: datetime) -> tuple[str, ...]:
        """Incidents for which time has brought something: a step, the end of a silence, or its beginning."""
        return tuple(name for name, incident in self._watched.items() if self._is_due(incident, now))

    def _is_due(self, incident: Incident, now: datetime) -> bool:
        state = incident.escalation
        if incident.held is None and state is not None and state.next_at is not None and state.next_at <= now:
            return True
        if incident.held is None and not self.silences and not self.inhibitions:
            return False
        hold = self._hold(incident, labels_of(incident, self.teams), "updated", now)
        return (hold is None) is (incident.held is not None)

    def turned(self, incident: Incident, now: datetime) -> Incident:
        """The incident after time has brought what is due; the same object when nothing is."""
        if incident.status is Status.RESOLVED:
            return incident
        labels, state = labels_of(incident, self.teams), incident.escalation
        hold = self._hold(incident, labels, "escalated", now)
        if incident.held is not None:
            return self._freed(incident, now) if hold is None else incident
        if hold is not None:
            running = state is not None and state.running
            return self._held(incident, hold, now, messages=0) if running else incident
        if state is None or state.next_at is None or state.next_at > now:
            return incident
        # The version that this change will have: the step's messages go out with it.
        after = replace(incident, version=incident.version + 1)
        chain = self.roster.chain(state.chain)
        if chain is None or chain.step(state.step + 1) is None:  # the configuration has changed since
            return halted(incident, "done")
        return replace(self._fired(after, chain, state.step + 1, labels, now), version=incident.version)

    @staticmethod
    def tells(before: Incident, after: Incident) -> Tell:
        """What people are told of a turn."""
        if before.held is not None and after.held is None:
            return Tell(before.held.change, ("updated",))
        fired_now = after.escalation is not None and after.escalation.version > before.version
        return Tell("escalated", ("escalated",)) if fired_now else Tell()
