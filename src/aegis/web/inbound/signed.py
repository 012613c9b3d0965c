"""What all senders' verifiers share: what a door knows of its sender, comparing in constant time, age, JSON.

Policy: signatures are checked on the bytes as they came, before anything is parsed; a refusal names its kind and never
quotes what was sent.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeAlias

import orjson

from aegis.core.errors import BadInput
from aegis.core.secret import Secret

Headers: TypeAlias = Mapping[str, str]
"""Names in lower case."""

WINDOW = timedelta(seconds=300)
"""How old a signed time of sending may be, either way: what Slack and Standard Webhooks tell receivers to allow."""
DEPTH_MAX = 32
"""Levels of JSON: the deepest honest webhook (GitHub's) has seven."""
SIGNATURES_MAX = 8
"""In one header: a sender that changes its secret signs with two."""
ID_CHARS = 128
"""Of a sender's own id for a delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How one sender is recognised. `secrets` are all good, the newest first (one more while it is being changed);
    `keys` are public keys that were fetched, by the name that the message gave.
    """

    secrets: tuple[Secret, ...] = ()
    header: str = ""
    user: str = ""
    topics: frozenset[str] = frozenset()
    partner: bool = False
    keys: Mapping[str, bytes] = field(default_factory=dict)


class Untrusted(BadInput):
    """Not signed, not by whom it should be, or too old. `code` is `unsigned`, `bad_signature`,
    `unknown_topic` or `stale`.
    """


def unsigned(what: str) -> Untrusted:
    """The refusal of a message without the header `what`, or with one that is no signature."""
    return Untrusted(f"{what} is missing or is no signature", code="unsigned")


def require(*, matched: bool) -> None:
    """Raises `Untrusted` unless the signature matched."""
    if not matched:
        raise Untrusted(
            "The signature does not match; is the secret the one that the sender has?", code="bad_signature"
        )


def hmac_matches(secrets: Iterable[Secret], message: bytes, given: Iterable[str]) -> bool:
    """Whether one of the hex signatures (the first `SIGNATURES_MAX`) is HMAC-SHA256 of the message under one of the
    secrets. Each is compared in constant time.
    """
    digests = [hmac.new(secret.reveal().encode(), message, hashlib.sha256).hexdigest() for secret in secrets]
    return any(
        hmac.compare_digest(digest.encode(), one.encode())
        for one in islice(given, SIGNATURES_MAX)
        for digest in digests
    )


def text_matches(secrets: Iterable[Secret], given: str) -> bool:
    """Whether the text is one of the secrets, compared in constant time."""
    return any(hmac.compare_digest(secret.reveal().encode(), given.encode()) for secret in secrets)


def require_fresh(at: datetime, now: datetime, *, within: timedelta = WINDOW) -> None:
    """Raises `Untrusted` for what was sent longer ago than `within`, or more than `WINDOW` in the future."""
    if at < now - within or at > now + WINDOW:
        raise Untrusted("The message is too old, or a clock is wrong", code="stale")


def from_epoch(text: str) -> datetime:
    """Seconds since 1970 in UTC. Raises `Untrusted` when the text is no such number."""
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise Untrusted("The time of the signature cannot be read", code="unsigned")
    return datetime.fromtimestamp(int(text), UTC)


def from_rfc3339(value: object, *, otherwise: datetime) -> datetime:
    """A time as RFC 3339 writes it, in UTC, never after `otherwise`; `otherwise` (the time of arrival) when it is none."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else otherwise
    except ValueError:
        return otherwise
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return min(at, otherwise)


def digest(body: bytes) -> str:
    """The name of a body whose sender gives it none that is signed."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def parsed(body: bytes) -> Any:
    """The JSON value of a body. Raises `BadInput` (`not_json`, `too_deep`)."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadInput("The body is no JSON", code="not_json") from None
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX:
        _check_depth(value)
    return value


def parsed_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises `BadInput`."""
    value = parsed(body)
    if not isinstance(value, dict):
        raise BadInput("The body is no JSON object", code="not_json")
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise BadInput(f"The body is nested deeper than {DEPTH_MAX} levels", code="too_deep")


def part(value: Any, *path: str) -> dict[str, Any]:
    """The object at a path of keys; empty where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def text(value: Any, *path: str) -> str:
    """The text at a path of keys; numbers as text, anything else as nothing."""
    *parents, last = path
    found = part(value, *parents).get(last)
    if isinstance(found, bool):
        return ""
    return found if isinstance(found, str) else str(found) if isinstance(found, int) else ""


def items(value: Any, key: str) -> list[dict[str, Any]]:
    """The objects in the list under a key; nothing where there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def texts(value: Any) -> dict[str, str]:
    """Those members of an object that are text."""
    return {key: one for key, one in value.items() if isinstance(one, str)} if isinstance(value, dict) else {}
