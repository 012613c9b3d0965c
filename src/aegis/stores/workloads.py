"""The programs started with `aegis run`, of record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from aegis.core.workloads import Workload
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.times import from_us, to_us

Q = read_queries("workloads")


class SqliteWorkloads:
    """Every method raises `StoreError` when the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, workload: Workload) -> None:
        """Keep a program; it may run once this returned."""
        row = {
            "run_id": workload.id,
            "pid": workload.pid,
            "started": workload.started,
            "boot": workload.boot,
            "command": workload.command,
            "key_name": workload.key,
            "team": workload.team,
            "labels": orjson.dumps(dict(workload.labels)).decode(),
            "registered_us": to_us(workload.registered_at),
        }
        await self._database.write(lambda connection: connection.execute(Q["register"], row))

    async def end(self, run_id: str, *, exit_code: int | None, now: datetime) -> None:
        """The program ended (None: nobody knows how). What is said first stays."""
        row = {"run_id": run_id, "exit_code": exit_code, "ended_us": to_us(now)}
        await self._database.write(lambda connection: connection.execute(Q["end"], row))

    async def running(self) -> Sequence[Workload]:
        """Those that were not reported as ended, oldest first: a machine that lost power reports nothing."""
        rows = await self._database.read(lambda connection: connection.execute(Q["running"]).fetchall())
        return [
            Workload(
                id=run_id,
                pid=pid,
                started=started,
                boot=boot,
                command=command,
                key=key,
                team=team,
                labels=orjson.loads(labels),
                registered_at=from_us(registered_us),
            )
            for run_id, pid, started, boot, command, key, team, labels, registered_us in rows
        ]
