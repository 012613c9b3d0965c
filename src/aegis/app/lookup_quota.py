"""The look-ups that VirusTotal really grants: read at the start and every hour, told as a metric, and held to instead of
the usual 500.

Policy: only the shipped budget follows it, and only while no person has set its amount; what cannot be read changes nothing.
Asking is free and takes nothing from the quota.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from aegis.app import overrides
from aegis.app.services import quotas
from aegis.connectors.questions import daily_quota
from aegis.core.errors import AegisError
from aegis.core.ports import Http
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.core.telemetry import RequestsLeft
from aegis.loops import Tick

if TYPE_CHECKING:
    from aegis.app.running import App

SERVICE: Final = "virustotal"
EVERY_MS: Final = 3_600_000
"""What is left of a day is worth knowing within the hour; nobody changes what is granted more often."""


def learning(app: App, http: Http, resolve: Callable[[Reference], Secret]) -> tuple[tuple[str, int, Tick], ...]:
    """The background task, where VirusTotal is used; the budget follows where it is the shipped one."""
    service = app.config.services.get(SERVICE)
    shipped = tuple(one for one in (*app.config.budgets, *quotas(app.config)) if one.name == SERVICE)
    written = app.config.origin(f"budgets.{SERVICE}.daily.emergency") != "default"
    if service is None or service.key is None:
        return ()
    follows = bool(shipped) and not written
    base = service.base_url or "https://www.virustotal.com"
    asked = SimpleNamespace(api_key=resolve(service.key), base_url=base)

    async def learn(now: datetime) -> None:
        try:
            said = await daily_quota(asked, http, clock=app.clock)
            if said is None:
                return
            used, quota = said
            app.hub(RequestsLeft(at=now, service=SERVICE, left=max(0, quota - used)))
            if follows:
                await follow(quota, now)
        except AegisError:  # away, a wrong key, a store that is down: the usual number holds until it is read again
            return

    async def follow(quota: int, now: datetime) -> None:
        """Put it on record as the budget's amount, where it is another. Raises `BadInput` and `StoreError`."""
        words = overrides.read(await app.lookups.setting(overrides.SETTING))
        own = [one for one in words if one.budget == SERVICE and (one.window, one.level) == ("day", "emergency")]
        before = own[-1] if own else None
        if before is not None and (before.by != SERVICE or before.amount == quota):
            return
        if before is None and quota == shipped[0].windows[0].emergency:
            return
        word = overrides.Override(budget=SERVICE, window="day", level="emergency", amount=quota, by=SERVICE, at=now)
        await overrides.add(app.lookups, shipped, word)

    return ((f"{SERVICE} quota", EVERY_MS, learn),)
