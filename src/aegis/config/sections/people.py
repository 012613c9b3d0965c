"""`contacts`, `rotations`, `teams`, `escalation` and `inhibitions`: who is told, in which order, and what waits for what."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from aegis.config.sections.kinds import DurationOrOff, SecretRef, Section, Words, written
from aegis.config.sections.when import WhenSection, Window
from aegis.core.contacts import CHANNELS, Channel
from aegis.core.escalations import CHAINS_MAX, EVERYONE, ON_CALL, ROUNDS_MAX, STEPS_MAX, TEAM
from aegis.core.matching import FIELDS, Matcher, parse_matcher
from aegis.core.rotations import Override
from aegis.core.schedules import check_zone

NAME = r"^[a-z][a-z0-9_-]{0,63}$"
RESERVED = frozenset({EVERYONE, TEAM, ON_CALL, "primary", "secondary"})
"""Words of a step that are no names."""
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
ROOMS = ("teams", "discord")
"""Services that reach a room and no single person: a webhook of theirs posts into one channel."""
WAYS = "email, webhook, slack, pagerduty, sms or phone"
_MEMBER = re.compile(r"[UW][A-Z0-9]{2,30}")
_MAIL = re.compile(r"[^@\s\x00-\x1f<>,;\"]{1,64}@[^@\s\x00-\x1f<>,;\"]{1,255}")


def _number(value: object) -> str:
    """A telephone number as people write it, as `+` and digits (ITU-T E.164)."""
    text = re.sub(r"[\s().-]", "", value) if isinstance(value, str) else ""
    if not _NUMBER.fullmatch(text):
        raise ValueError("must be a telephone number with its country, such as +1-555-0101")
    return text


def _bridge(value: object) -> object:
    return _number(value) if isinstance(value, str) and value.startswith("+") else value


def _mail(value: object) -> str:
    if not isinstance(value, str) or not _MAIL.fullmatch(value):
        raise ValueError("must be an e-mail address such as team-lead@example.com")
    return value


def _member(value: object) -> str:
    if not isinstance(value, str) or not _MEMBER.fullmatch(value):
        raise ValueError("must be the id of a Slack member such as U024BE7LH (in the profile: Copy member ID)")
    return value


def _ways(value: object) -> object:
    """The channels of a step, as a list; one that reaches no single person is said to."""
    ways = [value] if isinstance(value, str) else value
    rooms = [way for way in ways if way in ROOMS] if isinstance(ways, list) else []
    if rooms:
        raise ValueError(_no_person(rooms[0]))
    return ways


def _no_person(room: str) -> str:
    return f"must not have {room}, which reaches no single person: that is {WAYS}; a route tells {room}"


def _matcher(value: object) -> Matcher:
    return parse_matcher(value if isinstance(value, str) else "")


def _clock(value: object) -> int:
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", value) if isinstance(value, str) else None
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise ValueError("must be a time of day such as 09:00")
    return int(found[1]) * 60 + int(found[2])


Number = Annotated[str, BeforeValidator(_number), WithJsonSchema({"type": "string", "examples": ["+1-555-0101"]})]
Mail = Annotated[str, BeforeValidator(_mail), WithJsonSchema({"type": "string", "format": "email"})]
Member = Annotated[str, BeforeValidator(_member), WithJsonSchema({"type": "string", "pattern": f"^{_MEMBER.pattern}$"})]
Match = Annotated[
    Matcher, PlainValidator(_matcher), WithJsonSchema({"type": "string", "examples": ["host=web-*", "severity!=LOW"]})
]
Matches = Annotated[list[Match], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)]
TimeOfDay = Annotated[int, BeforeValidator(_clock), WithJsonSchema({"type": "string", "pattern": r"^\d{1,2}:\d{2}$"})]
Windows = Annotated[list[Window], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)]


class ContactSection(Section):
    """One person or desk, and how they can be told."""

    title: str = Field(default="", max_length=80)
    """How people call them: Team Lead, CTO."""
    email: Mail | None = None
    """Their address."""
    slack: Member | None = None
    """The member's id: direct messages of the bot, which needs `connectors: slack` with a token."""
    pagerduty: SecretRef | None = None
    """Reference to the integration key (Events API v2) of a PagerDuty service of theirs, which pages them alone."""
    webhook: SecretRef | None = None
    """Reference to an address of theirs that takes signed JSON, as `connectors: webhook` sends it."""
    webhook_secret: SecretRef | None = None
    """Reference to the secret (whsec_...) that it is signed with."""
    phone: Number | None = None
    """The number that is called, and texted unless sms names another."""
    sms: Number | None = None
    """The number that is texted."""
    tier: Literal["primary", "secondary"] = "primary"
    """`secondary` are told where a step says so."""
    roles: Words = written([])
    """Words that steps name them by, such as lead or manager."""
    teams: Words = written([])
    """Teams that they belong to."""
    quiet: Windows = Field(default_factory=list)
    """Windows of the week in which nothing rings: `daily 22:00-07:00 Europe/Berlin`. Mail still comes."""
    quiet_for_critical: bool = False
    """Whether not even a CRITICAL incident rings then."""
    stand_in: str = ""
    """The contact who is told instead in quiet hours."""

    @model_validator(mode="before")
    @classmethod
    def _reaches_a_person(cls, value: object) -> object:
        if isinstance(value, dict) and (rooms := [name for name in ROOMS if name in value]):
            raise PydanticCustomError("choice", "{problem}", {"problem": _no_person(rooms[0])})
        if isinstance(value, dict) and ("webhook" in value) is not ("webhook_secret" in value):
            problem = "must have webhook and webhook_secret, or neither"
            raise PydanticCustomError("choice", "{problem}", {"problem": problem})
        return value


