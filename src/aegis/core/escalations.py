"""Escalation: a chain of steps, each telling people and waiting for somebody to act before the next one follows.

Policy: the first step leaves with the incident itself; acknowledging, resolving or silencing it ends the chain; a raise
to another chain begins that one anew; a step that reaches nobody is on record and the next one follows at once. Nothing
here knows time or store: a state and a moment go in, a state comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import cast

from aegis.core.contacts import CHANNELS, Channel, Contact, last_word, reach
from aegis.core.incidents import Incident, Severity, Status
from aegis.core.matching import Condition, Labels
from aegis.core.notifications import Change
from aegis.core.rotations import Rotation
from aegis.core.standing import Escalation, Halt, Told

EVERYONE, TEAM, ON_CALL = "everyone", "team", "oncall"
STEPS_MAX, ROUNDS_MAX, CHAINS_MAX, CONTACTS_MAX = 20, 10, 100, 500
PEOPLE_MAX = 100
"""In one step: more are a mailing list, and a list is one contact."""
HEARD_MAX = PEOPLE_MAX * len(CHANNELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Whom to tell (`to`, see `Roster.named`), by which channels, and how long to wait for somebody to act before the
    next step. `bridge`: whoever is told is also shown, or put through to, the conference.
    """

    to: tuple[str, ...]
    by: tuple[Channel, ...]
    wait: timedelta
    bridge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Steps for the incidents that `when` fits; after the last one it begins again `again` times."""

    name: str
    when: Condition
    steps: tuple[Step, ...]
    again: int = 0

    def step(self, number: int) -> Step | None:
        """The step with this number, counting from 1 through all rounds; None after the last."""
        return self.steps[(number - 1) % len(self.steps)] if 1 <= number <= len(self.steps) * (1 + self.again) else None


@dataclass(frozen=True, slots=True)
class Rung:
    """What one step comes to at a moment: who is told, and a few words about each who is told otherwise or not at all."""

    told: tuple[Told, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Everybody who can be told, and the chains, the first that fits counts. `usable` are the channels that Aegis can
    send by; `bridge` is the conference.
    """

    contacts: Mapping[str, Contact] = field(default_factory=dict)
    rotations: Mapping[str, Rotation] = field(default_factory=dict)
    chains: tuple[Chain, ...] = ()
    usable: tuple[str, ...] = CHANNELS
    bridge: str = ""

    def chain_for(self, labels: Labels, now: datetime) -> Chain | None:
        """The chain for an incident with these labels, or None."""
        return next((chain for chain in self.chains if chain.when.holds(labels, now)), None)

    def chain(self, name: str) -> Chain | None:
        return next((chain for chain in self.chains if chain.name == name), None)

    def named(self, word: str, labels: Labels, now: datetime) -> tuple[str, ...]:
        """The contacts that a word of a step means: `everyone`; `primary` or `secondary` (contacts of that tier); `team`
        (those of the incident's teams); `oncall`, `oncall:NAME`, `oncall:NAME:secondary`; a role (of the incident's
        teams where somebody there has it, else of all); or a contact.
        """
        if word == EVERYONE:
            return tuple(self.contacts)
        if word in ("primary", "secondary"):
            return tuple(name for name, one in self.contacts.items() if one.tier == word)
        teams = labels.get("team", frozenset())
        if word == TEAM:
            return tuple(name for name, one in self.contacts.items() if not teams.isdisjoint(one.teams))
        if word == ON_CALL or word.startswith(f"{ON_CALL}:"):
            return self._on_call(word, now)
        if word in self.contacts:
            return (word,)
        bearers = [name for name, one in self.contacts.items() if word in one.roles]
        nearest = [name for name in bearers if not teams.isdisjoint(self.contacts[name].teams)]
        return tuple(nearest or bearers)

    def _on_call(self, word: str, now: datetime) -> tuple[str, ...]:
        _, _, rest = word.partition(":")
        name, _, which = rest.partition(":")
        rotation = self.rotations.get(name) if name else next(iter(self.rotations.values()), None)
        if rotation is None:
            return ()
        there = rotation.on_call(now)
        found = there.secondary if which == "secondary" else there.primary
        return (found,) if found in self.contacts else ()

    def rung(self, step: Step, labels: Labels, severity: Severity, now: datetime) -> Rung:
        """Who is told by a step, at this moment. A stand-in is told by the step's own channels, quiet or not: somebody
        has to be.
        """
        told: dict[Told, None] = {}
        remarks: dict[str, None] = {}
        names = dict.fromkeys(name for word in step.to for name in self.named(word, labels, now))
        for word in step.to:
            if not self.named(word, labels, now):
                remarks[f"{word}: nobody"] = None
        for name in list(names)[:PEOPLE_MAX]:
            found = reach(self.contacts[name], step.by, severity, now, usable=self.usable)
            told |= dict.fromkeys(Told(name, channel) for channel in found.channels)
            stand_in = self.contacts.get(found.stand_in)
            if found.why:
                remarks[f"{name}: {found.why}{f', {found.stand_in} instead' if stand_in else ''}"] = None
            if stand_in is not None:
                loud = replace(stand_in, quiet=())
                for channel in reach(loud, step.by, severity, now, usable=self.usable).channels:
                    told[Told(stand_in.name, channel)] = None
        return Rung(tuple(told), tuple(remarks))


