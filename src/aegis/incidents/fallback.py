"""When a pager does not take a page: somebody hears of it over another channel.

Policy: the first word of a HIGH or CRITICAL incident that a service has not taken a minute after it was placed, or
refused for good, is told to the services named in its place, once each, and goes on being tried where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final

from aegis.core.deliveries import stand_in
from aegis.core.ports import Clock, Outbox

AFTER: Final = timedelta(seconds=60)
"""Longer than a rate limit or a restart of a service takes, and short against an answer in five minutes."""
EVERY_NS: Final = 5_000_000_000
PAGES_MAX: Final = 100
"""Pages in one turn; the next turn takes the rest."""
PAGERS: Final = ("pagerduty",)
INSTEAD: Final = ("slack", "teams", "discord", "email")
"""Which of the configured services stands in when the configuration names none: the first of these."""


def instead_of(
    written: Mapping[str, Sequence[str]], configured: Collection[str], pagers: Sequence[str] = PAGERS
) -> Mapping[str, tuple[str, ...]]:
    """Who stands in for each configured service: as written, for a pager else the first configured of `INSTEAD`."""
    shipped = {pager: [one for one in INSTEAD if one in configured][:1] for pager in pagers}
    chosen = {**shipped, **written}
    return {
        service: tuple(one for one in others if one in configured and one != service)
        for service, others in chosen.items()
        if service in configured
    }


class Fallbacks:
    """Looks after pages that nobody took; call `turn` as often as convenient."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        clock: Clock,
        instead: Mapping[str, Sequence[str]],
        wake: Callable[[Collection[str]], None],
    ) -> None:
        self._outbox, self._clock, self._instead, self._wake = outbox, clock, instead, wake
        self._next_ns = clock.monotonic_ns()

    async def turn(self) -> None:
        """Place what is overdue into the lanes of its stand-ins. Raises `StoreError`; the next turn goes on."""
        if self._clock.monotonic_ns() < self._next_ns:
            return
        self._next_ns = self._clock.monotonic_ns() + EVERY_NS
        now = self._clock.now()
        for service, others in self._instead.items():
            for other in others:
                pages = await self._outbox.unheard(service, to=other, before=now - AFTER, limit=PAGES_MAX)
                if pages:
                    await self._outbox.place([stand_in(page, other, now) for page in pages])
                    self._wake({other})
