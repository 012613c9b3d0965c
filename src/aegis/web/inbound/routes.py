"""`POST /inbound/SENDER`: the body as it came is verified, then taken; what it asks for is durable before the answer.

Policy: a sender that is not configured does not exist (404); refusals are problem documents that name the kind and
quote nothing; bodies, headers and secrets are never logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import anyio
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aegis.app import App
from aegis.core.errors import BadInput, ServiceError, StoreError
from aegis.core.inbound import Received
from aegis.core.ports import HttpRequest
from aegis.core.secret import Secret
from aegis.incidents.inbox import Outcome
from aegis.web.inbound import slack
from aegis.web.inbound.keys import Keys
from aegis.web.inbound.senders import SENDERS
from aegis.web.inbound.signed import Door, Headers, Untrusted
from aegis.web.problems import problem

BODY_BYTES_MAX = 1024 * 1024
"""PagerDuty and SNS send 256 KB at most; a group of a thousand alerts fits."""
AT_ONCE = 64
"""Deliveries under way: with their bodies 64 MiB at most, whoever sends them."""
BODY_SECONDS = 10
"""How long a body may take to arrive: senders give up by then themselves."""


class _NotTaken(Exception):
    """An answer other than success."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer


def inbound(app: App) -> Starlette:
    """The routes of every sender that is configured, below `/inbound`, bound to one running Aegis."""
    assert app.inbound is not None, "the parts are wired before there is a face"
    keys = Keys(app.inbound.http, clock=app.clock)
    doors = {name: door_of(values) for name, values in app.inbound.senders.items()}
    room = anyio.CapacityLimiter(AT_ONCE)

    async def take(request: Request) -> Response:
        name = str(request.path_params["sender"])
        if name not in doors:
            return problem(404, "no_such_sender", "No sender of this name is configured under `inbound`")
        if room.available_tokens == 0:
            return problem(503, "busy", "Too many deliveries at once; send it again", headers={"Retry-After": "5"})
        async with room:
            try:
                body = await _body(request)
                received = await _verified(app, name, doors[name], _headers(request), body, keys)
                return _answer(name, await _taken(app, received))
            except _NotTaken as other:
                return other.answer

    return Starlette(routes=[Route("/{sender}", take, methods=["POST"])])


def door_of(values: Mapping[str, Any]) -> Door:
    """How a sender is recognised, from its options with their secrets resolved."""
    secrets = tuple(values[key] for key in ("secret", "previous") if isinstance(values.get(key), Secret))
    return Door(
        secrets=secrets,
        header=str(values.get("header", "")),
        user=str(values.get("user", "")),
        topics=frozenset(values.get("topics", ())),
        partner=bool(values.get("partner", False)),
    )


async def _verified(app: App, name: str, door: Door, headers: Headers, body: bytes, keys: Keys) -> Received:
    sender, now = SENDERS[name], app.clock.now()
    try:
        if wanted := sender.key_wanted(headers, body, door):
            door = replace(door, keys=await keys.get(name, wanted))
        return sender.receive(headers, body, door, now)
    except Untrusted as error:
        raise _NotTaken(problem(401, error.code, str(error))) from None
    except BadInput as error:
        raise _NotTaken(problem(400, error.code, str(error))) from None
    except ServiceError:
        detail = "The sender's public key cannot be fetched now"
        raise _NotTaken(problem(503, "no_key", detail, headers={"Retry-After": "60"})) from None


async def _taken(app: App, received: Received) -> Outcome:
    assert app.inbound is not None
    try:
        if received.confirm:
            await app.inbound.http.send(
                HttpRequest(service=received.service, method="GET", url=received.confirm, answer_bytes_max=64 * 1024)
            )
        return await app.inbound.inbox.take(received)
    except BadInput as error:
        raise _NotTaken(problem(400, error.code, str(error))) from None
    except (StoreError, ServiceError):
        detail = "What was sent could not be stored now; send it again"
        raise _NotTaken(problem(503, "not_stored", detail, headers={"Retry-After": "10"})) from None


def _answer(name: str, outcome: Outcome) -> Response:
    """200 for what was taken (also before), 202 where some of it is about incidents that nobody knows. Slack shows what
    stands in an answer, and wants none.
    """
    if name == slack.NAME:
        return Response(status_code=200)
    document = {
        "schema": "aegis.inbound/1",
        "duplicate": outcome.duplicate,
        "taken": outcome.taken,
        "unknown": outcome.unknown,
    }
    return Response(orjson.dumps(document), 202 if outcome.unknown else 200, media_type="application/json")


def _headers(request: Request) -> Headers:
    return {name.lower(): value for name, value in request.headers.items()}


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    with anyio.move_on_after(BODY_SECONDS):
        async for part in request.stream():
            size += len(part)
            if size > BODY_BYTES_MAX:
                raise _NotTaken(problem(413, "too_large", f"The body is larger than {BODY_BYTES_MAX // 1024} KiB"))
            parts.append(part)
        return b"".join(parts)
    raise _NotTaken(problem(408, "too_slow", f"The body did not arrive within {BODY_SECONDS} seconds"))
