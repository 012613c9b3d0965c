"""Reads the store for a command, also while Aegis runs: readers do not disturb the writer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aegis.cli.session import Session
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.core.incidents import Incident
    from aegis.stores.database import Database

SANDBOX_STORE = "sandbox-aegis.db"
"""Where runs with `--sandbox` keep their incidents, apart from the real ones."""


@asynccontextmanager
async def reading(run: Session) -> AsyncIterator[Database]:
    """The store of this session. Raises `BadInput` when there is none yet, `StoreError` when it cannot be read."""
    from aegis.stores.database import Database

    path = run.config().store.path(run.home)
    if not path.exists():
        start = "start with `aegis event import FILE` or `aegis up`"
        if (run.home / SANDBOX_STORE).exists():
            start = f"what was run with --sandbox stands in its own: add --set store.url=sqlite:{SANDBOX_STORE}"
        raise BadInput(f"there is no store yet ({path}); {start}", code="no_such_store")
    database = await Database.open(path)
    try:
        yield database
    finally:
        await database.close()


async def incident_of(database: Database, incident_id: str) -> Incident:
    """One incident. Raises `BadInput` when there is none such."""
    from aegis.stores.incidents import SqliteIncidents

    found = await SqliteIncidents(database).get(incident_id)
    if found is None:
        raise BadInput(
            f"there is no incident {incident_id[:64]}; `aegis incident list` shows them", code="no_such_incident"
        )
    return found
