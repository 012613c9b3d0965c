"""One Athena query, governed: held at its cut-off, watched while it scans, billed for what it scanned.

The rules of the bill stand in `library.athena_bill`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import anyio

from aegis.core.calls import Priority
from aegis.core.errors import Billed, ServiceError
from aegis.core.plaintext import one_line
from aegis.core.ports import Clock
from aegis.cost_optimization.aws_config import client_of
from aegis.cost_optimization.engine import Engine, dollars
from aegis.governor.reservation import Reservation
from aegis.library.athena_bill import ENDED, SCAN_MAX, billed_bytes, hold, reused, scanned, state

ROWS_MAX: Final = 10_000
PAGE: Final = 1_000
"""Rows of one page (GetQueryResults, MaxQueryResults)."""
POLL_FIRST_MS, POLL_LAST_MS = 200, 2_000
TIMEOUT_MS: Final = 10 * 60_000
POLLS_LOST_MAX: Final = 5
"""Looks at a query that may fail in a row before it counts as lost."""
GROUP_KEPT_MS: Final = 10 * 60_000
"""How long a workgroup's settings are believed."""
GROUPS_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is to be asked: SQL with `?`, a literal for each, and where."""

    sql: str
    literals: Sequence[str] = ()
    database: str = ""
    catalog: str = ""
    workgroup: str = "primary"
    output_location: str = ""
    reuse_minutes: int = 60
    scan_max: int = SCAN_MAX
    priority: Priority = Priority.MEDIUM

    def request(self, token: str) -> dict[str, Any]:
        """The body of StartQueryExecution; `token` makes sending it twice start one query."""
        context = {key: value for key, value in (("Database", self.database), ("Catalog", self.catalog)) if value}
        body: dict[str, Any] = {"QueryString": self.sql, "ClientRequestToken": token, "WorkGroup": self.workgroup}
        if self.literals:
            body["ExecutionParameters"] = list(self.literals)
        if context:
            body["QueryExecutionContext"] = context
        if self.output_location:
            body["ResultConfiguration"] = {"OutputLocation": self.output_location}
        if self.reuse_minutes:
            reuse = {"Enabled": True, "MaxAgeInMinutes": self.reuse_minutes}
            body["ResultReuseConfiguration"] = {"ResultReuseByAgeConfiguration": reuse}
        return body


class Athena:
    """Runs queries through the engine's governor; everything here runs on its loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._groups: dict[str, tuple[Mapping[str, Any], int]] = {}

    async def run(self, query: Query) -> dict[str, Any]:
        """The rows and the bill of one query. Raises `Refused` (nothing was started) and `ServiceError`."""
        most = await self._hold(query)
        call = self._engine.call("athena", "StartQueryExecution", {"bytes_scanned": most}, priority=query.priority)
        governor = self._engine.governor.parts.governor
        async with governor.admit(call) as reservation:
            token = sha256(call.id.encode()).hexdigest()
            started = await self._start(query.request(token))
            run = _Run(self._ask, started, most, self._engine.clock)
            ended = await run.until_end(reservation)
            _settle(reservation, ended)
        rows, columns, more = await self._rows(started)
        return {
            "rows": rows,
            "columns": columns,
            "truncated": more,
            "query_execution_id": started,
            "data_scanned_bytes": scanned(ended),
            "billed_bytes": billed_bytes(ended),
            "reused": reused(ended),
            "cost_usd": dollars(reservation.cost),
        }

    async def _start(self, request: Mapping[str, Any]) -> str:
        try:
            answer = await self._ask("start_query_execution", request)
        except ServiceError as error:
            if error.billed is not Billed.UNKNOWN:
                raise
            # Nobody knows whether it began; the same token asks for the same query, not for another.
            answer = await self._ask("start_query_execution", request)
        return str(answer["QueryExecutionId"])

    async def _hold(self, query: Query) -> int:
        """The workgroup's cut-off where it has one, else what the caller allows; never less than the minimum."""
        return hold(await self._work_group(query.workgroup), query.scan_max)

    async def _work_group(self, name: str) -> Mapping[str, Any]:
        now_ms = self._engine.clock.monotonic_ns() // 1_000_000
        known = self._groups.get(name)
        if known is not None and now_ms - known[1] < GROUP_KEPT_MS:
            return known[0]
        try:
            answer: Mapping[str, Any] = await self._ask("get_work_group", {"WorkGroup": name})
        except ServiceError:
            return {}  # it may not be ours to read; the hold then is the caller's
        if len(self._groups) >= GROUPS_MAX:
            self._groups.clear()
        self._groups[name] = (answer, now_ms)
        return answer

    async def _rows(self, started: str) -> tuple[list[dict[str, Any]], list[str], bool]:
        """At most `ROWS_MAX` rows as dictionaries, the columns, and whether there were more."""
        rows: list[dict[str, Any]] = []
        request: dict[str, Any] = {"QueryExecutionId": started, "MaxResults": PAGE}
        columns: list[str] = []
        for page in range(ROWS_MAX // PAGE):
            answer = await self._ask("get_query_results", request)
            found = answer.get("ResultSet", {})
            columns = [column["Name"] for column in found.get("ResultSetMetadata", {}).get("ColumnInfo", [])]
            values = [[cell.get("VarCharValue") for cell in row.get("Data", [])] for row in found.get("Rows", [])]
            if page == 0 and values and values[0] == columns:
                values = values[1:]  # a SELECT's first row is its header
            rows += [dict(zip(columns, row, strict=False)) for row in values]
            if not answer.get("NextToken"):
                return rows, columns, False
            request["NextToken"] = answer["NextToken"]
        return rows, columns, True

    async def _ask(self, operation: str, request: Mapping[str, Any]) -> Any:
        client = client_of(self._engine.clients, "athena")
        return await self._engine.aws.call("athena", client, operation, request)


class _Run:
    """A query under way, watched to its end; whoever gives up on it stops it first."""

    def __init__(self, ask: Any, started: str, hold: int, clock: Clock) -> None:
        self._ask, self._id, self._hold, self._clock = ask, {"QueryExecutionId": started}, hold, clock

    async def until_end(self, reservation: Reservation) -> Mapping[str, Any]:
        """What GetQueryExecution says at the end. A cancelled caller stops the query and waits for its bill."""
        try:
            return await self._watch(stop_at_ms=TIMEOUT_MS)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._stop()
                ended = await self._watch(stop_at_ms=0)
            reservation.settle({"bytes_scanned": billed_bytes(ended)})
            raise

    async def _watch(self, *, stop_at_ms: int) -> Mapping[str, Any]:
        pause_ms, lost, stopped = POLL_FIRST_MS, 0, stop_at_ms == 0
        begun_ns = self._clock.monotonic_ns()
        while True:
            try:
                answer: Mapping[str, Any] = (await self._ask("get_query_execution", self._id))["QueryExecution"]
            except ServiceError:
                lost += 1
                if lost >= POLLS_LOST_MAX:
                    raise
                answer = {}
            else:
                lost = 0
            if state(answer) in ENDED:
                return answer
            late = self._clock.monotonic_ns() - begun_ns > stop_at_ms * 1_000_000
            if not stopped and (late or scanned(answer) > self._hold):
                await self._stop()
                stopped = True
            await self._clock.sleep_ms(pause_ms)
            pause_ms = min(2 * pause_ms, POLL_LAST_MS)

    async def _stop(self) -> None:
        try:
            await self._ask("stop_query_execution", self._id)
        except ServiceError:
            return  # it may have ended by itself; the next look says


def _settle(reservation: Reservation, ended: Mapping[str, Any]) -> None:
    """Record what the query is billed. Raises `ServiceError` for one that did not succeed."""
    reservation.settle({"bytes_scanned": billed_bytes(ended)})
    end = state(ended)
    if end == "SUCCEEDED":
        return
    reason = one_line(str(ended["Status"].get("StateChangeReason", "")))[:300]
    # Category 2 is the user's own error (AthenaError, ErrorCategory): it says nothing about Athena's health.
    users = ended["Status"].get("AthenaError", {}).get("ErrorCategory") == 2
    raise ServiceError(
        "athena",
        f"the query was {'stopped' if end == 'CANCELLED' else 'not run'}: {reason or end}",
        retryable=end == "FAILED" and not users,
        billed=Billed.YES if end == "CANCELLED" else Billed.NO,
        status=400 if users or end == "CANCELLED" else None,
    )
