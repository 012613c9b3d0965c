"""Where a store may be: a file of SQLite, its memory, or a database of PostgreSQL; and what all of them can do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from aegis.core.ports import Clock
from aegis.stores.database import Database
from aegis.stores.handles import MEMORY

T = TypeVar("T")
POSTGRES = ("postgresql://", "postgres://")


class Transactions(Protocol):
    """An open store: works that read or write run in a transaction of their own. Both raise `StoreError`."""

    async def write(self, work: Callable[[Any], T]) -> T: ...
    async def read(self, work: Callable[[Any], T]) -> T: ...
    async def close(self) -> None: ...


def is_address(place: str | Path | None) -> bool:
    """Whether a place is the address of a server and not a file."""
    return isinstance(place, str) and place.startswith(POSTGRES)


async def open_place(place: str | Path | None, clock: Clock) -> tuple[Transactions, Clock]:
    """Open a store (None: in memory), and whose time it keeps: a server's own, else the clock that is given.

    Raises `StoreError`, and `ConfigError` where the library for PostgreSQL is missing.
    """
    if not is_address(place):
        return await Database.open(MEMORY if place is None else place), clock
    from aegis.stores.postgres import PostgresDatabase

    database = await PostgresDatabase.open(str(place))
    return database, database.clock(clock)
