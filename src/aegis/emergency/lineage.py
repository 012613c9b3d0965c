"""Whose past a backup is: a store's ids, one more at every restore, so that a store knows its ancestors.

Policy: a backup is of a store's own past when its ids begin the store's and it was made before the store went its own
way. Only then does the store hold everything that was spent since; otherwise both have spent, apart.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SETTING: Final = "store_lineage"
"""The setting of the store that keeps it."""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One life of a store: its id, and when the backup was made that it began from (0: it began empty)."""

    id: str
    from_ms: int


def lineage_of(store: Path) -> tuple[Ancestor, ...]:
    """The lives of a store, oldest first; none where it was never given an id. Blocks. Raises `sqlite3.Error`."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return read(connection)


def read(connection: Any) -> tuple[Ancestor, ...]:
    """The same inside a transaction."""
    found = connection.execute("SELECT value FROM settings WHERE name = :name", {"name": SETTING}).fetchone()
    try:
        return tuple(Ancestor(str(one), int(from_ms)) for one, from_ms in json.loads(found[0])) if found else ()
    except (ValueError, TypeError):
        return ()


def write(connection: Any, lineage: Sequence[Ancestor]) -> None:
    """Keep the lives of a store, in the caller's transaction."""
    text = json.dumps([[one.id, one.from_ms] for one in lineage])
    connection.execute(
        "INSERT INTO settings (name, value) VALUES (:name, :value) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        {"name": SETTING, "value": text},
    )


def begun(connection: Any, new_id: str) -> None:
    """Give a store its first id, if it has none."""
    if not read(connection):
        write(connection, [Ancestor(new_id, 0)])


def is_past_of(backup: Sequence[Ancestor], store: Sequence[Ancestor], *, made_ms: int) -> bool:
    """Whether a backup made then is of this store's own past."""
    if not backup or tuple(store[: len(backup)]) != tuple(backup):
        return False
    return len(store) == len(backup) or store[len(backup)].from_ms >= made_ms
