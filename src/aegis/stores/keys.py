"""The virtual keys of record. Every change takes a number, so that a running gateway sees with one look what is new."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from aegis.core.buckets import Rate
from aegis.core.budgets import Amounts
from aegis.core.errors import BadInput
from aegis.core.virtualkeys import VirtualKey
from aegis.core.windows import WindowPolicy
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.times import from_us, to_us

Q = read_queries("keys")
KEYS_MAX: Final = 100_000
"""Keys on record: each is about a kilobyte in a gateway's memory."""


class SqliteKeys:
    """Every method raises `StoreError` when the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last_change(self) -> int:
        """A number that grows with every change."""
        return await self._database.read(lambda connection: int(connection.execute(Q["last_change"]).fetchone()[0]))

    async def all(self) -> Sequence[VirtualKey]:
        """Every key, oldest first."""
        rows = await self._database.read(lambda connection: connection.execute(Q["all"]).fetchall())
        return [_key(*row) for row in rows]

    async def add(self, key: VirtualKey, *, now: datetime) -> None:
        """Keep a new key. Raises `BadInput` when a key of its name may be used still."""

        def work(connection: sqlite3.Connection, changed: int) -> None:
            if connection.execute(Q["live_names"], {"name": key.name, "now_us": to_us(now)}).fetchone()[0]:
                raise BadInput(f"there is a key {key.name} already; rotate or revoke it", code="key_exists")
            connection.execute(Q["add"], _row(key) | {"changed": changed})

        await self._change(work)

    async def rotate(self, key: VirtualKey, *, now: datetime, until: datetime) -> None:
        """Keep a new key in the place of those of its name, which end at `until`."""

        def work(connection: sqlite3.Connection, changed: int) -> None:
            _end(connection, key.name, now, changed, expires_at=until)
            connection.execute(Q["add"], _row(key) | {"changed": changed})

        await self._change(work)

    async def revoke(self, name: str, *, now: datetime) -> int:
        """End every key of a name, or the one with that id; returns how many."""

        def work(connection: sqlite3.Connection, changed: int) -> int:
            return _end(connection, name, now, changed, revoked_at=now)

        ended: int = await self._change(work)
        return ended

    async def hold(self, key_id: str, *, by: str) -> bool:
        """Let nobody use a key until `give_back`; False when it is held or revoked already."""
        return await self._held("hold", key_id, by)

    async def give_back(self, key_id: str, *, by: str) -> bool:
        """A key may be used again; False when `by` does not hold it."""
        return await self._held("give_back", key_id, by)

    async def _held(self, query: str, key_id: str, by: str) -> bool:
        def work(connection: sqlite3.Connection, changed: int) -> bool:
            return connection.execute(Q[query], {"key_id": key_id, "held": by, "changed": changed}).rowcount == 1

        changed: bool = await self._change(work)
        return changed

    async def limit(self, keys: Sequence[VirtualKey]) -> None:
        """Let keys of record do what these say from now on."""

        def work(connection: sqlite3.Connection, changed: int) -> None:
            for key in keys:
                row = _row(key)
                values = {name: row[name] for name in ("body", "expires_us", "key_id")}
                connection.execute(Q["limit"], values | {"changed": changed})

        await self._change(work)

    async def _change(self, work: Callable[[sqlite3.Connection, int], Any]) -> Any:
        def numbered(connection: sqlite3.Connection) -> Any:
            return work(connection, int(connection.execute(Q["last_change"]).fetchone()[0]) + 1)

        return await self._database.write(numbered)


def _end(
    connection: sqlite3.Connection,
    name: str,
    now: datetime,
    changed: int,
    *,
    revoked_at: datetime | None = None,
    expires_at: datetime | None = None,
) -> int:
    values = {
        "name": name,
        "now_us": to_us(now),
        "revoked_us": None if revoked_at is None else to_us(revoked_at),
        "expires_us": None if expires_at is None else to_us(expires_at),
        "changed": changed,
    }
    return connection.execute(Q["end"], values).rowcount


def _row(key: VirtualKey) -> dict[str, Any]:
    body = {
        "models": key.models,
        "routes": key.routes,
        "addresses": key.addresses,
        "windows": [_window(amounts) for amounts in key.windows],
        "rate": None if key.rate is None else [key.rate.count, key.rate.per_ms, key.rate.kind, key.rate.refill],
        "parallel": key.parallel,
        "output_tokens": key.output_tokens,
        "cache": key.cache,
        "tags": dict(key.tags),
    }
    return {
        "key_id": key.id,
        "key_hash": key.hash,
        "name": key.name,
        "team": key.team,
        "created_us": to_us(key.created_at),
        "expires_us": None if key.expires_at is None else to_us(key.expires_at),
        "revoked_us": None if key.revoked_at is None else to_us(key.revoked_at),
        "body": orjson.dumps(body).decode(),
    }


def _window(amounts: Amounts) -> dict[str, Any]:
    policy = amounts.window
    return {
        "kind": policy.kind,
        "zone": policy.zone,
        "emergency": amounts.emergency,
        "warning": amounts.warning,
        "critical": amounts.critical,
    }


def _key(
    key_id: str,
    key_hash: bytes,
    name: str,
    team: str,
    created_us: int,
    expires_us: int | None,
    revoked_us: int | None,
    held: str,
    body: str,
) -> VirtualKey:
    kept = orjson.loads(body)
    rate = kept["rate"]
    return VirtualKey(
        id=key_id,
        hash=bytes(key_hash),
        name=name,
        team=team,
        created_at=from_us(created_us),
        expires_at=None if expires_us is None else from_us(expires_us),
        revoked_at=None if revoked_us is None else from_us(revoked_us),
        held=held,
        models=tuple(kept["models"]),
        routes=tuple(kept["routes"]),
        addresses=tuple(kept["addresses"]),
        windows=tuple(_amounts(window) for window in kept["windows"]),
        rate=None if rate is None else Rate(count=rate[0], per_ms=rate[1], kind=rate[2], refill=rate[3]),
        parallel=kept["parallel"],
        output_tokens=kept["output_tokens"],
        cache=kept.get("cache", ""),
        tags=kept["tags"],
    )


def _amounts(kept: dict[str, Any]) -> Amounts:
    return Amounts(
        window=WindowPolicy(kind=kept["kind"], zone=kept["zone"]),
        emergency=kept["emergency"],
        warning=kept["warning"],
        critical=kept["critical"],
    )
