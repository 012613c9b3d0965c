"""The small tables: answers to repeated requests, lines set aside, settings, counters."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aegis.stores.places import Transactions
from aegis.stores.queries import read_queries
from aegis.stores.records import storable
from aegis.stores.times import from_us, to_us

SET_ASIDE_MAX = 100_000
"""Refused lines kept: some hundred megabytes at the most, then the oldest make room."""
TEXT_CHARS_MAX = 1_000
"""Of a refused line: enough to recognise it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A line that intake refused: where it stood, the stable code, the sentence, and the start of the line."""

    file: str
    line: int
    code: str
    reason: str
    text: str
    at: datetime


class SqliteLookups:
    """Every method raises `StoreError` when the store fails."""

    def __init__(self, database: Transactions, *, set_aside_max: int = SET_ASIDE_MAX) -> None:
        self._database, self._set_aside_max = database, set_aside_max
        self._queries = read_queries("lookups")

    # --- idempotency keys ------------------------------------------------------------------------------------

    async def answer(self, request_key: str, *, now: datetime) -> str | None:
        """What was answered to the request with this key, or None when it is new or forgotten."""
        query, row = self._queries["answer"], {"request_key": request_key, "now_us": to_us(now)}
        found = await self._database.read(lambda connection: connection.execute(query, row).fetchone())
        return None if found is None else str(found[0])

    async def keep_answer(self, request_key: str, answer: str, *, expires_at: datetime, now: datetime) -> bool:
        """Remember an answer. False when there is one already: that one counts."""
        query = self._queries["keep_answer"]
        row = {"request_key": request_key, "answer": answer, "expires_us": to_us(expires_at), "now_us": to_us(now)}
        return await self._database.write(lambda connection: connection.execute(query, row).rowcount == 1)

    # --- lines set aside -------------------------------------------------------------------------------------

    async def set_aside(self, lines: Sequence[SetAside]) -> None:
        """Keep refused lines; beyond `set_aside_max` the oldest go."""

        def keep(connection: sqlite3.Connection) -> None:
            newest = connection.execute(self._queries["last_set_aside"]).fetchone()[0]
            for line in lines:
                newest += 1
                connection.execute(self._queries["set_aside"], _line_row(line) | {"seq": newest})
            connection.execute(self._queries["forget_set_aside"], {"newest": newest, "most": self._set_aside_max})

        if lines:
            await self._database.write(keep)

    async def lines(self, limit: int) -> Sequence[SetAside]:
        """The newest refused lines, newest first."""
        query = self._queries["lines"]
        rows = await self._database.read(lambda connection: connection.execute(query, {"limit": limit}).fetchall())
        return [
            SetAside(file=file, line=line, code=code, reason=reason, text=text, at=from_us(at_us))
            for file, line, code, reason, text, at_us in rows
        ]

    # --- settings and counters -------------------------------------------------------------------------------

    async def setting(self, name: str) -> str | None:
        """The value of a setting, or None."""
        query = self._queries["setting"]
        found = await self._database.read(lambda connection: connection.execute(query, {"name": name}).fetchone())
        return None if found is None else str(found[0])

    async def keep_setting(self, name: str, value: str | None) -> None:
        """Set or replace a setting; None removes it."""
        query = self._queries["forget_setting" if value is None else "keep_setting"]
        row = {"name": name} if value is None else {"name": name, "value": value}
        await self._database.write(lambda connection: connection.execute(query, row).rowcount)

    async def count(self, more: Mapping[tuple[str, str], int]) -> None:
        """Add to counters, named by service and name."""
        rows = [{"service": service, "name": name, "more": number} for (service, name), number in more.items()]
        query = self._queries["count"]
        await self._database.write(lambda connection: connection.executemany(query, rows).rowcount)

    async def counters(self) -> Mapping[tuple[str, str], int]:
        """Every counter by service and name."""
        query = self._queries["counters"]
        rows = await self._database.read(lambda connection: connection.execute(query).fetchall())
        return {(service, name): total for service, name, total in rows}


def _line_row(line: SetAside) -> dict[str, str | int]:
    return {
        "file": storable(line.file, TEXT_CHARS_MAX),
        "line": line.line,
        "code": line.code,
        "reason": storable(line.reason, TEXT_CHARS_MAX),
        "text": storable(line.text, TEXT_CHARS_MAX),
        "at_us": to_us(line.at),
    }
