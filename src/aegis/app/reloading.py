"""The configuration read again while Aegis runs: budgets, prices and the gateway's upstreams change without a pause.

Policy: everything that can be wrong is looked at before anything changes; a wrong file changes nothing. What a running
Aegis cannot take over is named and waits for a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import anyio

from aegis.app.auditing import config_facts
from aegis.app.gateway import upstreams
from aegis.app.running import App
from aegis.app.services import Resolve, quotas
from aegis.config.settings import Config
from aegis.governor.pricing import load_prices

TAKEN: Final = (
    "budgets",
    "budget_thresholds",
    "prices",
    "gateway.upstreams",
    "gateway.fallback",
    "gateway.output_tokens",
)
"""What is taken over; below these, everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """Which values of the file hold from now on, and which wait for a restart; by their paths."""

    taken: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()


class Reloading:
    """Reads the configuration of one running Aegis again. `read` raises `ConfigError`, `resolve` too."""

    def __init__(self, app: App, *, read: Callable[[], Config], resolve: Resolve) -> None:
        self._app, self._read, self._resolve = app, read, resolve
        self._began = self._last = _values(app.config)
        self._turn = anyio.Lock()

    async def reload(self, *, by: str) -> Reloaded:
        """Read it and take over what can be; `by` asked for it. Raises `ConfigError` with file, line and column, and then nothing has
        changed; raises `StoreError` when what people said about budgets cannot be read: then it is tried every turn.
        """
        app = self._app
        async with self._turn:
            config = await anyio.to_thread.run_sync(self._read)
            prices = load_prices(app.home, config.prices)
            made = upstreams(config.gateway, self._resolve)
            budgets = (*config.budgets, *quotas(app.config))
            values, gateway = _values(config), replace(config.gateway, drains=app.config.gateway.drains)
            none = app.gateway is None or not app.gateway.upstreams
            # From here on nothing can be wrong any more.
            app.config = replace(app.config, budgets=config.budgets, prices=config.prices, gateway=gateway)
            app.actions.rebudget(budgets)
            app.governor.reprice(prices)
            if app.gateway is not None and not none:
                await app.gateway.change(gateway, made)
            waits = [path for path in _changed(self._began, values) if none and path.startswith("gateway.")]
            waits += [path for path in _changed(self._began, values) if not path.startswith(TAKEN)]
            taken = [path for path in _changed(self._last, values) if path.startswith(TAKEN) and path not in waits]
            self._last = values
            await app.audit.note(by, "config.reloaded", config_facts(config))
            await app.overrides.change(budgets)
            return Reloaded(taken=tuple(taken), waits=tuple(dict.fromkeys(waits)))


def _values(config: Config) -> Mapping[str, str]:
    return {entry.path: entry.text for entry in config.entries}


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
