"""Who hears of a crossed budget level: the routes of the channels that its actions name, and everybody for `alert_all`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from aegis.app.actions import LEVEL_SEVERITY
from aegis.core.budgets import Level
from aegis.core.contacts import CHANNELS
from aegis.core.escalations import EVERYONE, Chain, Roster, Step
from aegis.core.matching import Condition
from aegis.governor.actions import services_told
from aegis.incidents.routing import Route

AGAIN_AFTER: Final = timedelta(minutes=5)
"""While nobody acts: as the chain for emergencies that is shipped."""


def spend_routes(actions: Mapping[Level, Sequence[str]], configured: Sequence[str]) -> tuple[Route, ...]:
    """The routes by which the message of each level reaches the channels that its actions name."""
    return tuple(
        Route(to=to, severities=frozenset({LEVEL_SEVERITY[level]}), kinds=frozenset({"spend"}))
        for level, names in actions.items()
        if (to := services_told(names, configured))
    )


def spend_chains(actions: Mapping[Level, Sequence[str]], roster: Roster) -> tuple[Chain, ...]:
    """The chains by which `alert_all` tells every contact by every channel, before the configured ones are looked at:
    again by phone, and into the conference, while nobody acts.
    """
    if not roster.contacts:
        return ()
    steps = (
        Step(to=(EVERYONE,), by=CHANNELS, wait=AGAIN_AFTER),
        Step(to=(EVERYONE,), by=("phone",), wait=AGAIN_AFTER, bridge=True),
    )
    return tuple(
        Chain(
            name=f"alert_all at {level}",
            when=Condition(severities=frozenset({LEVEL_SEVERITY[level]}), kinds=frozenset({"spend"})),
            steps=steps,
        )
        for level, names in actions.items()
        if "alert_all" in names
    )
