"""The configuration in the API: read again on demand."""

from __future__ import annotations

from typing import cast

import orjson
from fastapi import APIRouter, Request, Response

from aegis.app.reloading import Reloading
from aegis.core.errors import ConfigError
from aegis.core.roles import Person
from aegis.web.access import PERSON
from aegis.web.problems import problem


def router(reloading: Reloading | None) -> APIRouter:
    """`POST /api/config/reload`; 404 where nothing can be read again (the sandbox, the demo)."""
    routes = APIRouter(prefix="/api/config")

    @routes.post("/reload")
    async def reload(request: Request) -> Response:
        """Read the configuration again; what it says of budgets, prices and the gateway's upstreams holds at once."""
        if reloading is None:
            return problem(404, "no_such_config", "This Aegis has no configuration of its own to read again")
        try:
            done = await reloading.reload(by=cast(Person, request.scope[PERSON]).name)
        except ConfigError as wrong:
            return problem(422, "bad_config", str(wrong))
        document = {"schema": "aegis.reload/1", "taken": done.taken, "waits": done.waits}
        return Response(orjson.dumps(document), media_type="application/json")

    return routes
