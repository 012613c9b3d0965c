"""Athena with one table of its own, and the bill of a real one (Athena API reference; aws.amazon.com/athena/pricing).

The table `security_events` has 4 GB in 16 columns and 30 days: a query that names its columns reads a sixteenth for
each, one that names a day a thirtieth. An equal query within the age that was asked for is answered from the last one.
"""

from __future__ import annotations

import re
from typing import Any

from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service

TARGET = "AmazonAthena."
TABLE_BYTES, COLUMNS, DAYS = 4 * 1024**3, 16, 30
NANOS_PER_MILLION_BYTES = 4_548
"""5 USD for a TB of 2^40 bytes."""
BILLED_MIN = 10 * 1024**2
QUERY_MAX = 262_144
"""Characters of a query (StartQueryExecution, QueryString)."""
ADDRESSES = ("203.0.113.7", "198.51.100.23", "203.0.113.99")


def answer(asked: Asked, room: Room) -> Reply:
    operation = asked.header("x-amz-target").removeprefix(TARGET)
    handle = _OPERATIONS.get(operation)
    if asked.method != "POST" or handle is None:
        return _no("UnknownOperationException", f"there is no operation {clip(operation, 60)!r} here")
    if not asked.header("authorization").startswith("AWS4-HMAC-SHA256 "):
        return _no("UnrecognizedClientException", "the request is not signed")
    try:
        body = asked.json()
    except Unreadable as error:
        return _no("SerializationException", str(error))
    return handle(body, asked, room) if isinstance(body, dict) else _no("SerializationException", "no JSON object")


def _no(code: str, why: str) -> Reply:
    return reply_json(400, {"__type": code, "Message": why}, refused=f"{code}: {why}")


