"""What an Aegis needs to take signed webhooks and links: senders with their secrets, the inbox, the signer of links."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aegis.app.services import Resolve
from aegis.config.settings import Config
from aegis.core.inbound import BudgetNotice
from aegis.core.incidents import Observable
from aegis.core.ports import Arrivals, Http
from aegis.core.references import Reference
from aegis.incidents.act_links import ActLinks
from aegis.incidents.inbox import Inbox
from aegis.stores.lookups import SqliteLookups

if TYPE_CHECKING:
    from aegis.app.running import App

LINK_KEY = "link_key"
"""The setting that keeps the key of signed links: they stay good over a restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """`senders` holds the options and resolved secrets of each sender by name; `http` is the way to their public keys;
    `links` is None when nobody can reach this Aegis from outside (no `server.public_url`).
    """

    inbox: Inbox
    senders: Mapping[str, Mapping[str, Any]]
    http: Http
    links: ActLinks | None


def senders(config: Config, resolve: Resolve) -> Mapping[str, Mapping[str, Any]]:
    """The senders that the configuration names, with their secrets. Raises `ConfigError`."""
    found: dict[str, dict[str, Any]] = {
        name: {key: resolve(value) if isinstance(value, Reference) else value for key, value in values.items()}
        for name, values in config.inbound.items()
    }
    if "jira" in found:
        found["jira"]["user"] = found["jira"].get("account") or config.connectors.get("jira", {}).get("email", "")
    return found


async def act_links(config: Config, lookups: SqliteLookups, token: Callable[[], str]) -> ActLinks | None:
    """The signer of links, with the installation's key, made at the first start. Raises `StoreError`."""
    if not config.server.public_url:
        return None
    kept = await lookups.setting(LINK_KEY)
    if kept is None:
        kept = token() + token()
        await lookups.keep_setting(LINK_KEY, kept)
    return ActLinks(bytes.fromhex(kept), base=config.server.public_url)


def open_inbound(
    app: App, arrivals: Arrivals, http: Http, found: Mapping[str, Mapping[str, Any]], links: ActLinks | None
) -> Inbound:
    """The way in of an Aegis that is wired."""

    async def intake(lines: bytes, source: str) -> None:
        await app.take(lines, source=source)

    inbox = Inbox(arrivals=arrivals, desk=app.desk, intake=intake, spend=_opens(app), clock=app.clock)
    return Inbound(inbox=inbox, senders=found, http=http, links=links)


def _opens(app: App) -> Callable[[BudgetNotice], Awaitable[object]]:
    async def spend(notice: BudgetNotice) -> object:
        facts = {"budget": notice.name, "window": notice.window, "level": notice.level}
        return await app.pipeline.open_spend(
            title=f"AWS budget {notice.name} passed {notice.level}",
            severity=notice.severity,
            entity=Observable("budget", notice.name),
            facts={**facts, "spent": notice.spent, "limit": notice.limit},
        )

    return spend
