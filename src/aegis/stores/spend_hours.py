"""Spending by the hour: rolled up from the journal in the background, so that forecasts and detectors read totals.

Policy: the journal is read once, in the order of its arrival, a bounded number of attempts a turn, outside the writer's
transaction; only sums are written. What is changed later (a correction) shows as a day whose sum differs from the
ledger's own total, and that day is added up anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeAlias

import orjson

from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.shelf import DAY_MS, EPOCH
from aegis.stores.spending import OTHERS, value_of
from aegis.stores.times import to_ms

Q = read_queries("spend_hours")
HOUR_MS: Final = 3_600_000
NAMES: Final = ("service", "model", "key", "team", "source", "severity", "operation", "purpose")
"""What hours are kept apart by: everything a budget's scope can name, the incident apart."""
COLUMNS: Final = {name: "for_key" if name == "key" else name for name in NAMES} | {"provider": "service"}
PAGE: Final = 20_000
"""Attempts read at once: a tenth of a second, on a reader's thread."""
PAGES_MAX: Final = 5
"""Pages in one turn; what is left waits for the next."""
GROUPS_MAX: Final = 5_000
"""Combinations written for one page; what comes after them is counted as `(others)`."""
KEPT_DAYS: Final = 91
"""Thirteen weeks: longer than any forecast looks back."""

Sums: TypeAlias = dict[tuple[Any, ...], list[int]]
"""Hour and the values of `NAMES`, to calls and cost."""


class SpendHours:
    """Rolls the journal up and reads the hours. All methods raise `StoreError`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._given_up: dict[str, int] = {}
        """Days whose journal is gone, with the total that they could not be brought to."""

    async def catch_up(self, now: datetime, *, pages: int = PAGES_MAX, days: int = 2) -> bool:
        """Read what ended since, then compare the last days with the ledger's totals. Whether all was read."""
        for _ in range(pages):
            before, last, sums = await self.database.read(_page)
            if last == before:
                await self._compare(now, days)
                return True
            await self.database.write(partial(_move_on, before=before, last=last, sums=sums))
        return False

    async def forget(self, now: datetime) -> None:
        """Delete hours that no forecast asks for any more."""
        before_ms = to_ms(now - timedelta(days=KEPT_DAYS))
        await self.database.write(lambda c: c.execute(Q["forget_old"], {"before_ms": before_ms}))

    async def by_hour(self, since: datetime, scope: Mapping[str, str]) -> Mapping[tuple[str, ...], Mapping[int, int]]:
        """Cost by the hour (milliseconds of its start) of what fits a budget's scope, for each combination of the values
        that it says `*` for (in the order of the names); an empty scope has the one combination `()`.
        """
        names = sorted(scope)
        apart = [COLUMNS[name] for name in names if scope[name] == "*"]
        exact = {COLUMNS[name]: scope[name] for name in names if scope[name] != "*"}
        columns = ", ".join(["hour_ms", *apart])
        wanted = [f"{column} = :{column}" for column in exact] + [f"{column} <> ''" for column in apart]
        where = " AND ".join(["hour_ms >= :since_ms", *wanted])
        query = f"SELECT {columns}, SUM(cost) FROM spend_hours WHERE {where} GROUP BY {columns}"  # noqa: S608 - our names
        rows = await self.database.read(lambda c: c.execute(query, {**exact, "since_ms": to_ms(since)}).fetchall())
        found: dict[tuple[str, ...], dict[int, int]] = {}
        for row in rows:
            found.setdefault(tuple(row[1:-1]), {})[row[0]] = row[-1]
        return found

    async def by_name(self, name: str, since: datetime, until: datetime) -> Mapping[str, Mapping[int, int]]:
        """Cost by the hour of every value of one name, from an hour on and before another."""
        column = COLUMNS[name]
        query = (
            f"SELECT {column}, hour_ms, SUM(cost) FROM spend_hours "  # noqa: S608 - our names
            f"WHERE hour_ms >= :since_ms AND hour_ms < :until_ms GROUP BY {column}, hour_ms"
        )
        asked = {"since_ms": to_ms(since), "until_ms": to_ms(until)}
        found: dict[str, dict[int, int]] = {}
        for value, hour, cost in await self.database.read(lambda c: c.execute(query, asked).fetchall()):
            found.setdefault(value, {})[hour] = cost
        return found

    async def _compare(self, now: datetime, days: int) -> None:
        """Add every day up anew whose hours do not come to the ledger's own total."""
        first = EPOCH + (now - EPOCH) // timedelta(days=1) * timedelta(days=1) - timedelta(days=days - 1)
        differ = await self.database.read(lambda c: _different(c, first))
        for day, total in differ.items():
            if self._given_up.get(day) == total:
                continue
            from_ms = to_ms(datetime.fromisoformat(f"{day}T00:00:00+00:00"))
            last, sums = await self.database.read(partial(_day, from_ms=from_ms))
            await self.database.write(partial(_replace, from_ms=from_ms, last=last, sums=sums))
            self._given_up[day] = total


