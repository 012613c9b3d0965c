"""The sandbox's own addresses under `/sandbox`: what was received, faults, reset, health.

Only for this machine: the name it is called by must be a loopback one, so that no web page can ask through a name
that was made to point here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from aegis.core.addresses import is_loopback
from aegis.core.errors import BadInput
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.faults import Fault
from aegis.sandbox.registry import SERVICES
from aegis.sandbox.world import World


def control(world: World, asked: Asked, name: str) -> Reply:
    """The answer to a request that is for no service."""
    if not is_loopback(urlsplit(f"//{asked.header('host')}").hostname or ""):
        return _problem(403, "not_here", "The sandbox only answers to a loopback name")
    if name != "sandbox":
        return _problem(404, "no_such_service", f"{clip(name, 40)!r} is no service; there are {', '.join(SERVICES)}")
    try:
        return _answer(world, asked)
    except (BadInput, Unreadable) as error:
        code = error.code if isinstance(error, BadInput) else "not_json"
        return _problem(404 if code == "no_such_service" else 400, code, str(error))


def _answer(world: World, asked: Asked) -> Reply:
    what, _, service = asked.path.strip("/").partition("/")
    match asked.method, what, bool(service):
        case "GET", "healthz", False:
            return _document("health", {"status": "ok", "services": list(SERVICES)})
        case "GET", "received", False:
            shown = {name: tally.to_json() for name, tally in world.tallies().items()}
            return _document("received", {"services": shown})
        case "GET", "received", True:
            tally = world.received(service)
            requests = [asdict(record) for record in tally.records]
            return _document("received", {"service": service, **tally.to_json(), "requests": requests})
        case "GET", "faults", False:
            return _document("faults", {"faults": {name: fault.to_json() for name, fault in world.faults().items()}})
        case "PUT", "faults", True:
            fault = Fault.parse(asked.json())
            world.put_fault(service, fault)
            return _document("fault", {"service": service, **fault.to_json()})
        case "POST", "reset", False:
            world.reset()
            return _document("reset", {"status": "ok"})
    return _problem(404, "no_such_path", "There is received, received/SERVICE, faults, faults/SERVICE, reset, healthz")


def _document(name: str, value: Mapping[str, Any]) -> Reply:
    return reply_json(200, {"schema": f"aegis.sandbox-{name}/1", **value})


def _problem(status: int, code: str, detail: str) -> Reply:
    return reply_json(status, {"schema": "aegis.problem/1", "status": status, "code": code, "detail": detail})
