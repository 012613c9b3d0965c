"""How connectors write requests and read answers: JSON in, JSON out, and what a refusal means for a retry and the bill.

Answers are hostile: a message to people is made of status numbers and vendor codes only, never of an answer's text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from aegis.core.errors import Billed, ServiceError
from aegis.core.ports import HttpAnswer

RETRY_AFTER_MAX_MS = 24 * 3_600_000
"""A service that asks for more than a day is asked again after a day: quotas renew daily."""

PASSING = frozenset({408, 425, 429})
"""The 4xx statuses that may pass by waiting (RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4)."""

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_COUNT = re.compile(r"[0-9]{1,12}")


def to_json(value: object) -> bytes:
    """JSON as UTF-8. Values that strict UTF-8 or 64 bits cannot hold are written as escapes instead of failing."""
    # Nearly every value has texts for keys, and without the option it takes half as long.
    try:
        return orjson.dumps(value)
    except TypeError:
        return _odd_json(value)


def _odd_json(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return json.dumps(value, default=str, allow_nan=False, separators=(",", ":")).encode()


def from_json(service: str, answer: HttpAnswer) -> Mapping[str, Any]:
    """The JSON object in an answer. Raises `ServiceError` (retryable) when it is something else: whatever answered
    was not the service, or not whole.
    """
    value = json_object(answer)
    if value is None:
        raise ServiceError(service, "answered something that is no JSON object", retryable=True, status=answer.status)
    return value


def json_object(answer: HttpAnswer) -> Mapping[str, Any] | None:
    """The JSON object in an answer, or None."""
    try:
        value = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def code_word(value: object) -> str:
    """A vendor's error code when it looks like one, else "": keeps answers' free text out of messages and logs."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def retry_after_ms(headers: Mapping[str, str], *, now: datetime) -> int | None:
    """What a `Retry-After` header asks for in milliseconds (RFC 9110 10.2.3: seconds, here also with decimals, or a
    date), at most a day; None when it is absent or unreadable.
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        whole, _, rest = text.partition(".")
        return min(int(whole) * 1_000 + int(rest.ljust(3, "0")[:3]), RETRY_AFTER_MAX_MS)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return min(max(0, wait.days * 86_400_000 + wait.seconds * 1_000), RETRY_AFTER_MAX_MS)


QUOTA_HEADERS = (
    "x-ratelimit-remaining",
    "ratelimit-remaining",
    "anthropic-ratelimit-requests-remaining",
    "x-ratelimit-remaining-requests",
)
"""Discord, Datadog and PagerDuty; Jira; Anthropic; OpenAI."""


def quota_left(headers: Mapping[str, str]) -> int | None:
    """How many requests an answer says are left, or None."""
    for name in QUOTA_HEADERS:
        if name in headers:
            said = headers[name].strip()
            return int(said) if _COUNT.fullmatch(said) else None
    return None


def failure(
    service: str, answer: HttpAnswer, *, now: datetime, code: object = "", retryable: bool | None = None
) -> ServiceError:
    """The error for an answer that is no success.

    A 4xx was refused before any work and a redirect did none (not billed); after a 5xx, or a success that was not the one
    expected, nobody knows. 408, 425, 429 and 5xx may pass by waiting
    unless `retryable` says otherwise; a redirect never does. `code` is the vendor's error code, shown if it is a word.
    """
    status, word = answer.status, code_word(code)
    passing = status in PASSING or status >= 500
    if 300 <= status < 400:
        message = f"redirects elsewhere ({status}); redirects are not followed"
    else:
        message = f"answered {status}"
    return ServiceError(
        service,
        f"{message} {word}".strip(),
        retryable=passing if retryable is None else retryable,
        billed=Billed.NO if 300 <= status < 500 else Billed.UNKNOWN,
        status=status,
        retry_after_ms=retry_after_ms(answer.headers, now=now),
    )
