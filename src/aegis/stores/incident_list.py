"""Lists of incidents for people: a short row of each, so that no list, count or map reads the whole records.

Policy: the row is written in the transaction that writes the incident, so a list never says something else than its page.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aegis.core.incidents import Incident, Severity, Status
from aegis.core.money import Nanos
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.records import incident_from_text, storable
from aegis.stores.times import from_us, to_us

Q = read_queries("incident_list")
TITLE_CHARS, ABOUT_CHARS = 300, 300
"""Of a row; the incident's page has them whole."""
FILLED_AT_ONCE: Final = 500
"""Rows of an older store that are filled in within one transaction: some tens of milliseconds."""
COLUMNS: Final = "id, opened_us, last_us, status, severity, kind, title, about, seen, cost, assignee, held"
UNRESOLVED: Final = "unresolved"
"""Asked for in the place of a status: open or acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An incident as a list shows it. `about` is the kind and value of its entity; `held` what holds it back."""

    id: str
    opened_at: datetime
    last_seen: datetime
    status: Status
    severity: Severity
    kind: str
    title: str
    about: str
    count: int
    cost: Nanos
    assignee: str
    held: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which incidents: every word that is not empty has to fit. `text` is looked for in title and entity; `before` is where
    an earlier page ended (its last row's time in microseconds, and id); `worst_first` puts severity before time.
    """

    status: str = ""
    severity: Severity | None = None
    kind: str = ""
    technique: str = ""
    held: str = ""
    text: str = ""
    worst_first: bool = False
    before: tuple[int, str] | None = None


class SqliteIncidentList:
    """Every method raises `StoreError` when the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fill_in(self) -> int:
        """Give incidents of an older store their rows; how many those were."""
        filled = 0
        while bodies := await self._database.read(
            lambda connection: connection.execute(Q["unread"], {"limit": FILLED_AT_ONCE}).fetchall()
        ):
            incidents = [incident_from_text(row[0]) for row in bodies]
            await self._database.write(lambda connection, found=incidents: keep(connection, found))  # type: ignore[misc]
            filled += len(incidents)
        return filled

    async def counts(self) -> Mapping[tuple[Status, Severity], int]:
        """How many there are by status and severity."""
        rows = await self._database.read(lambda connection: connection.execute(Q["counts"]).fetchall())
        return {(Status(status), Severity(severity)): count for status, severity, count in rows if severity}

    async def page(self, wanted: Wanted, limit: int) -> Sequence[Listed]:
        """The newest that are wanted, newest first."""
        query, values = listing(wanted, limit)
        return await self._rows(query, values)

    async def dearest(self, limit: int) -> Sequence[Listed]:
        """Those that cost most, the dearest first."""
        return await self._rows(Q["dearest"], {"limit": limit})

    async def techniques(self, since: datetime | None = None) -> Mapping[str, int]:
        """How many incidents (opened since then) show each technique."""
        query = "techniques" if since is None else "techniques_since"
        values = {} if since is None else {"since_us": to_us(since)}
        return dict(await self._database.read(lambda connection: connection.execute(Q[query], values).fetchall()))

    async def held(self) -> Mapping[str, int]:
        """How many incidents each silence or incident holds back, by its id."""
        return dict(await self._database.read(lambda connection: connection.execute(Q["held"]).fetchall()))

    async def _rows(self, query: str, values: Mapping[str, Any]) -> Sequence[Listed]:
        rows = await self._database.read(lambda connection: connection.execute(query, values).fetchall())
        return [_listed(row) for row in rows]


def listing(wanted: Wanted, limit: int) -> tuple[str, Mapping[str, Any]]:
    """The query for what is wanted, and its values. Every one is read in the order of an index."""
    where, values = _where(wanted)
    source = "incident_list AS l"
    if wanted.technique:
        source = "incident_techniques AS t JOIN incident_list AS l ON l.id = t.incident_id"
    first = "t" if wanted.technique else "l"
    key = "incident_id" if wanted.technique else "id"
    worst = "l.severity DESC, " if wanted.worst_first else ""
    columns = ", ".join(f"l.{name}" for name in COLUMNS.split(", "))
    query = (
        f"SELECT {columns} FROM {source} WHERE {' AND '.join(where) or '1 = 1'} "  # noqa: S608 - our own words
        f"ORDER BY {worst}{first}.opened_us DESC, {first}.{key} DESC LIMIT :limit"
    )
    return query, values | {"limit": limit}


def keep(connection: sqlite3.Connection, incidents: Sequence[Incident]) -> None:
    """Write the rows of these incidents, inside the caller's transaction."""
    for incident in incidents:
        row = {
            "id": incident.id,
            "opened_us": to_us(incident.opened_at),
            "last_us": to_us(incident.last_seen),
            "status": incident.status.value,
            "severity": int(incident.severity),
            "kind": incident.kind,
            "title": storable(incident.title, TITLE_CHARS),
            "about": storable(f"{incident.entity.kind} {incident.entity.value}", ABOUT_CHARS),
            "seen": incident.count,
            "cost": incident.cost,
            "assignee": incident.assignee,
            "held": incident.held.by if incident.held else "",
        }
        connection.execute(Q["keep"], row)
        for technique in incident.techniques:
            known = {"technique": technique, "id": incident.id, "opened_us": row["opened_us"]}
            connection.execute(Q["keep_technique"], known)


def _where(wanted: Wanted) -> tuple[list[str], dict[str, Any]]:
    where: list[str] = []
    values: dict[str, Any] = {}

    def want(condition: str, **more: Any) -> None:
        where.append(condition)
        values.update(more)

    if wanted.status == UNRESOLVED:
        want("l.status <> 'resolved'")
    elif wanted.status:
        want("l.status = :status", status=wanted.status)
    if wanted.severity is not None:
        want("l.severity = :severity", severity=int(wanted.severity))
    if wanted.kind:
        want("l.kind = :kind", kind=wanted.kind)
    if wanted.technique:
        want("t.technique = :technique", technique=wanted.technique)
    if wanted.held:
        want("l.held = :held", held=wanted.held)
    if wanted.text:
        like = "%" + wanted.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        want(r"(l.title LIKE :text ESCAPE '\' OR l.about LIKE :text ESCAPE '\' OR l.id = :whole)", text=like)
        values["whole"] = wanted.text
    if wanted.before is not None:
        first, key = ("t", "incident_id") if wanted.technique else ("l", "id")
        want(f"({first}.opened_us, {first}.{key}) < (:before_us, :before_id)")
        values |= {"before_us": wanted.before[0], "before_id": wanted.before[1]}
    return where, values


def _listed(row: Sequence[Any]) -> Listed:
    return Listed(
        id=row[0],
        opened_at=from_us(row[1]),
        last_seen=from_us(row[2]),
        status=Status(row[3]),
        severity=Severity(row[4] or 1),
        kind=row[5],
        title=row[6],
        about=row[7],
        count=row[8],
        cost=row[9],
        assignee=row[10],
        held=row[11],
    )
