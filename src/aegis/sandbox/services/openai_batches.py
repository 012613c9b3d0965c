"""OpenAI's files and batches: a file of requests is kept, worked when its time has come, and answered by a file.

A batch goes from validating over in_progress to completed, cancelled or expired (platform.openai.com: batch). Each line
is answered by the endpoint it names, and billed at half of the list price.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import orjson

from aegis.core.money import Nanos
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Route, route

FILE_MAX = 200 * 1024 * 1024
LINES_MAX = 50_000
"""Of an input file (platform.openai.com, batch: rate limits)."""
WINDOW_S, DAY_S = 86_400, 86_400
PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
ENDPOINTS = ("/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/completions", "/v1/moderations")
LINE = frozenset({"custom_id", "method", "url", "body"})
ENDED = ("completed", "failed", "expired", "cancelled")

Answer = Callable[[Asked, Room], Reply]
"""How the service answers one request."""
Rebate = Callable[[Room, Asked, str, Nanos], None]
"""Takes something off the day's costs of a model."""


def no(status: int, why: str, *, param: str | None = None) -> Reply:
    error = {"message": why, "type": "invalid_request_error", "param": param, "code": None}
    return reply_json(status, {"error": error}, refused=why)


def _id(prefix: str, room: Room) -> str:
    return prefix + hashlib.sha256(f"{prefix}{room.next(prefix)}".encode()).hexdigest()[:24]


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


# --- files -----------------------------------------------------------------------------------------------------


def _form(asked: Asked) -> Mapping[str, tuple[str, bytes]]:
    """The parts of a multipart form: file name and content by field. Raises `Unreadable`."""
    head = f"content-type: {asked.header('content-type')}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + asked.body)
    if not message.is_multipart():
        raise Unreadable("the body is no multipart form")
    found: dict[str, tuple[str, bytes]] = {}
    for part in message.iter_parts():
        disposition = part["content-disposition"]
        if disposition is None or "name" not in disposition.params:
            raise Unreadable("a part of the form has no name")
        content = part.get_payload(decode=True)
        name = str(disposition.params.get("filename", ""))
        found[disposition.params["name"]] = name, content if isinstance(content, bytes) else b""
    return found


