"""Answers that say no, in the shape of whoever is asked: the vendors' own clients read them as the vendor's.

Policy: 429 with `Retry-After` when waiting helps; `x-should-retry: false` whenever it does not, or not soon, so that
the official clients stop at once.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import orjson

from aegis.core.errors import (
    AegisError,
    BadInput,
    BudgetExceeded,
    Refused,
    ServiceError,
    Stopped,
    StoreError,
    UnknownPrice,
)
from aegis.core.keyshapes import mask_keys

Shape = Literal["anthropic", "openai", "bedrock"]
Head = list[tuple[bytes, bytes]]

PASSED_STATUS: Final = frozenset({400, 404, 409, 413, 422, 429, 500, 503, 504, 529})
"""Failures of an upstream that are the caller's to read; 401 and 403 are about the gateway's own key, which is nobody's
business.
"""
RETRY_MS_MAX: Final = 60_000
"""The official clients wait at most a minute by themselves, then try anyway; a longer wait is for the program."""
_ANTHROPIC: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""platform.claude.com, errors."""
_BEDROCK: Final = {
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    502: "ServiceUnavailableException",
    503: "ServiceUnavailableException",
}
"""The modelled errors of Bedrock Runtime; what is not named here is the request's fault."""
QUOTA: Final = "ServiceQuotaExceededException"
"""What AWS' own clients do not try again by themselves; it comes with 400."""


class Refusal(AegisError):
    """An answer that says no. `code` is stable; `retry_after_ms` says when asking again can help (None: it cannot)."""

    def __init__(self, status: int, message: str, *, code: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.retry_after_ms = status, code, retry_after_ms


def refusal_of(error: AegisError) -> Refusal:
    """What an error of the core means to a client."""
    match error:
        case Refusal():
            return error
        case BudgetExceeded():
            return Refusal(429, f"budget: {error}", code="insufficient_quota", retry_after_ms=error.retry_after_ms)
        case UnknownPrice():
            return Refusal(400, str(error), code="unknown_price")
        case Stopped():
            return Refusal(429, str(error), code="stopped")
        case Refused():
            return Refusal(429, str(error), code="rate_limit_exceeded", retry_after_ms=error.retry_after_ms)
        case BadInput():
            return Refusal(400, str(error), code=error.code)
        case ServiceError():
            after = (error.retry_after_ms or 1_000) if error.retryable else None
            return Refusal(502, str(error), code="upstream_failed", retry_after_ms=after)
        case StoreError():
            return Refusal(
                503, "the ledger cannot be asked, and money fails closed", code="store", retry_after_ms=1_000
            )
    return Refusal(500, "the gateway failed", code="internal")


def error_body(shape: Shape, refusal: Refusal, call_id: str = "") -> dict[str, Any]:
    """The JSON of a refusal."""
    message = mask_keys(str(refusal))
    if shape == "bedrock":
        return {"message": message}
    if shape == "anthropic":
        kind = _ANTHROPIC.get(refusal.status, "api_error")
        said = {"type": "error", "error": {"type": kind, "message": message}}
        return said | ({"request_id": call_id} if call_id else {})
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    if refusal.status == 429:
        kind = "insufficient_quota" if refusal.code in ("insufficient_quota", "stopped") else "requests"
    return {"error": {"message": message, "type": kind, "param": None, "code": refusal.code}}


def refusal_status(shape: Shape, refusal: Refusal) -> int:
    """The status of a refusal. AWS' clients try every 429 again, so one for which waiting does not help is a 400."""
    return 400 if shape == "bedrock" and _hopeless(refusal) else refusal.status


def aws_code(refusal: Refusal) -> str:
    """What AWS calls it."""
    if _hopeless(refusal):
        return QUOTA
    return _BEDROCK.get(refusal.status, "InternalServerException" if refusal.status >= 500 else "ValidationException")


def _hopeless(refusal: Refusal) -> bool:
    after = refusal.retry_after_ms
    return refusal.status == 429 and (after is None or after > RETRY_MS_MAX)


def refusal_head(shape: Shape, refusal: Refusal) -> Head:
    """The headers that tell a client whether and when to come back."""
    after = refusal.retry_after_ms
    head: Head = [(b"content-type", b"application/json")]
    if shape == "bedrock":
        head.append((b"x-amzn-errortype", aws_code(refusal).encode()))
    if after is not None:
        head.append((b"retry-after", b"%d" % -(-after // 1_000)))
    worth = after is not None and after <= RETRY_MS_MAX
    head.append((b"x-should-retry", b"true" if worth else b"false"))
    if refusal.status == 401:
        head.append((b"www-authenticate", b"Bearer"))
    return head


def error_json(shape: Shape, refusal: Refusal, call_id: str = "") -> bytes:
    return orjson.dumps(error_body(shape, refusal, call_id))
