"""Opens a governor for a program: one file (or memory), budgets and prices in short forms, housekeeping included.

Policy: what is given is checked before anything is opened; without a file everything is forgotten at the end.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import orjson

from aegis.app.overrides import Overrides
from aegis.app.system import SystemClock
from aegis.core.budgets import Amounts, Budget
from aegis.core.errors import ConfigError, StoreError
from aegis.core.money import MoneyError, usd
from aegis.core.ports import Answers, Clock, Ledger
from aegis.core.prices import Price, PriceBook
from aegis.core.telemetry import Observer
from aegis.core.thresholds import read_thresholds
from aegis.core.windows import WindowKind, WindowPolicy
from aegis.governor.governor import Governor
from aegis.governor.policies import ServicePolicy
from aegis.governor.pricing import load_prices
from aegis.stores.answers import SqliteAnswers
from aegis.stores.ledger import SqliteLedger
from aegis.stores.lookups import SqliteLookups
from aegis.stores.places import is_address, open_place

TICK_MS = 250
"""Housekeeping four times a second, as `Governor.tick` asks for."""

Dollars: TypeAlias = str | int | Decimal
Budgets: TypeAlias = Sequence[Budget] | Mapping[str, Any] | str
"""`{"day": "5.00"}`, or budgets, or a `budget_thresholds` document (a mapping or its JSON text)."""
Prices: TypeAlias = PriceBook | Mapping[str, Mapping[str, Dollars]]
"""A whole price book, or what to add to the list: `{"openai/my-model": {"input_tokens": "3.00"}}`, USD per million."""

_WINDOWS: Mapping[str, WindowKind] = {"day": "day", "week": "week", "month": "month"}


@asynccontextmanager
async def open_governor(
    path: str | Path | None = None,
    *,
    budgets: Budgets = (),
    prices: Prices | None = None,
    services: Mapping[str, ServicePolicy] | None = None,
    observers: Sequence[Observer] = (),
    clock: Clock | None = None,
    holder: str = "",
) -> AsyncIterator[Governor]:
    """A governor on the store at `path` (made if need be; None: in memory), until the block ends.

    `path` may be the address of a PostgreSQL database, `postgresql://...` (extra `postgres`), for several machines.
    Programs that open the same store share its budgets, and what `aegis budget set` said about them there. `holder` names this process in the ledger; left empty, a name
    is made. Raises `ConfigError` for a budget or price that cannot be read, `StoreError` when the file cannot be used.
    """
    settings = open_parts(
        path, budgets=budgets, prices=prices, services=services, observers=observers, clock=clock, holder=holder
    )
    async with settings as parts:
        yield parts.governor


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A running governor with what it stands on, for faces that need more than calls."""

    governor: Governor
    ledger: Ledger
    answers: Answers
    clock: Clock


@asynccontextmanager
async def open_parts(
    path: str | Path | None,
    *,
    budgets: Budgets,
    prices: Prices | None,
    services: Mapping[str, ServicePolicy] | None,
    observers: Sequence[Observer],
    clock: Clock | None,
    holder: str,
) -> AsyncIterator[Parts]:
    """`open_governor`, with the parts."""
    clock = clock or SystemClock()
    limits = read_budgets(budgets)
    book = read_prices(prices, folder=None if path is None or is_address(path) else Path(path).parent)
    async with AsyncExitStack() as opened:
        database, its_clock = await open_place(path, clock)
        opened.push_async_callback(database.close)
        ledger, answers = SqliteLedger(database, its_clock), SqliteAnswers(database)
        governor = await opened.enter_async_context(
            Governor(
                budgets=limits,
                prices=book,
                ledger=ledger,
                clock=clock,
                services=services,
                answers=answers,
                observers=observers,
                holder=holder or f"program-{os.getpid()}-{secrets.token_hex(4)}",
            )
        )
        overrides = Overrides(limits, governor=governor, lookups=SqliteLookups(database))
        await overrides.turn()
        housekeeping = await anyio.create_task_group().__aenter__()
        housekeeping.start_soon(_keep_house, governor, overrides, clock)
        try:
            yield Parts(governor=governor, ledger=ledger, answers=answers, clock=clock)
        finally:
            housekeeping.cancel_scope.cancel()
            # The block's own error goes on as it is, not wrapped into a group.
            await housekeeping.__aexit__(None, None, None)


async def _keep_house(governor: Governor, overrides: Overrides, clock: Clock) -> None:
    while True:
        await clock.sleep_ms(TICK_MS)
        try:
            await governor.tick()
            await overrides.turn()
        except StoreError:
            continue  # calls that need the store say so themselves; the next turn tries again


def read_budgets(budgets: Budgets) -> tuple[Budget, ...]:
    """Budgets from any of their forms. Raises `ConfigError` naming what cannot be read."""
    if isinstance(budgets, str):
        return (read_thresholds(budgets).budget,)
    if not isinstance(budgets, Mapping):
        return tuple(budgets)
    if "budget_thresholds" in budgets:
        return (read_thresholds(orjson.dumps(budgets, default=str).decode()).budget,)
    wrong = [f"budgets.{name}: the windows are {', '.join(_WINDOWS)}" for name in budgets if name not in _WINDOWS]
    if wrong or not budgets:
        raise ConfigError(*wrong or ["budgets: at least one of day, week, month"])
    windows = tuple(
        Amounts(window=WindowPolicy(kind=_WINDOWS[name]), emergency=_dollars(f"budgets.{name}", amount))
        for name, amount in budgets.items()
    )
    return (Budget(name="everything", windows=windows),)


def read_prices(prices: Prices | None, *, folder: Path | None) -> PriceBook:
    """The price list with what is added to it; the list is compiled into `folder` once (0.8 s of CPU without one).

    Raises `ConfigError` for an amount that cannot be read.
    """
    if isinstance(prices, PriceBook):
        return prices
    added: dict[tuple[str, str], Price] = {}
    for name, rates in (prices or {}).items():
        service, _, model = name.partition("/")
        tiers = {meter: ((0, _dollars(f"prices.{name}.{meter}", amount)),) for meter, amount in rates.items()}
        added[service, model] = Price(service=service, model=model, rates=tiers, source="given")
    return load_prices(folder, added)


def _dollars(where: str, amount: Dollars) -> int:
    try:
        nanos = usd(amount)
    except MoneyError as error:
        raise ConfigError(f"{where}: {error}") from error
    if nanos < 0:
        raise ConfigError(f"{where}: {amount} is less than nothing")
    return nanos
