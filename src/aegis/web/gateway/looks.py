"""Looks after batches that are under way: asks their vendors how they stand, and counts those that have ended.

Policy: first of all those are cancelled that a stop has ended, until their vendors have heard of it; then one batch at a
time, the one that nobody has looked at for longest; a vendor that does not answer keeps nobody else waiting; a batch that
its vendor has forgotten counts at its worst case.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import anyio

from aegis.app.gateway import GatewayParts, Upstream
from aegis.core.errors import ServiceError
from aegis.core.ports import Clock
from aegis.stores.batches import SqliteBatches, StoredBatch, StoredFile
from aegis.web.gateway.holds import Holds
from aegis.web.gateway.vendors import (
    GONE,
    JSON,
    TOO_MANY,
    Gone,
    ask,
    batch_path,
    document_of,
    has_ended,
    head_of,
    results,
)

EVERY_MS: Final = 60_000
"""Batches take minutes to a day; asking once a minute is what the vendors' own examples do."""
TURN_MS: Final = 2_000
LOOKS_MAX: Final = 8
"""Batches that are looked at in one turn."""
LOOK_SECONDS: Final = 120
"""For one batch with all of its results."""
FORGOTTEN_MS: Final = 30 * 86_400_000
"""Vendors keep results for 29 or 30 days: what is not known then never will be."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Looks:
    """`turn` is called every `TURN_MS`."""

    def __init__(self, parts: GatewayParts, holds: Holds, store: SqliteBatches, clock: Clock) -> None:
        self._parts, self._holds, self._store, self._clock = parts, holds, store, clock

    async def turn(self, _now: datetime) -> None:
        """Cancel what is unwanted and look at what is due. Raises `StoreError`."""
        for batch_id, owner in self._holds.unwanted()[:LOOKS_MAX]:
            try:
                with anyio.move_on_after(LOOK_SECONDS):
                    await self._cancel(batch_id, owner)
            except ServiceError:
                continue
        for _ in range(LOOKS_MAX):
            batch = await self._store.oldest_open(now_ms(self._clock) - EVERY_MS)
            if batch is None:
                return
            # Whatever comes of it, the next turn begins with another.
            await self._store.looked(batch, batch.document, now_ms(self._clock))
            try:
                with anyio.move_on_after(LOOK_SECONDS):
                    await self._look(batch)
            except ServiceError:
                continue

    async def _cancel(self, batch_id: str, owner: str) -> None:
        """Have the vendor cancel a batch; one that fails is told again in the next turn."""
        batch = await self._store.batch(batch_id, owner)
        upstream = None if batch is None or batch.settled else self._upstream(batch)
        if batch is not None and upstream is not None:
            path = batch_path(upstream, batch.id) + b"/cancel"
            answer, told = await ask(upstream, b"POST", path, [*head_of(upstream), JSON])
            if not 200 <= answer.status < 500 or answer.status == TOO_MANY:
                return
            document = document_of(told) if answer.status == 200 else None
            if document is not None:
                await self.learned(batch, upstream, document)
        self._holds.cancelled(batch_id)

    async def _look(self, batch: StoredBatch) -> None:
        upstream = self._upstream(batch)
        if now_ms(self._clock) - batch.made_ms > FORGOTTEN_MS:
            await self._holds.lose(batch)
            return
        if upstream is None:
            return
        answer, told = await ask(upstream, b"GET", batch_path(upstream, batch.id), head_of(upstream))
        document = document_of(told) if answer.status == 200 else None
        if document is not None:
            await self.learned(batch, upstream, document)
        elif answer.status in GONE:
            await self._holds.lose(batch)

    async def learned(self, batch: StoredBatch, upstream: Upstream, document: Mapping[str, Any]) -> None:
        """What the vendor says of a batch. At its end it is counted, and its files are its owner's. Raises `StoreError`
        and `ServiceError`: then it is not counted yet.
        """
        await self._store.looked(batch, document, now_ms(self._clock))
        for field in ("output_file_id", "error_file_id"):
            if isinstance(name := document.get(field), str):
                await self._store.add_file(await self._output(batch, upstream, name))
        if batch.settled or not has_ended(document):
            return
        try:
            await self._holds.settle(batch, results(upstream, batch, document), upstream)
        except Gone:
            await self._holds.lose(batch)

    async def _output(self, batch: StoredBatch, upstream: Upstream, name: str) -> StoredFile:
        """A file that the vendor wrote for a batch."""
        known = await self._store.file(name, batch.owner)
        document: Mapping[str, Any] | None = None if known is None else known.document
        if document is None and name.isascii():
            answer, told = await ask(upstream, b"GET", b"/v1/files/%b" % name.encode(), head_of(upstream))
            document = document_of(told) if answer.status == 200 else None
        return StoredFile(
            upstream=batch.upstream,
            id=name,
            owner=batch.owner,
            made_ms=now_ms(self._clock),
            document=document or {"id": name, "object": "file", "purpose": "batch_output"},
        )

    def _upstream(self, batch: StoredBatch) -> Upstream | None:
        return next((one for one in self._parts.upstreams if one.settings.name == batch.upstream), None)


def now_ms(clock: Clock) -> int:
    return (clock.now() - _EPOCH) // timedelta(milliseconds=1)
