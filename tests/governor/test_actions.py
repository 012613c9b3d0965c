"""Claims about the actions of budget levels by themselves: their order, their words, and what they refuse to do."""

from collections.abc import Mapping, Sequence

import pytest

from aegis.core.budgets import Amounts, Budget, Level
from aegis.core.windows import WindowPolicy
from aegis.governor.actions import (
    ACTING,
    NAMES,
    TELLING,
    Alarm,
    Outcome,
    perform,
    scope_covered,
    sentence,
    services_told,
)

pytestmark = pytest.mark.anyio
WINDOWS = (Amounts(window=WindowPolicy(kind="day"), emergency=1),)


class Hands:
    """Writes down what it is asked to do."""

    def __init__(self, *, channels: Sequence[str] = (), rated: Sequence[str] = ()) -> None:
        self._channels, self._rated = channels, rated
        self.done: list[object] = []

    def log(self, alarm: Alarm) -> None:
        self.done.append(("log", alarm.about))

    def channels(self) -> Sequence[str]:
        return self._channels

    def rated(self, scope: Mapping[str, str]) -> Sequence[str]:
        return self._rated

    async def slow(self, services: Sequence[str], percent: int) -> None:
        self.done.append(("slow", tuple(services), percent))

    async def disable_keys(self, scope: Mapping[str, str], reason: str) -> str:
        return ""

    async def stop(self, scope: Mapping[str, str], reason: str) -> str:
        self.done.append(("stop", dict(scope), reason))
        return "stopped"


def alarm(scope: Mapping[str, str] | None = None, *, level: Level = "emergency", observe: bool = False) -> Alarm:
    return Alarm(level=level, about="budget keys reached it", scope={} if scope is None else scope, observe=observe)


def test_every_action_of_the_first_specification_has_a_function() -> None:
    seed = {"log", "email", "sms", "reduce_limits", "shutdown", "disable_keys", "alert_all"}

    assert seed | {"phone", "slack", "teams", "discord", "pagerduty", "throttle"} <= set(NAMES)
    assert not set(TELLING) & set(ACTING)


async def test_what_tells_is_never_in_the_table_of_what_stops() -> None:
    hands = Hands(channels=["slack"], rated=["anthropic"])

    await perform(NAMES, TELLING, hands, alarm({"key": "red"}))
    assert hands.done == [("log", "budget keys reached it")]
    await perform(NAMES, ACTING, hands, alarm({"key": "red"}))
    assert [step[0] for step in hands.done if isinstance(step, tuple)] == ["log", "slow", "slow", "stop", "stop"]


async def test_an_action_named_twice_is_done_once() -> None:
    hands = Hands()

    await perform(["log", "log"], TELLING, hands, alarm())

    assert len(hands.done) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("email", "email: not done, no email under connectors is configured"),
        ("sms", "sms: not done, no sms_to under connectors.twilio is configured"),
        ("alert_all", "alert_all: not done, no channel is configured under connectors"),
        ("reduce_limits", "reduce_limits: not done, no service of this budget has a rate to lower"),
        ("disable_keys", "disable_keys: not done, no key is known in the scope of this budget"),
    ],
)
async def test_what_cannot_be_done_says_why(name: str, said: str) -> None:
    outcomes = await perform([name], {**TELLING, **ACTING}, Hands(), alarm())

    assert sentence(outcomes) == said


@pytest.mark.parametrize("name", ACTING)
@pytest.mark.parametrize(
    ("about", "why"),
    [
        (alarm({"key": "red"}, observe=True), "the budget only observes"),
        (Alarm(level="emergency", about="it", scope=None), "the budget is no longer configured"),
    ],
    ids=["observing", "gone"],
)
async def test_nothing_is_slowed_or_stopped_for_a_budget_that_only_observes_or_is_gone(
    name: str, about: Alarm, why: str
) -> None:
    hands = Hands(rated=["anthropic"])

    assert await perform([name], ACTING, hands, about) == [Outcome(action=name, done=False, text=why)]
    assert hands.done == []


async def test_keys_are_stopped_by_name() -> None:
    hands = Hands()

    await perform(["disable_keys"], ACTING, hands, alarm({"key": "red", "service": "anthropic"}))

    assert hands.done == [("stop", {"key": "red"}, "budget keys reached it")]


def test_a_channel_is_told_by_the_service_that_carries_it() -> None:
    configured = ("pagerduty", "slack", "sms")

    assert services_told(["log", "sms", "slack", "shutdown"], configured) == ("slack", "sms")
    assert services_told(["alert_all"], configured) == configured
    assert services_told(["log"], configured) == ()


@pytest.mark.parametrize(
    ("scope", "part", "covered"),
    [
        ({}, "", {}),
        ({"key": "*"}, "red", {"key": "red"}),
        ({"key": "*"}, "team/red", {"key": "team/red"}),
        (
            {"team": "*", "key": "*", "service": "openai"},
            "red/blue",
            {"team": "blue", "key": "red", "service": "openai"},
        ),
        ({"team": "*", "key": "*"}, "a/b/c", None),
    ],
)
def test_a_part_fills_in_the_stars_of_its_scope(
    scope: dict[str, str], part: str, covered: dict[str, str] | None
) -> None:
    assert scope_covered(Budget(name="keys", windows=WINDOWS, scope=scope), part) == covered
