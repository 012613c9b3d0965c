"""What is done once when a budget crosses a level: one function per action, and the two tables that name them.

Policy: whoever has to know is told before anything is slowed or stopped; an action that cannot be done says why, and
the others are done all the same. Doing an action again changes nothing, so a crash in the middle is simply repeated.
To add one: a function, and its name in `TELLING` or `ACTING`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeAlias

from aegis.core.budgets import Budget, Level

REDUCED_PERCENT: Final = 50
THROTTLED_PERCENT: Final = 10
"""The steps by which the first specification gives capacity back: 10 %, 50 %, then all of it."""

CHANNELS: Final[Mapping[str, str]] = {
    "email": "email",
    "sms": "sms",
    "phone": "phone",
    "slack": "slack",
    "teams": "teams",
    "discord": "discord",
    "pagerduty": "pagerduty",
    "jira": "jira",
    "datadog": "datadog",
    "splunk": "splunk",
    "sentry": "sentry",
    "webhook": "webhook",
    "apprise": "apprise",
}
"""Which service carries the message of each channel."""
WHERE: Final[Mapping[str, str]] = {"sms": "sms_to", "phone": "call_to"}
"""What says who is told over Twilio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A crossed level. `scope` is what the budget covers, every `*` filled in; None when nobody can say: the budget
    is no longer configured. `observe` says that the budget refuses nothing; `about` is the crossing in words.
    """

    level: Level
    about: str
    scope: Mapping[str, str] | None
    observe: bool = False

    @property
    def hindrance(self) -> str:
        """Why nothing may be slowed or stopped for this budget, or nothing."""
        if self.scope is None:
            return "the budget is no longer configured"
        return "the budget only observes" if self.observe else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one action, in a few words: what was done, or why it was not."""

    action: str
    done: bool
    text: str


class Hands(Protocol):
    """What actions are done with."""

    def log(self, alarm: Alarm) -> None: ...

    def channels(self) -> Sequence[str]:
        """The services that carry messages, of those that are configured."""

    def rated(self, scope: Mapping[str, str]) -> Sequence[str]:
        """The services that a scope covers and that have a rate."""

    async def slow(self, services: Sequence[str], percent: int) -> None:
        """Scale the rates of services, in every process, until the budget's window resets. Raises `StoreError`."""

    async def stop(self, scope: Mapping[str, str], reason: str) -> str:
        """Take no more calls of a scope until the budget's window resets or a person resumes it. Says what is so
        afterwards. Raises `StoreError`.
        """

    async def disable_keys(self, scope: Mapping[str, str], reason: str) -> str:
        """Hold our own keys of a scope, and providers' where that is pre-authorised. Says which; nothing when there are
        none. Raises `StoreError`.
        """


Action: TypeAlias = Callable[[Hands, Alarm], Awaitable[Outcome]]


async def _log(hands: Hands, alarm: Alarm) -> Outcome:
    hands.log(alarm)
    return Outcome(action="log", done=True, text="written")


async def _channel(name: str, hands: Hands, _alarm: Alarm) -> Outcome:
    service = CHANNELS[name]
    if service in hands.channels():
        return Outcome(action=name, done=True, text="told")
    place = f"{WHERE[name]} under connectors.twilio" if name in WHERE else f"{service} under connectors"
    return Outcome(action=name, done=False, text=f"no {place} is configured")


async def _alert_all(hands: Hands, _alarm: Alarm) -> Outcome:
    told = hands.channels()
    if told:
        return Outcome(action="alert_all", done=True, text=f"told {', '.join(told)}")
    return Outcome(action="alert_all", done=False, text="no channel is configured under connectors")


async def _slow(action: str, percent: int, hands: Hands, alarm: Alarm) -> Outcome:
    if alarm.hindrance:
        return Outcome(action=action, done=False, text=alarm.hindrance)
    services = hands.rated(alarm.scope or {})
    if not services:
        return Outcome(action=action, done=False, text="no service of this budget has a rate to lower")
    await hands.slow(services, percent)
    return Outcome(action=action, done=True, text=f"{', '.join(services)} at {percent} % of the configured rate")


async def _shutdown(hands: Hands, alarm: Alarm) -> Outcome:
    if alarm.hindrance:
        return Outcome(action="shutdown", done=False, text=alarm.hindrance)
    return Outcome(action="shutdown", done=True, text=await hands.stop(alarm.scope or {}, alarm.about))


async def _disable_keys(hands: Hands, alarm: Alarm) -> Outcome:
    if alarm.hindrance:
        return Outcome(action="disable_keys", done=False, text=alarm.hindrance)
    scope = alarm.scope or {}
    texts = [await hands.disable_keys(scope, alarm.about)]
    if "key" in scope:
        texts.append(await hands.stop({"key": scope["key"]}, alarm.about))
    if not any(texts):
        return Outcome(action="disable_keys", done=False, text="no key is known in the scope of this budget")
    return Outcome(action="disable_keys", done=True, text="; ".join(filter(None, texts)))


TELLING: Final[Mapping[str, Action]] = {
    "log": _log,
    **{name: partial(_channel, name) for name in CHANNELS},
    "alert_all": _alert_all,
}
"""Actions that let somebody know: done at once."""
ACTING: Final[Mapping[str, Action]] = {
    "reduce_limits": partial(_slow, "reduce_limits", REDUCED_PERCENT),
    "throttle": partial(_slow, "throttle", THROTTLED_PERCENT),
    "shutdown": _shutdown,
    "disable_keys": _disable_keys,
}
"""Actions that slow down or stop: done after the message has left."""
NAMES: Final[tuple[str, ...]] = (*TELLING, *ACTING)
"""Every action that a configuration can name."""


async def perform(names: Iterable[str], table: Mapping[str, Action], hands: Hands, alarm: Alarm) -> list[Outcome]:
    """Do the actions that the table knows, in the order in which they are named. Raises `StoreError`: then do all of
    them again.
    """
    return [await table[name](hands, alarm) for name in dict.fromkeys(names) if name in table]


def services_told(names: Iterable[str], configured: Sequence[str]) -> tuple[str, ...]:
    """The configured services that carry the message of a level with these actions."""
    if "alert_all" in (wanted := set(names)):
        return tuple(configured)
    asked = {CHANNELS[name] for name in wanted if name in CHANNELS}
    return tuple(service for service in configured if service in asked)


def scope_covered(budget: Budget, part: str) -> Mapping[str, str] | None:
    """What one part of a budget covers: its scope with every `*` filled in from the part; None when they do not fit."""
    stars = sorted(name for name, value in budget.scope.items() if value == "*")
    values = [part] if len(stars) == 1 else part.split("/") if stars else []
    if len(values) != len(stars):
        return None
    return {**budget.scope, **dict(zip(stars, values, strict=True))}


def sentence(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as one line of a timeline."""
    return "; ".join(f"{o.action}: {o.text}" if o.done else f"{o.action}: not done, {o.text}" for o in outcomes)