class OverrideSection(Section):
    """Somebody stands in."""

    contact: str
    """Who stands in."""
    since: datetime
    """When it begins, with its offset: 2026-12-24T09:00:00+01:00."""
    until: datetime
    """When it ends, with its offset."""

    @field_validator("since", "until")
    @classmethod
    def _offset_is_known(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("must say its offset, such as 2026-12-24T09:00:00+01:00")
        return value

    def override(self) -> Override:
        return Override(contact=self.contact, starts_at=self.since, ends_at=self.until)


class RotationSection(Section):
    """Contacts who are on call in turn."""

    contacts: Words = Field(min_length=1, max_length=100)
    """In order; the first from `begins` on, the next one is the secondary."""
    begins: date
    """A weekly rotation hands over on the weekday of this day."""
    every: Literal["day", "week"] = "week"
    """How long each contact's turn is."""
    at: TimeOfDay = written("09:00")
    """The time of day at which it is handed over."""
    zone: str = "UTC"
    """The zone of that time."""
    overrides: list[OverrideSection] = Field(default_factory=list, max_length=200)

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        return check_zone(value)


class StepSection(Section):
    """Whom to tell, by which channels, and how long to wait for somebody to act."""

    to: Words = Field(min_length=1)
    """Contacts, roles, `primary`, `secondary`, `everyone`, `team`, `oncall`, `oncall:NAME`, `oncall:NAME:secondary`."""
    by: Annotated[list[Channel], BeforeValidator(_ways)] = Field(min_length=1, max_length=len(CHANNELS))
    """Channels: email, webhook, slack, pagerduty, sms, phone."""
    wait: DurationOrOff = written("15m")
    """When nobody has acknowledged by then, the next step follows; `off`: it follows at once."""
    bridge: bool = False
    """Whether whoever is told is put through to the conference."""


class ChainSection(Section):
    """Steps for incidents of a kind."""

    name: str = Field(pattern=NAME)
    """What the chain is called."""
    when: WhenSection = Field(default_factory=WhenSection)
    steps: list[StepSection] = Field(min_length=1, max_length=STEPS_MAX)
    again: int = Field(default=0, ge=0, le=ROUNDS_MAX)
    """How many times the chain begins again after its last step."""


class EscalationSection(Section):
    """Who is told next when nobody acts. Without chains of their own those with contacts have the shipped ones."""

    bridge: Annotated[str, BeforeValidator(_bridge)] = Field(default="", max_length=200)
    """The conference: a number (+1-555-0199), an address, or one word as its name. Calls are put through to a number
    or a name; an address is shown."""
    chains: list[ChainSection] = Field(default_factory=list, max_length=CHAINS_MAX)
    """The first that fits an incident counts."""

    @field_validator("chains")
    @classmethod
    def _names_are_different(cls, value: list[ChainSection]) -> list[ChainSection]:
        names = [chain.name for chain in value]
        if len(set(names)) < len(names):
            raise ValueError("must have names of their own: two chains are called the same")
        return value


class InhibitionSection(Section):
    """While an open incident fits `source`, those that fit `target` wait."""

    name: str = Field(pattern=NAME)
    """What it is called."""
    source: Matches = Field(min_length=1)
    """Matchers of the incident that others wait for."""
    target: Matches = Field(min_length=1)
    """Matchers of those that wait."""
    equal: Words = written([])
    """Fields in which both must have a value in common: host, user, ip, ..."""

    @field_validator("equal")
    @classmethod
    def _fields_are_known(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in FIELDS:
                raise ValueError(f"has {name}; the fields are {', '.join(FIELDS)}")
        return value