def _start(body: Document, asked: Asked, room: Room) -> Reply:
    sql = str(body.get("QueryString", ""))
    if _group_state(room, str(body.get("WorkGroup", "primary"))) == "DISABLED":
        return _no("InvalidRequestException", "WorkGroup is disabled")
    if not sql.strip() or len(sql) > QUERY_MAX:
        return _no("InvalidRequestException", "a query has 1 to 262,144 characters")
    if sql.count("?") != len(body.get("ExecutionParameters") or []):
        return _no("InvalidRequestException", "there is not one parameter for each ?")
    token = str(body.get("ClientRequestToken", ""))
    known = room.get("token", token) if token else None
    if known is not None:
        return reply_json(200, {"QueryExecutionId": known["id"]}, line="the same query, asked to start again")
    number = f"query-{room.next('query'):06d}"
    asked_for = {"sql": sql, "parameters": body.get("ExecutionParameters") or []}
    reused = _reused(body, asked, room, asked_for)
    scanned = 0 if reused else _scanned(sql)
    billed = 0 if reused else max(BILLED_MIN, scanned)
    document = {"asked": asked_for, "at": asked.at.timestamp(), "scanned": scanned, "reused": reused, "looks": 0}
    room.put("query", number, document)
    if token:
        room.put("token", token, {"id": number})
    cost = -(-billed * NANOS_PER_MILLION_BYTES // 1_000_000)
    return reply_json(200, {"QueryExecutionId": number}, line=clip(sql), billed=cost, usage={"bytes_scanned": billed})


def _reused(body: Document, asked: Asked, room: Room, asked_for: Document) -> bool:
    """Whether an equal query ended within the age that the caller takes."""
    by_age = (body.get("ResultReuseConfiguration") or {}).get("ResultReuseByAgeConfiguration") or {}
    if not by_age.get("Enabled"):
        return False
    since = asked.at.timestamp() - 60 * int(by_age.get("MaxAgeInMinutes", 60))
    return any(one["asked"] == asked_for and one["at"] >= since for one in room.every("query").values())


def _scanned(sql: str) -> int:
    """Bytes that a query reads: by the columns and days that it names."""
    chosen = re.search(r"select\s+(.*?)\s+from\s+", sql, re.IGNORECASE | re.DOTALL)
    columns = COLUMNS if chosen is None or "*" in chosen[1] else min(COLUMNS, chosen[1].count(",") + 1)
    days = 1 if re.search(r"\bday\s*=", sql, re.IGNORECASE) else DAYS
    return TABLE_BYTES * columns * days // (COLUMNS * DAYS)


def _look(body: Document, _asked: Asked, room: Room) -> Reply:
    number = str(body.get("QueryExecutionId", ""))
    query = room.get("query", number)
    if query is None:
        return _no("InvalidRequestException", f"QueryExecution {clip(number, 60)} was not found")
    looks = query["looks"] + 1
    room.put("query", number, {**query, "looks": looks})
    state = "CANCELLED" if query.get("stopped") else "RUNNING" if looks == 1 and not query["reused"] else "SUCCEEDED"
    execution = {
        "QueryExecutionId": number,
        "Query": query["asked"]["sql"],
        "StatementType": "DML",
        "Status": {"State": state},
        "Statistics": {
            "DataScannedInBytes": query["scanned"],
            "ResultReuseInformation": {"ReusedPreviousResult": query["reused"]},
        },
    }
    return reply_json(200, {"QueryExecution": execution}, line=f"{number}: {state}")


def _stop(body: Document, _asked: Asked, room: Room) -> Reply:
    number = str(body.get("QueryExecutionId", ""))
    query = room.get("query", number)
    if query is None:
        return _no("InvalidRequestException", f"QueryExecution {clip(number, 60)} was not found")
    if query["looks"] < 2:
        room.put("query", number, {**query, "stopped": True})
    return reply_json(200, {}, line=f"{number} was stopped")


def _results(body: Document, _asked: Asked, room: Room) -> Reply:
    query = room.get("query", str(body.get("QueryExecutionId", "")))
    if query is None or query.get("stopped"):
        return _no("InvalidRequestException", "the query has no results")
    names = ("source_ip", "severity", "events")
    rows = [names, *((address, "HIGH", str(3 * number + 4)) for number, address in enumerate(ADDRESSES))]
    found: dict[str, Any] = {
        "Rows": [{"Data": [{"VarCharValue": value} for value in row]} for row in rows],
        "ResultSetMetadata": {"ColumnInfo": [{"Name": name, "Type": "varchar"} for name in names]},
    }
    return reply_json(200, {"ResultSet": found}, line=f"{len(ADDRESSES)} rows")


def _group(body: Document, _asked: Asked, room: Room) -> Reply:
    name = str(body.get("WorkGroup", "primary"))
    group = {"Name": name, "State": _group_state(room, name), "Configuration": {}}
    return reply_json(200, {"WorkGroup": group}, line="the workgroup has no cut-off of its own")


def _group_state(room: Room, name: str) -> str:
    return str((room.get("workgroup", name) or {"state": "ENABLED"})["state"])


def _update_group(body: Document, _asked: Asked, room: Room) -> Reply:
    name, state = str(body.get("WorkGroup", "")), body.get("State", "ENABLED")
    if not name or state not in ("ENABLED", "DISABLED"):
        return _no("InvalidRequestException", "a workgroup is ENABLED or DISABLED")
    room.put("workgroup", name, {"state": state})
    return reply_json(200, {}, line=f"workgroup {clip(name, 60)} is {state}")


def _failure(status: int, _after: int | None) -> Reply:
    code = {401: "UnrecognizedClientException", 429: "TooManyRequestsException"}.get(status, "InternalServerException")
    return reply_json(400 if status in (401, 429) else 500, {"__type": code, "Message": "the sandbox was told to fail"})


_OPERATIONS = {
    "StartQueryExecution": _start,
    "GetQueryExecution": _look,
    "StopQueryExecution": _stop,
    "GetQueryResults": _results,
    "GetWorkGroup": _group,
    "UpdateWorkGroup": _update_group,
}
SERVICE = Service(name="athena", answer=answer, failure=_failure)
