"""From the sections about people to the roster, and the chains that hold when nobody wrote any.

The shipped chains are those of the product's first description: a warning mails the team lead; critical also texts the
manager; an emergency tells everybody, by telephone too; the third step opens the conference.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from aegis.config.sections.people import RESERVED, WAYS, ChainSection, ContactSection, RotationSection, StepSection
from aegis.core.contacts import Channel, Contact
from aegis.core.escalations import CONTACTS_MAX, EVERYONE, ON_CALL, Chain, Roster, Step
from aegis.core.incidents import Severity
from aegis.core.matching import Condition
from aegis.core.rotations import Rotation

CRITICAL_WAIT, EMERGENCY_WAIT = timedelta(minutes=15), timedelta(minutes=5)
"""Long enough to read a message and open a laptop; in an emergency to take a call."""
LAST_WAIT = timedelta(minutes=15)


def roster(
    contacts: Mapping[str, ContactSection],
    rotations: Mapping[str, RotationSection],
    chains: list[ChainSection],
    bridge: str,
) -> Roster:
    """Everybody who can be told, and the chains."""
    people = {name: _contact(name, section) for name, section in contacts.items()}
    written = tuple(_chain(section) for section in chains)
    return Roster(
        contacts=people,
        rotations={name: _rotation(name, section) for name, section in rotations.items()},
        chains=written or (shipped_chains(people) if people else ()),
        bridge=bridge,
    )


def wrong_names(
    contacts: Mapping[str, ContactSection], rotations: Mapping[str, RotationSection], chains: list[ChainSection]
) -> str:
    """The first name that nobody has, in a sentence; empty when all are known."""
    roles = {role for one in contacts.values() for role in one.roles}
    if taken := sorted((set(contacts) | roles) & RESERVED):
        return f"must not call anybody {taken[0]}: that word means several"
    if len(contacts) > CONTACTS_MAX:
        return f"must have at most {CONTACTS_MAX} contacts"
    for name, one in contacts.items():
        if one.stand_in and (one.stand_in not in contacts or one.stand_in == name):
            return f"must have another contact as stand_in of {name}, not {one.stand_in}"
        if not (one.email or one.slack or one.pagerduty or one.webhook or one.phone or one.sms):
            return f"must say how {name} is reached: {WAYS}"
    for name, rotation in rotations.items():
        asked = [*rotation.contacts, *(override.contact for override in rotation.overrides)]
        if missing := [one for one in asked if one not in contacts]:
            return f"must have only contacts in the rotation {name}; there is no {missing[0]}"
    known = RESERVED | set(contacts) | roles
    for chain in chains:
        for word in (word for step in chain.steps for word in step.to):
            if word not in known and not _is_rotation(word, rotations):
                return f"must name contacts, roles or rotations in the chain {chain.name}; there is no {word}"
    return ""


def _is_rotation(word: str, rotations: Mapping[str, RotationSection]) -> bool:
    head, _, rest = word.partition(":")
    name, _, which = rest.partition(":")
    return head == ON_CALL and name in rotations and which in ("", "primary", "secondary")


def _contact(name: str, section: ContactSection) -> Contact:
    addresses: dict[Channel, str] = {}
    if section.email:
        addresses["email"] = section.email
    if section.slack:
        addresses["slack"] = section.slack
    if section.pagerduty:
        addresses["pagerduty"] = str(section.pagerduty)
    if section.webhook:
        addresses["webhook"] = f"{section.webhook} {section.webhook_secret}"
    if texted := section.sms or section.phone:
        addresses["sms"] = texted
    if section.phone:
        addresses["phone"] = section.phone
    return Contact(
        name=name,
        title=section.title,
        addresses=addresses,
        tier=section.tier,
        roles=frozenset(section.roles),
        teams=frozenset(team.lower() for team in section.teams),
        quiet=tuple(section.quiet),
        quiet_for_critical=section.quiet_for_critical,
        stand_in=section.stand_in,
    )


def _rotation(name: str, section: RotationSection) -> Rotation:
    return Rotation(
        name=name,
        contacts=tuple(section.contacts),
        begins=section.begins,
        every=section.every,
        at=section.at,
        zone=section.zone,
        overrides=tuple(one.override() for one in section.overrides),
    )


def _chain(section: ChainSection) -> Chain:
    return Chain(
        name=section.name,
        when=section.when.condition(),
        steps=tuple(_step(step) for step in section.steps),
        again=section.again,
    )


def _step(section: StepSection) -> Step:
    wait = timedelta(milliseconds=section.wait)
    return Step(to=tuple(section.to), by=tuple(section.by), wait=wait, bridge=section.bridge)


def shipped_chains(contacts: Mapping[str, Contact]) -> tuple[Chain, ...]:
    """The three chains, with the roles `lead` and `manager` where somebody has them."""
    roles = {role for one in contacts.values() for role in one.roles}
    lead, manager = ("lead" if "lead" in roles else "primary"), ("manager" if "manager" in roles else "primary")
    at_once = timedelta(0)
    last = Step(to=(EVERYONE,), by=("email", "sms", "phone"), wait=LAST_WAIT, bridge=True)
    return (
        Chain(
            name="warning",
            when=Condition(severities=frozenset({Severity.MEDIUM}), kinds=frozenset({"spend"})),
            steps=(Step(to=(lead,), by=("email",), wait=at_once),),
        ),
        Chain(
            name="critical",
            when=Condition(severities=frozenset({Severity.HIGH})),
            steps=(
                Step(to=(lead,), by=("email",), wait=at_once),
                Step(to=(manager,), by=("sms",), wait=CRITICAL_WAIT),
                last,
            ),
        ),
        Chain(
            name="emergency",
            when=Condition(severities=frozenset({Severity.CRITICAL})),
            steps=(
                Step(to=(EVERYONE,), by=("email", "sms", "phone"), wait=EMERGENCY_WAIT),
                Step(to=(EVERYONE,), by=("phone",), wait=EMERGENCY_WAIT),
                last,
            ),
        ),
    )
