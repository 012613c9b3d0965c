"""Contacts: people, how each can be reached, and when they are left in peace.

Policy: nobody who is named is passed over in silence. Who has none of the channels asked for is told by another one that
they have; in quiet hours a contact gets mail and the stand-in is woken instead; CRITICAL wakes, unless the contact says
that it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias, get_args

from aegis.core.incidents import Severity
from aegis.core.schedules import Weekly

Channel: TypeAlias = Literal["email", "webhook", "slack", "pagerduty", "sms", "phone"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
"""Ways to one person, the quietest first."""
RINGING: frozenset[Channel] = frozenset({"sms", "phone"})
"""Channels that ring whatever they say."""
WAKING: frozenset[Channel] = RINGING | {"pagerduty"}
"""Channels that ring when they tell of something new; Slack keeps quiet hours of its own for everybody."""
Tier: TypeAlias = Literal["primary", "secondary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One person or desk. `addresses` by channel; `roles` (`lead`, `manager`, ...) and `teams` are how chains name them;
    `stand_in` is the contact told in their place while `quiet` holds.
    """

    name: str
    title: str = ""
    addresses: Mapping[Channel, str] = field(default_factory=dict)
    tier: Tier = "primary"
    roles: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    quiet: tuple[Weekly, ...] = ()
    quiet_for_critical: bool = False
    stand_in: str = ""

    def is_quiet(self, severity: Severity, now: datetime) -> bool:
        """Whether nothing may ring for this contact now."""
        if severity is Severity.CRITICAL and not self.quiet_for_critical:
            return False
        return any(window.at(now) for window in self.quiet)


@dataclass(frozen=True, slots=True)
class Reached:
    """By which channels a contact is told, who is told in their place, and why it is not as the step asks."""

    channels: tuple[Channel, ...]
    stand_in: str = ""
    why: str = ""


def reach(
    contact: Contact, by: Sequence[Channel], severity: Severity, now: datetime, *, usable: Sequence[str] = CHANNELS
) -> Reached:
    """How a contact is told now by a step that asks for the channels `by`. `usable` are those that Aegis can send by."""
    own = [channel for channel in CHANNELS if channel in contact.addresses and channel in usable]
    wanted = tuple(channel for channel in by if channel in own)
    why = ""
    if not wanted and own:
        wanted = (own[0],)
        why = f"no {' or '.join(by)}, so by {own[0]}"
    if not own:
        return Reached((), contact.stand_in, "has no address that can be used")
    if not WAKING.isdisjoint(wanted) and contact.is_quiet(severity, now):
        silent = tuple(channel for channel in own if channel not in WAKING)
        return Reached(silent, contact.stand_in, "quiet hours")
    return Reached(wanted, "", why)


def last_word(
    contact: Contact,
    heard: Sequence[Channel],
    severity: Severity,
    now: datetime,
    *,
    usable: Sequence[str] = CHANNELS,
    rings: bool = True,
) -> tuple[Channel, ...]:
    """The channels by which a contact hears that somebody has acted: those that told them (`heard`), but a call is
    followed by a text. In quiet hours the silent ones of theirs take the place of what rings; unless `rings`, nothing does.
    """
    own = [channel for channel in CHANNELS if channel in contact.addresses and channel in usable]
    wanted: set[Channel] = {"sms" if channel == "phone" else channel for channel in heard}
    if not RINGING.isdisjoint(wanted) and not rings:
        wanted -= RINGING
    elif not RINGING.isdisjoint(wanted) and contact.is_quiet(severity, now):
        wanted = (wanted - RINGING) | {channel for channel in own if channel not in WAKING}
    return tuple(channel for channel in own if channel in wanted)
