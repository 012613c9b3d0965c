"""A Docker engine: containers that are made for a rehearsal, listed by label, paused, stopped and started.

Answers and errors as the Engine API 1.41 has them; `POST /containers/create` and `start` as there, without images.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import orjson

from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service, find, route

VERSION = "1.41"


def answer(asked: Asked, room: Room) -> Reply:
    if asked.path == "/_ping":
        return Reply(status=200, body=b"OK", content_type="text/plain", headers={"api-version": VERSION})
    return find(ROUTES, asked, room) or _no(404, "page not found")


def _no(status: int, why: str) -> Reply:
    return reply_json(status, {"message": why}, refused=why)


def _create(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    try:
        body = asked.json()
    except Unreadable as error:
        return _no(400, str(error))
    if not isinstance(body, dict) or not body.get("Image"):
        return _no(400, "No command or image specified")
    number = hashlib.sha256(f"container {room.next('container')}".encode()).hexdigest()
    name = asked.param("name") or number[:12]
    if any(one["Name"] == name for one in room.every("container").values()):
        return _no(409, f"Conflict. The container name {clip(name, 80)} is already in use")
    labels = body.get("Labels") or {}
    made = {"Id": number, "Name": name, "Image": body["Image"], "Labels": labels, "Status": "created", "touched": 0}
    room.put("container", number, made)
    return reply_json(201, {"Id": number, "Warnings": []}, line=f"container {clip(name, 80)} created")


def _list(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    try:
        filters = orjson.loads(asked.param("filters") or "{}")
    except orjson.JSONDecodeError:
        filters = None
    if not isinstance(filters, dict):
        return _no(400, "invalid filter")
    everything = asked.param("all") in ("1", "true") or "status" in filters
    found = [
        one
        for one in room.every("container").values()
        if all(_has(one["Labels"], label) for label in filters.get("label", ()))
        and (one["Status"] in filters["status"] if "status" in filters else True)
        and (everything or one["Status"] in ("running", "paused"))
    ]
    return reply_json(200, [_listed(one) for one in found])


def _has(labels: dict[str, str], wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    return labels.get(name) == value if equals else name in labels


def _listed(one: Document) -> Document:
    return {
        "Id": one["Id"],
        "Names": [f"/{one['Name']}"],
        "Image": one["Image"],
        "Labels": one["Labels"],
        "State": one["Status"],
        "Status": one["Status"],
    }


def _inspect(_asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    one = room.get("container", found["id"])
    if one is None:
        return _missing(found)
    status = one["Status"]
    state = {"Status": status, "Running": status in ("running", "paused"), "Paused": status == "paused"}
    config: dict[str, Any] = {"Image": one["Image"], "Labels": one["Labels"]}
    return reply_json(200, {"Id": one["Id"], "Name": f"/{one['Name']}", "State": state, "Config": config})


def _missing(found: re.Match[str]) -> Reply:
    return _no(404, f"No such container: {clip(found['id'], 80)}")


def _order(_asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    one, order = room.get("container", found["id"]), found["order"]
    if one is None:
        return _missing(found)
    status = one["Status"]
    if order == "pause" and status != "running":
        return _no(409, f"Container {one['Id']} is {'already paused' if status == 'paused' else 'not running'}")
    if order == "unpause" and status != "paused":
        return _no(409, f"Container {one['Id']} is not paused")
    if (order == "stop" and status == "exited") or (order == "start" and status == "running"):
        return Reply(status=304)
    after = {"pause": "paused", "unpause": "running", "stop": "exited", "start": "running"}[order]
    room.put("container", one["Id"], {**one, "Status": after, "touched": one["touched"] + (order != "start")})
    return Reply(status=204, line=f"container {one['Name']}: {order}")


def failure(status: int, retry_after_s: int | None) -> Reply:
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    return reply_json(status, {"message": "the sandbox was told to fail"}, headers=wait)


_V = r"(?:/v1\.\d+)?"
ROUTES = (
    route("POST", f"{_V}/containers/create", _create),
    route("GET", f"{_V}/containers/json", _list),
    route("GET", rf"{_V}/containers/(?P<id>[0-9a-f]{{64}})/json", _inspect),
    route("POST", rf"{_V}/containers/(?P<id>[0-9a-f]{{64}})/(?P<order>pause|unpause|stop|start)", _order),
)
SERVICE = Service(name="docker", answer=answer, failure=failure)
