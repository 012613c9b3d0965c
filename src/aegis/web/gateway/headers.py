"""Which headers go up and which come down: short lists, so that nothing of one side reaches the other by accident.

Up goes nothing of the caller's but the API version and the betas; down comes what the official clients read. The
vendor's own rate limits and organisation stay here.
"""

from __future__ import annotations

from typing import Final

from aegis.core.money import Nanos, format_usd
from aegis.governor.reservation import Reservation
from aegis.transport.relay import Answer
from aegis.web.gateway.asked import Asked
from aegis.web.gateway.refusals import Head, Refusal, Shape

VERSION: Final = b"2023-06-01"
"""The API version for a caller who tells none."""
_VALUE_MAX: Final = 1_024
_DOWN: Final = frozenset(
    (
        b"content-type",
        b"cache-control",
        b"retry-after",
        b"retry-after-ms",
        b"request-id",
        b"x-request-id",
        b"x-amzn-requestid",
        b"x-amzn-errortype",
        b"openai-processing-ms",
        b"openai-version",
    )
)
_FIXED: Final = (
    (b"content-type", b"application/json"),
    (b"accept-encoding", b"identity"),
    (b"user-agent", b"aegis"),
)
_PLAIN: Final = (*_FIXED, (b"accept", b"application/json"))
_FRAMES: Final = (*_FIXED, (b"accept", b"application/vnd.amazon.eventstream"))
_STREAM: Final = (*_FIXED, (b"accept", b"text/event-stream"))


def up(asked: Asked, shape: Shape, credential: tuple[bytes, bytes] | None, *, stream: bool) -> Head:
    """The headers of the request to the upstream."""
    head: Head = list((_FRAMES if shape == "bedrock" else _STREAM) if stream else _PLAIN)
    if credential is not None:
        head.append(credential)
    if shape == "anthropic":
        head.append((b"anthropic-version", _short(asked, b"anthropic-version") or VERSION))
        if betas := _short(asked, b"anthropic-beta"):
            head.append((b"anthropic-beta", betas))
    return head


def down(answer: Answer) -> Head:
    """The headers of the answer that are for the caller."""
    return [pair for pair in answer.headers if pair[0] in _DOWN]


def told(reservation: Reservation, remaining: int | None, *, cost: Nanos | None, before: Nanos = 0) -> Head:
    """What Aegis says of a call: its name, model, cost (what it may cost at most, where it is not known yet, with what
    attempts `before` it came to).
    """
    head: Head = [
        (b"x-aegis-call", reservation.call.id.encode()),
        (b"x-aegis-model", reservation.model.encode("ascii", "replace")),
        (b"x-aegis-cache", _cache(reservation)),
    ]
    if cost is None:
        head.append((b"x-aegis-cost-max-usd", format_usd(before + reservation.worst).encode()))
    else:
        head.append((b"x-aegis-cost-usd", format_usd(cost).encode()))
    if remaining is not None:
        head.append((b"x-aegis-budget-remaining-pct", b"%d" % remaining))
    return head


def _cache(reservation: Reservation) -> bytes:
    if not reservation.call.cache_key:
        return b"off"
    return b"miss" if reservation.cached is None else b"hit"


def _short(asked: Asked, name: bytes) -> bytes:
    value = asked.headers.get(name, b"")
    if len(value) > _VALUE_MAX or not value.isascii():
        raise Refusal(400, f"the header {name.decode()} cannot be passed on", code="bad_header")
    return value
