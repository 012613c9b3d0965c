"""The API of the comparison with the providers' bills: `/api/reconcile`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aegis.app import App
from aegis.app.reconciling import ran_row
from aegis.core.bills import DAYS_MAX
from aegis.core.roles import Person
from aegis.web.access import PERSON

KEPT_MAX = 400
"""Days of comparisons that the store keeps."""


class Wanted(BaseModel):
    """What is to be compared: whole days before today, whose bills (empty: all that are read), and whether it is taken over."""

    model_config = ConfigDict(extra="forbid")
    days: int = Field(default=7, ge=1, le=DAYS_MAX)
    providers: list[Literal["anthropic", "openai", "aws", "twilio", "virustotal"]] = Field(
        default_factory=list, max_length=5
    )
    apply: bool = False


def router(app: App) -> APIRouter:
    """The routes, bound to one running Aegis."""
    routes = APIRouter(prefix="/api")
    reconciling = app.reconciling
    assert reconciling is not None, "an opened Aegis can compare"

    @routes.get("/reconcile")
    async def known(days: Annotated[int, Query(ge=1, le=KEPT_MAX)] = 31) -> Response:
        """The comparisons on record, the newest day first, and when bills were read last. Nobody is asked."""
        rows, read = await reconciling.known(days)
        return _json({"schema": "aegis.reconciled/1", **read, "days": rows})

    @routes.post("/reconcile")
    async def run(request: Request, wanted: Wanted) -> Response:
        """Ask the providers and compare now; with `apply` what was found is taken over, and on the audit log."""
        person: Person = request.scope[PERSON]
        ran = await reconciling.run(
            days=wanted.days,
            by=person.name,
            providers=wanted.providers,
            apply="all" if wanted.apply else "nothing",
        )
        return _json({"schema": "aegis.reconcile/1", **ran_row(ran)})

    return routes


def _json(document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