def _page(connection: sqlite3.Connection) -> tuple[int, int, Sums]:
    before = int(connection.execute(Q["last_row"]).fetchone()[0])
    newest = int(connection.execute(Q["newest_row"]).fetchone()[0])
    if newest < before:  # the file was rebuilt and its rows numbered anew: days that differ are added up again
        return before, newest, {}
    last = before

    def rows() -> Iterator[tuple[Any, ...]]:
        """One at a time: a page of them would be some 14 MB, and the process would keep that for ever."""
        nonlocal last
        for row in connection.execute(Q["next_rows"], {"last_row": before, "limit": PAGE}):
            last = row[0]
            yield row

    sums = _summed(rows())
    return before, last, sums


def _summed(rows: Iterable[tuple[Any, ...]]) -> Sums:
    sums: Sums = {}
    for _, service, model, state, at_ms, cost, body in rows:
        if state in ("sent", "refused"):
            continue
        asked = orjson.loads(body)
        values = tuple([value_of(name, service, model, asked) for name in NAMES])
        key: tuple[Any, ...] = (at_ms - at_ms % HOUR_MS, *values)
        if key not in sums and len(sums) >= GROUPS_MAX:
            key = (key[0], *[OTHERS] * len(NAMES))
        one = sums.setdefault(key, [0, 0])
        one[0] += state != "cached"
        one[1] += cost
    return sums


def _add(connection: sqlite3.Connection, sums: Sums) -> None:
    connection.executemany(Q["add"], [(*key, *both) for key, both in sums.items()])


def _move_on(connection: sqlite3.Connection, before: int, last: int, sums: Sums) -> None:
    moved = connection.execute(Q["move_on"], {"before": before, "last_row": last}).rowcount
    if moved:  # else another process was faster, and these are counted already
        _add(connection, sums)


def _different(connection: sqlite3.Connection, first: datetime) -> dict[str, int]:
    """Days whose sums differ, with the ledger's total; none while the journal is not all read."""
    if connection.execute(Q["last_row"]).fetchone()[0] != connection.execute(Q["newest_row"]).fetchone()[0]:
        return {}
    sums = {
        (EPOCH + timedelta(days=day)).date().isoformat(): cost
        for day, cost in connection.execute(Q["day_sums"], {"since_ms": to_ms(first)})
    }
    totals: Sequence[tuple[str, int]] = connection.execute(
        Q["day_totals"], {"since": first.date().isoformat()}
    ).fetchall()
    return {day: total for day, total in totals if sums.get(day, 0) != total}


def _day(connection: sqlite3.Connection, from_ms: int) -> tuple[int, Sums]:
    last = int(connection.execute(Q["last_row"]).fetchone()[0])
    asked = {"from_ms": from_ms, "until_ms": from_ms + DAY_MS, "last_row": last}
    return last, _summed(connection.execute(Q["rows_of_day"], asked))


def _replace(connection: sqlite3.Connection, from_ms: int, last: int, sums: Sums) -> None:
    if connection.execute(Q["last_row"]).fetchone()[0] == last:
        connection.execute(Q["forget_day"], {"from_ms": from_ms, "until_ms": from_ms + DAY_MS})
        _add(connection, sums)
