"""Files and batches of the gateway, of record: whose they are, what a batch holds, and what its lines can use at most."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aegis.core.calls import Usage
from aegis.core.money import Nanos
from aegis.stores.places import Transactions
from aegis.stores.queries import read_queries

Q = read_queries("batches")
KEPT_MS: Final = 60 * 86_400_000
"""Vendors delete results after 29 or 30 days (platform.claude.com, message batches; platform.openai.com, files)."""
LISTED_MAX: Final = 1_000
"""Files or batches of one key that a list looks through."""
LINES_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of the unpacked lines of one batch: a hundred thousand with names of 64 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One request of a batch: its name, its model, and what it can use at most."""

    name: str
    model: str
    worst: Usage


Lines = Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file as its vendor describes it (`document`); `lines` are empty unless it is the input of a batch, for the
    endpoint `url`. `owner` is the name of the virtual key.
    """

    upstream: str
    id: str
    owner: str
    made_ms: int
    document: Mapping[str, Any]
    url: str = ""
    lines: Lines = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """A batch as its vendor last described it. `held` are the attempts that reserved for it, by model."""

    upstream: str
    id: str
    owner: str
    made_ms: int
    document: Mapping[str, Any]
    held: Mapping[str, str]
    lines: Lines
    settled: bool = False
    cost: Nanos = 0


class SqliteBatches:
    """Every method raises `StoreError` when the store fails."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    # --- files -------------------------------------------------------------------------------------------------

    async def add_file(self, file: StoredFile) -> None:
        """Keep a file; one that is known already stays as it is. What is very old goes."""
        values = {
            "upstream": file.upstream,
            "file_id": file.id,
            "owner": file.owner,
            "made_ms": file.made_ms,
            "document": orjson.dumps(dict(file.document)).decode(),
            "lines": _packed(file.lines, file.url),
        }

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(Q["forget_files"], {"before_ms": file.made_ms - KEPT_MS})
            connection.execute(Q["add_file"], values)

        await self._database.write(work)

    async def file(self, file_id: str, owner: str) -> StoredFile | None:
        """A file of this owner."""
        found = await self._rows("file", {"file_id": file_id, "owner": owner})
        return _file(found[0]) if found else None

    async def files(self, owner: str) -> Sequence[StoredFile]:
        """The newest first, at most `LISTED_MAX`."""
        return [_file(row) for row in await self._rows("files", {"owner": owner, "limit": LISTED_MAX})]

    async def count_files(self, owner: str) -> int:
        return int((await self._rows("count_files", {"owner": owner}))[0][0])

    async def drop_file(self, upstream: str, file_id: str) -> None:
        await self._write("drop_file", {"upstream": upstream, "file_id": file_id})

    # --- batches -----------------------------------------------------------------------------------------------

    async def add_batch(self, batch: StoredBatch) -> None:
        values = {
            "upstream": batch.upstream,
            "batch_id": batch.id,
            "owner": batch.owner,
            "made_ms": batch.made_ms,
            "document": orjson.dumps(dict(batch.document)).decode(),
            "held": orjson.dumps(dict(batch.held)).decode(),
            "lines": _packed(batch.lines, ""),
        }

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(Q["forget"], {"before_ms": batch.made_ms - KEPT_MS})
            connection.execute(Q["add_batch"], values)

        await self._database.write(work)

    async def batch(self, batch_id: str, owner: str) -> StoredBatch | None:
        """A batch of this owner."""
        found = await self._rows("batch", {"batch_id": batch_id, "owner": owner})
        return _batch(found[0]) if found else None

    async def batches(self, owner: str) -> Sequence[StoredBatch]:
        """The newest first, at most `LISTED_MAX`, without their lines."""
        return [_batch(row) for row in await self._rows("batches", {"owner": owner, "limit": LISTED_MAX})]

    async def oldest_open(self, before_ms: int) -> StoredBatch | None:
        """The batch that nobody has looked at for longest, if that was before this time and its results are open."""
        found = await self._rows("open", {"before_ms": before_ms})
        return _batch(found[0]) if found else None

    async def looked(self, batch: StoredBatch, document: Mapping[str, Any], now_ms: int) -> None:
        """What the vendor says of a batch now."""
        values = {"upstream": batch.upstream, "batch_id": batch.id, "now_ms": now_ms}
        await self._write("looked", values | {"document": orjson.dumps(dict(document)).decode()})

    async def settle(self, batch: StoredBatch, cost: Nanos) -> None:
        """Its results are known and counted."""
        values = {"upstream": batch.upstream, "batch_id": batch.id, "cost": cost, "none": b""}
        await self._write("settle", values)

    async def drop_batch(self, batch: StoredBatch) -> None:
        """Its vendor has deleted it; one that is not counted yet stays."""
        await self._write("drop_batch", {"upstream": batch.upstream, "batch_id": batch.id})

    async def _rows(self, query: str, values: Mapping[str, object]) -> list[Any]:
        return await self._database.read(lambda connection: connection.execute(Q[query], values).fetchall())

    async def _write(self, query: str, values: Mapping[str, object]) -> None:
        await self._database.write(lambda connection: connection.execute(Q[query], values).rowcount)


def _packed(lines: Lines, url: str) -> bytes:
    if not lines:
        return b""
    return zlib.compress(orjson.dumps([url, [[line.name, line.model, dict(line.worst)] for line in lines]]), 1)


def _unpacked(packed: bytes | str) -> tuple[str, Lines]:
    if not packed:
        return "", ()
    raw = packed.encode() if isinstance(packed, str) else bytes(packed)
    url, lines = orjson.loads(zlib.decompressobj().decompress(raw, LINES_BYTES_MAX))
    return url, [Line(name=name, model=model, worst=worst) for name, model, worst in lines]


def _file(row: Sequence[Any]) -> StoredFile:
    upstream, file_id, owner, made_ms, document, packed = row
    url, lines = _unpacked(packed)
    kept = orjson.loads(document)
    return StoredFile(upstream=upstream, id=file_id, owner=owner, made_ms=made_ms, document=kept, url=url, lines=lines)


def _batch(row: Sequence[Any]) -> StoredBatch:
    upstream, batch_id, owner, made_ms, settled, cost, document, held, packed = row
    return StoredBatch(
        upstream=upstream,
        id=batch_id,
        owner=owner,
        made_ms=made_ms,
        document=orjson.loads(document),
        held=orjson.loads(held),
        lines=_unpacked(packed)[1],
        settled=bool(settled),
        cost=cost,
    )