def in_words(told: Sequence[Told]) -> str:
    """`anna by email and sms, ben by phone`, or `nobody`."""
    channels: dict[str, list[str]] = {}
    for one in told:
        channels.setdefault(one.contact, []).append(one.channel)
    return ", ".join(f"{name} by {' and '.join(by)}" for name, by in channels.items()) or "nobody"


# --- how an escalation moves -------------------------------------------------------------------------------------


def fired(
    roster: Roster, chain: Chain, number: int, incident: Incident, labels: Labels, now: datetime
) -> tuple[Escalation, Rung]:
    """The state after the step with this number, fired at the incident's version as it stands. There must be such a step."""
    step = chain.step(number)
    assert step is not None, "a step is fired only when there is one"
    rung = roster.rung(step, labels, incident.severity, now)
    last = chain.step(number + 1) is None
    before = incident.escalation.heard if incident.escalation else ()
    state = Escalation(
        chain=chain.name,
        step=number,
        version=incident.version,
        fired_at=now,
        told=rung.told,
        bridge=step.bridge and bool(roster.bridge),
        next_at=None if last else now + (step.wait if rung.told else timedelta(0)),
        halted="done" if last else "",
        heard=tuple(dict.fromkeys([*before, *rung.told]))[:HEARD_MAX],
    )
    return state, rung


def begins(roster: Roster, incident: Incident, change: Change, labels: Labels, now: datetime) -> Chain | None:
    """The chain that begins with a change which people are told of, or None: when the incident is new, open again or
    free again after a silence, or when a raise leads to another chain than the one that runs.
    """
    if incident.status is not Status.OPEN:
        return None
    chain = roster.chain_for(labels, now)
    before = incident.escalation
    if chain is None:
        return None
    if before is None or change in ("opened", "reopened") or before.halted == "held":
        return chain
    return chain if change == "raised" and before.chain != chain.name else None


def halted(incident: Incident, why: Halt) -> Incident:
    """The incident with no further step; the same object when none was to come."""
    state = incident.escalation
    if state is None or not state.running:
        return incident
    return replace(incident, escalation=replace(state, halted=why, next_at=None))


def ended(roster: Roster, incident: Incident, now: datetime) -> Incident:
    """The incident after somebody has acted, with who hears of it: everybody who was told, by the channels that told
    them, within their quiet hours. It rings once: who was told by a text that somebody has it is not woken when it is over.
    """
    state = incident.escalation
    if state is None or not state.heard:
        return incident
    heard: dict[str, list[Channel]] = {}
    for one in state.heard:
        heard.setdefault(one.contact, []).append(cast("Channel", one.channel))
    told = [
        Told(name, channel)
        for name, channels in heard.items()
        if (contact := roster.contacts.get(name)) is not None
        for channel in last_word(contact, channels, incident.severity, now, usable=roster.usable, rings=not state.ended)
    ]
    return replace(incident, escalation=replace(state, ended=incident.version, ending=tuple(told)))


@dataclass(frozen=True, slots=True)
class Planned:
    """One step of a simulated escalation."""

    at: datetime
    number: int
    step: Step
    rung: Rung


def simulate(roster: Roster, chain: Chain, labels: Labels, severity: Severity, now: datetime) -> Sequence[Planned]:
    """Every step of a chain as it would be fired if nobody acted."""
    planned: list[Planned] = []
    number = 1
    while (step := chain.step(number)) is not None:
        rung = roster.rung(step, labels, severity, now)
        planned.append(Planned(now, number, step, rung))
        now += step.wait if rung.told else timedelta(0)
        number += 1
    return planned
