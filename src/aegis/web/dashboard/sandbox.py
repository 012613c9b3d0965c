"""Sandbox: what the stand-in of every service received, where there is one behind this Aegis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from aegis.core.money import show_usd
from aegis.sandbox.records import Record, Tally
from aegis.web.dashboard.frame import Frame

RECORDS_SHOWN: Final = 25
BODY_CHARS: Final = 4_000


def add(routes: APIRouter, frame: Frame) -> None:
    """The pages `/sandbox` and `/sandbox/{service}`."""

    @routes.get("/sandbox")
    async def sandbox(request: Request) -> Response:
        if frame.received is None:
            return frame.page(request, "missing.html", status=404, what="sandbox behind this Aegis")
        tallies = frame.received()
        rows = [_row(name, tally) for name, tally in sorted(tallies.items()) if tally.number or tally.received]
        quiet = sorted(name for name, tally in tallies.items() if not tally.number and not tally.received)
        return frame.page(request, "sandbox.html", rows=rows, quiet=quiet)

    @routes.get("/sandbox/{service}")
    async def service(request: Request, service: str) -> Response:
        tallies = frame.received() if frame.received is not None else {}
        if service not in tallies:
            return frame.page(request, "missing.html", status=404, what=f"service {service[:40]} in the sandbox")
        newest = list(tallies[service].records)[-RECORDS_SHOWN:]
        records = [_record(one) for one in reversed(newest)]
        return frame.page(
            request, "sandbox_service.html", service=service, row=_row(service, tallies[service]), records=records
        )


def _row(name: str, tally: Tally) -> Mapping[str, Any]:
    return {
        "name": name,
        "received": tally.received,
        "rejected": tally.rejected,
        "faulted": tally.faulted,
        "billed": show_usd(tally.billed, decimals=4) if tally.billed else "–",
        "last": tally.last_line,
        "usage": ", ".join(f"{units:,} {meter.replace('_', ' ')}" for meter, units in sorted(tally.usage.items())),
    }


def _record(one: Record) -> Mapping[str, Any]:
    return {
        "number": one.number,
        "time": one.at[11:19],
        "method": one.method,
        "path": one.path,
        "status": one.status,
        "tone": "good" if one.status and one.status < 300 else "high",
        "line": one.line,
        "refused": one.refused,
        "fault": one.fault,
        "body": one.body[:BODY_CHARS],
        "billed": one.billed_usd,
    }
