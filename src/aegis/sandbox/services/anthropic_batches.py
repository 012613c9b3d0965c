"""Anthropic's message batches: requests are taken together, worked when their time has come, and answered line by line.

A batch is in_progress, then canceling or at once ended; its results say of each request whether it succeeded, errored,
was canceled or expired (platform.claude.com: message batches). What succeeded is billed at half of the list price.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from aegis.core.money import Nanos
from aegis.sandbox.exchange import Asked, Reply, Unreadable, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Route, route
from aegis.sandbox.services.bills import keep

REQUESTS_MAX = 100_000
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""A custom_id (platform.claude.com, create a message batch)."""
HOST = "https://api.anthropic.com"
"""Whatever the address it was asked under, the vendor names its own in `results_url`."""

Answer = Callable[[Asked, Room], Reply]
Refuse = Callable[[int, str, Room], Reply]


class _Batches:
    def __init__(self, answer: Answer, refuse: Refuse) -> None:
        self._answer, self._no = answer, refuse

    def create(self, asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
        try:
            body = asked.json()
        except Unreadable as error:
            return self._no(400, str(error), room)
        requests = body.get("requests") if isinstance(body, dict) and body.keys() == {"requests"} else None
        if not isinstance(requests, list) or not 1 <= len(requests) <= REQUESTS_MAX:
            return self._no(400, f"requests: 1 to {REQUESTS_MAX} are needed, and nothing else", room)
        names = [one.get("custom_id") if isinstance(one, dict) else None for one in requests]
        if not all(isinstance(name, str) and NAME.fullmatch(name) for name in names):
            return self._no(400, f"requests: a custom_id is {NAME.pattern}", room)
        if len(set(names)) < len(names):
            return self._no(400, "requests: every custom_id must be unique", room)
        if not all(one.keys() == {"custom_id", "params"} and isinstance(one["params"], dict) for one in requests):
            return self._no(400, "requests: custom_id and params are needed", room)
        batch = self._new(asked, room, len(requests))
        room.put("batch", batch["id"], batch)
        room.put("requests", batch["id"], {"requests": requests, "version": asked.header("anthropic-version")})
        return reply_json(200, batch, line=f"a batch of {len(requests)} requests")

    def _new(self, asked: Asked, room: Room, size: int) -> Document:
        digest = hashlib.sha256(f"msgbatch{room.next('msgbatch')}".encode()).hexdigest()
        return {
            "id": f"msgbatch_01{digest[:22]}",
            "type": "message_batch",
            "processing_status": "in_progress",
            "request_counts": {"processing": size, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
            "created_at": _text(asked.at),
            "expires_at": _text(asked.at + timedelta(hours=24)),
            "ended_at": None,
            "cancel_initiated_at": None,
            "archived_at": None,
            "results_url": None,
        }

    def look(self, asked: Asked, room: Room, found: re.Match[str]) -> Reply:
        batch = room.get("batch", found["id"])
        if batch is None:
            return self._no(404, f"no message batch {found['id']}", room)
        billed = 0
        if batch["processing_status"] != "ended":
            batch, billed = self._proceed(asked, room, batch)
        return reply_json(200, batch, billed=billed)

    def every(self, _asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
        data = [*room.every("batch").values()][::-1]
        ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
        return reply_json(200, {"data": data, "has_more": False, **ends})

    def cancel(self, asked: Asked, room: Room, found: re.Match[str]) -> Reply:
        batch = room.get("batch", found["id"])
        if batch is None:
            return self._no(404, f"no message batch {found['id']}", room)
        if batch["processing_status"] == "in_progress":
            batch = {**batch, "processing_status": "canceling", "cancel_initiated_at": _text(asked.at)}
            room.put("batch", batch["id"], batch)
        return reply_json(200, batch)

    def delete(self, _asked: Asked, room: Room, found: re.Match[str]) -> Reply:
        batch = room.get("batch", found["id"])
        if batch is None:
            return self._no(404, f"no message batch {found['id']}", room)
        if batch["processing_status"] != "ended":
            return self._no(400, f"{batch['id']} is still processing: cancel it first", room)
        for kind in ("batch", "requests", "results"):
            room.drop(kind, batch["id"])
        return reply_json(200, {"id": batch["id"], "type": "message_batch_deleted"})

    def results(self, _asked: Asked, room: Room, found: re.Match[str]) -> Reply:
        held = room.get("results", found["id"])
        if held is None:
            return self._no(404, f"no results of {found['id']}", room)
        return Reply(status=200, body=held["text"].encode(), content_type="application/x-jsonl")

    def _proceed(self, asked: Asked, room: Room, batch: Document) -> tuple[Document, Nanos]:
        created = datetime.fromisoformat(batch["created_at"])
        over = asked.at - created >= timedelta(milliseconds=room.terms.batch_ms)
        expired = asked.at >= datetime.fromisoformat(batch["expires_at"]) and not over
        canceling = batch["processing_status"] == "canceling"
        if not (over or expired or canceling):
            return batch, 0
        held = room.get("requests", batch["id"]) or {"requests": [], "version": ""}
        requests = held["requests"]
        done = len(requests) // 2 if canceling or expired else len(requests)
        counts = dict.fromkeys(batch["request_counts"], 0)
        lines, billed = [], 0
        for number, one in enumerate(requests):
            if number < done:
                result, cost = self._one(asked, room, one["params"], held["version"])
            else:
                result, cost = {"type": "canceled" if canceling else "expired"}, 0
            counts[result["type"]] += 1
            billed += cost
            lines.append(orjson.dumps({"custom_id": one["custom_id"], "result": result}))
        room.put("results", batch["id"], {"text": b"\n".join(lines).decode() + "\n"})
        address = f"{HOST}/v1/messages/batches/{batch['id']}/results"
        ended = {"processing_status": "ended", "ended_at": _text(asked.at), "results_url": address}
        batch = {**batch, **ended, "request_counts": counts}
        room.put("batch", batch["id"], batch)
        return batch, billed

    def _one(self, asked: Asked, room: Room, params: Document, version: str) -> tuple[Document, Nanos]:
        headers = {**asked.headers, "anthropic-version": version}
        inner = replace(asked, method="POST", path="/v1/messages", query={}, headers=headers, body=orjson.dumps(params))
        reply = self._answer(inner, room)
        told: Any = orjson.loads(reply.body or b"{}")
        if reply.status != 200 or params.get("stream"):
            return {"type": "errored", "error": told}, 0
        used = {name: units for name, units in reply.usage.items() if name != "requests"}
        told["usage"]["service_tier"] = "batch"
        cost = room.terms.prices.models[params["model"]].batch_cost(**used)
        keep(room, asked, params["model"], cost - reply.billed, {})  # on the bill it stands at the full price by now
        return {"type": "succeeded", "message": told}, cost


def _text(at: datetime) -> str:
    return at.isoformat()


def batch_routes(answer: Answer, refuse: Refuse) -> tuple[Route, ...]:
    """Everything under `/v1/messages/batches`; `answer` answers a request as the service does, `refuse` says no."""
    batches = _Batches(answer, refuse)
    one = "/v1/messages/batches/(?P<id>[A-Za-z0-9_-]+)"
    return (
        route("POST", "/v1/messages/batches", batches.create),
        route("GET", "/v1/messages/batches", batches.every),
        route("GET", one, batches.look),
        route("DELETE", one, batches.delete),
        route("POST", f"{one}/cancel", batches.cancel),
        route("GET", f"{one}/results", batches.results),
    )