def _upload(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    try:
        form = _form(asked)
    except Unreadable as error:
        return no(400, str(error))
    purpose = form.get("purpose", ("", b""))[1].decode("utf-8", "replace")
    if purpose not in PURPOSES:
        return no(400, f"purpose must be one of {', '.join(PURPOSES)}", param="purpose")
    if "file" not in form or not form["file"][0]:
        return no(400, "file is required", param="file")
    name, content = form["file"]
    if not content or len(content) > FILE_MAX:
        return no(400, "the file is empty or too large", param="file")
    return reply_json(200, keep_file(room, asked.at, name, purpose, content))


def keep_file(room: Room, at: datetime, name: str, purpose: str, content: bytes) -> Document:
    """A new file; returns the file object."""
    held: Document = {
        "id": _id("file-", room),
        "object": "file",
        "bytes": len(content),
        "created_at": _seconds(at),
        "filename": name,
        "purpose": purpose,
        "status": "processed",
        "expires_at": None,
        "status_details": None,
    }
    room.put("file", held["id"], held)
    room.put("content", held["id"], {"text": content.decode("utf-8", "replace")})
    return held


def _file(_asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    held = room.get("file", found["id"])
    return reply_json(200, held) if held else no(404, f"No such File object: {found['id']}", param="id")


def _content(_asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    held = room.get("content", found["id"])
    if held is None:
        return no(404, f"No such File object: {found['id']}", param="id")
    return Reply(status=200, body=held["text"].encode(), content_type="application/octet-stream")


def _delete(_asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    if room.get("file", found["id"]) is None:
        return no(404, f"No such File object: {found['id']}", param="id")
    room.drop("file", found["id"])
    room.drop("content", found["id"])
    return reply_json(200, {"id": found["id"], "object": "file", "deleted": True})


def _files(_asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    return reply_json(200, {"object": "list", "data": [*room.every("file").values()][::-1], "has_more": False})


# --- batches ---------------------------------------------------------------------------------------------------


def _lines(room: Room, file_id: str) -> Iterator[Document]:
    held = room.get("content", file_id)
    for line in (held or {"text": ""})["text"].splitlines():
        if line.strip():
            yield orjson.loads(line)


def _wrong_lines(room: Room, file_id: str, endpoint: str) -> list[Document]:
    """What is wrong with an input file, line by line, as a failed batch says it."""
    wrong: list[Document] = []
    seen: set[str] = set()
    number = 0
    try:
        for number, line in enumerate(_lines(room, file_id), 1):
            name = line.get("custom_id")
            if not isinstance(name, str) or name in seen or line.keys() != LINE:
                wrong.append(_line_error("invalid_json_line", "a custom_id of its own, method, url and body", number))
            elif line["url"] != endpoint or line["method"] != "POST":
                wrong.append(_line_error("mismatched_url", f"the batch is for {endpoint}", number))
            seen.add(str(name))
    except (orjson.JSONDecodeError, AttributeError):
        wrong.append(_line_error("invalid_json_line", "this line is no JSON object", number + 1))
    if not number and not wrong:
        wrong.append(_line_error("empty_file", "the input file is empty", 0))
    if number > LINES_MAX:
        wrong.append(_line_error("too_many_tasks", f"at most {LINES_MAX} requests", LINES_MAX))
    return wrong


def _line_error(code: str, message: str, line: int) -> Document:
    return {"code": code, "message": message, "param": None, "line": line}


def _create(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    try:
        body = asked.json()
    except Unreadable as error:
        return no(400, str(error))
    known = {"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"}
    if not isinstance(body, dict) or not body.keys() <= known:
        return no(400, "unknown parameter")
    if body.get("endpoint") not in ENDPOINTS:
        return no(400, f"endpoint must be one of {', '.join(ENDPOINTS)}", param="endpoint")
    if body.get("completion_window") != "24h":
        return no(400, "completion_window must be 24h", param="completion_window")
    file = room.get("file", str(body.get("input_file_id")))
    if file is None or file["purpose"] != "batch":
        return no(400, "no such input file of purpose batch", param="input_file_id")
    now = _seconds(asked.at)
    batch: Document = {
        "id": _id("batch_", room),
        "object": "batch",
        "endpoint": body["endpoint"],
        "errors": None,
        "input_file_id": file["id"],
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now,
        "expires_at": now + WINDOW_S,
        **dict.fromkeys(("in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at")),
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": body.get("metadata"),
    }
    room.put("batch", batch["id"], batch)
    return reply_json(200, batch, line=clip(f"a batch for {body['endpoint']}"))


def _list(_asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    data = [*room.every("batch").values()][::-1]
    return reply_json(200, {"object": "list", "data": data, "has_more": False})


class _Work:
    """Takes a batch as far as it is at the time of a request."""

    def __init__(self, answer: Answer, rebate: Rebate) -> None:
        self._answer, self._rebate = answer, rebate

    def look(self, asked: Asked, room: Room, found: re.Match[str]) -> Reply:
        batch = room.get("batch", found["id"])
        if batch is None:
            return no(404, f"No batch found with id '{found['id']}'.")
        billed = 0
        if batch["status"] not in ENDED:
            batch, billed = self._proceed(asked, room, batch)
        return reply_json(200, batch, billed=billed)

    def cancel(self, asked: Asked, room: Room, found: re.Match[str]) -> Reply:
        batch = room.get("batch", found["id"])
        if batch is None:
            return no(404, f"No batch found with id '{found['id']}'.")
        if batch["status"] in ENDED:
            return no(409, f"Cannot cancel a batch with status '{batch['status']}'.")
        batch = {**batch, "status": "cancelling", "cancelling_at": _seconds(asked.at)}
        room.put("batch", batch["id"], batch)
        return reply_json(200, batch)

    def _proceed(self, asked: Asked, room: Room, batch: Document) -> tuple[Document, Nanos]:
        now, billed = _seconds(asked.at), 0
        wrong = _wrong_lines(room, batch["input_file_id"], batch["endpoint"])
        over = (asked.at.timestamp() - batch["created_at"]) * 1_000 >= room.terms.batch_ms
        if wrong:
            errors = {"object": "list", "data": wrong}
            batch = {**batch, "status": "failed", "failed_at": now, "errors": errors}
        elif batch["status"] == "cancelling":
            batch, billed = self._finish(asked, room, batch, "cancelled", half=True)
        elif now >= batch["expires_at"] and not over:
            batch, billed = self._finish(asked, room, batch, "expired", half=True)
        elif over:
            batch, billed = self._finish(asked, room, batch, "completed", half=False)
        else:
            total = sum(1 for _ in _lines(room, batch["input_file_id"]))
            counts = {"total": total, "completed": 0, "failed": 0}
            started = batch["in_progress_at"] or now
            batch = {**batch, "status": "in_progress", "in_progress_at": started, "request_counts": counts}
        room.put("batch", batch["id"], batch)
        return batch, billed

    def _finish(self, asked: Asked, room: Room, batch: Document, status: str, *, half: bool) -> tuple[Document, Nanos]:
        """Work the lines (the first half of them where it ended early), and write what came of them."""
        lines = list(_lines(room, batch["input_file_id"]))
        done = lines[: len(lines) // 2] if half else lines
        good: list[Document] = []
        bad: list[Document] = []
        billed = 0
        for line in done:
            told, cost = self._one(asked, room, line)
            billed += cost
            (good if told["response"]["status_code"] == 200 else bad).append(told)
        code = "batch_expired" if status == "expired" else "batch_cancelled"
        for line in lines[len(done) :]:
            error = {"code": code, "message": "This request could not be executed in time."}
            bad.append(
                {"id": _id("batch_req_", room), "custom_id": line["custom_id"], "response": None, "error": error}
            )
        counts = {"total": len(lines), "completed": len(good), "failed": len(bad)}
        ended = {"status": status, f"{status}_at": _seconds(asked.at), "request_counts": counts}
        for field, told_lines in (("output_file_id", good), ("error_file_id", bad)):
            if told_lines:
                text = b"".join(orjson.dumps(told) + b"\n" for told in told_lines)
                name = f"{batch['id']}_{'output' if field == 'output_file_id' else 'error'}.jsonl"
                ended[field] = keep_file(room, asked.at, name, "batch_output", text)["id"]
        return {**batch, **ended}, billed

    def _one(self, asked: Asked, room: Room, line: Document) -> tuple[Document, Nanos]:
        body: Any = line["body"]
        inner = replace(asked, method="POST", path=line["url"], query={}, body=orjson.dumps(body))
        reply = self._answer(inner, room)
        cost = 0
        if reply.status == 200:
            price = room.terms.prices.models[body["model"]]
            used = {name: units for name, units in reply.usage.items() if name != "requests"}
            cost = price.batch_cost(**used)
            self._rebate(room, asked, body["model"], reply.billed - cost)
        response = {"status_code": reply.status, "request_id": _id("req_", room), "body": orjson.loads(reply.body)}
        told = {"id": _id("batch_req_", room), "custom_id": line["custom_id"], "response": response, "error": None}
        return told, cost


def batch_routes(answer: Answer, rebate: Rebate) -> tuple[Route, ...]:
    """Everything under `/v1/files` and `/v1/batches`; `answer` answers a line as the service answers a request."""
    work = _Work(answer, rebate)
    file, batch = "/v1/files/(?P<id>[A-Za-z0-9_-]+)", "/v1/batches/(?P<id>[A-Za-z0-9_-]+)"
    return (
        route("POST", "/v1/files", _upload),
        route("GET", "/v1/files", _files),
        route("GET", file, _file),
        route("GET", f"{file}/content", _content),
        route("DELETE", file, _delete),
        route("POST", "/v1/batches", _create),
        route("GET", "/v1/batches", _list),
        route("GET", batch, work.look),
        route("POST", f"{batch}/cancel", work.cancel),
    )
