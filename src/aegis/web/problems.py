"""Errors as RFC 9457 problem documents: one table from the errors of the core to HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from aegis.core.errors import AegisError, BadInput, BudgetExceeded, ConfigError, Refused, ServiceError, StoreError

STATUS: tuple[tuple[type[AegisError], int, str], ...] = (
    (BadInput, 400, "bad_input"),
    (BudgetExceeded, 429, "budget_exceeded"),
    (Refused, 429, "refused"),
    (ServiceError, 502, "service_failed"),
    (StoreError, 503, "store_unavailable"),
    (ConfigError, 500, "config_invalid"),
)
"""From the most particular class to the least; what is in no row is our own fault."""


def problem(status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """A problem document: `status` as HTTP knows it, `code` stable for programs, `detail` a sentence for people."""
    import orjson

    titles = {400: "Bad request", 401: "Sign in first", 403: "Not allowed", 404: "Not found", 405: "Not allowed"}
    titles |= {413: "Too large", 422: "Not as described"}
    document = {
        "type": f"urn:aegis:problem:{code}",
        "title": titles.get(status, "Refused" if status == 429 else "Failed"),
        "status": status,
        "detail": detail,
        "code": code,
    }
    return Response(orjson.dumps(document), status, dict(headers or {}), "application/problem+json")


def bad_input_status(code: str) -> int:
    """The status of a `BadInput`, by its code."""
    if code.startswith("no_such_"):
        return 404
    return {"too_large": 413, "stale_form": 403}.get(code, 400)


async def on_error(_: Request, error: Exception) -> Response:
    """The answer to any error of the core."""
    assert isinstance(error, AegisError)
    for kind, status, code in STATUS:
        if isinstance(error, kind):
            if isinstance(error, BadInput):
                return problem(bad_input_status(error.code), error.code, str(error))
            wait = error.retry_after_ms if isinstance(error, Refused | ServiceError) else None
            headers = {"Retry-After": str(-(-wait // 1000))} if wait is not None else None
            return problem(status, code, str(error), headers=headers)
    return problem(500, "failed", "Aegis failed; the log names the cause")
