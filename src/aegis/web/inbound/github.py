"""GitHub secret scanning: leaked secrets in our repositories (webhook), and leaked tokens of ours anywhere (partner).

Sources: docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries (`X-Hub-Signature-256: sha256=HEX`),
/en/webhooks/webhook-events-and-payloads#secret_scanning_alert, and
/en/code-security/secret-scanning/secret-scanning-partner-program (`Github-Public-Key-Identifier`,
`Github-Public-Key-Signature`: base64 ECDSA P-256 SHA-256 of the raw body under a key of
https://api.github.com/meta/public_keys/secret_scanning). The leaked secret itself is never kept, only where it was.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import datetime
from typing import Any

from aegis.core.errors import BadInput
from aegis.core.inbound import Alert, Received
from aegis.core.incidents import Severity
from aegis.web.inbound.signed import (
    ID_CHARS,
    Door,
    Headers,
    digest,
    from_rfc3339,
    hmac_matches,
    items,
    parsed,
    parsed_object,
    part,
    require,
    text,
    unsigned,
)

NAME = "github"
SIGNATURE, EVENT = "x-hub-signature-256", "x-github-event"
KEY_ID, KEY_SIGNATURE = "github-public-key-identifier", "github-public-key-signature"
KEYS_URL = "https://api.github.com/meta/public_keys/secret_scanning"
TOKENS_MAX = 100
"""Leaked tokens in one message."""
FIRES = frozenset({"created", "reopened", "publicly_leaked"})
ENDS = frozenset({"resolved", "revoked"})
_IDENTIFIER = re.compile(r"[0-9a-f]{32,128}")


def key_wanted(headers: Headers, _body: bytes, door: Door) -> str:
    """The identifier of the public key of a partner message; empty for a plain webhook. Raises `Untrusted` when
    partner messages are not expected here.
    """
    if KEY_ID not in headers:
        return ""
    if not door.partner or not _IDENTIFIER.fullmatch(headers[KEY_ID]):
        raise unsigned("Github-Public-Key-Identifier")
    return headers[KEY_ID]


def keys_from(body: bytes) -> dict[str, bytes]:
    """The keys of GitHub's list, PEM by identifier. Raises `BadInput`."""
    listed = items(parsed_object(body), "public_keys")
    return {text(one, "key_identifier"): text(one, "key").encode() for one in listed if text(one, "key_identifier")}


def receive(headers: Headers, body: bytes, door: Door, now: datetime) -> Received:
    """What the message says; the door holds the public key of a partner message by its identifier. Raises `Untrusted`
    and `BadInput`.
    """
    if identifier := key_wanted(headers, body, door):
        key = door.keys.get(identifier)
        require(matched=key is not None and is_signed(body, headers.get(KEY_SIGNATURE, ""), key))
        return Received(service=NAME, ids=(digest(body),), alerts=_tokens(parsed(body), now))
    signature = headers.get(SIGNATURE, "")
    if not signature.startswith("sha256="):
        raise unsigned("X-Hub-Signature-256")
    require(matched=hmac_matches(door.secrets, body, [signature.removeprefix("sha256=")]))
    document = parsed_object(body)
    alert = None
    if headers.get(EVENT) == "secret_scanning_alert" and text(document, "action") in FIRES | ENDS:
        alert = _alert(document, text(document, "action"), now)
    return Received(service=NAME, ids=(digest(body),), alerts=(alert,) if alert else ())


def is_signed(body: bytes, signature: str, key: bytes) -> bool:
    """Whether the signature (base64) is that of the body under the ECDSA key (PEM)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        loaded = load_pem_public_key(key)
        given = base64.b64decode(signature, validate=True)
    except (ValueError, binascii.Error):
        return False
    if not isinstance(loaded, ec.EllipticCurvePublicKey):
        return False
    try:
        loaded.verify(given, body, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _alert(document: dict[str, Any], action: str, now: datetime) -> Alert:
    alert, repository = part(document, "alert"), text(document, "repository", "full_name")
    kind = text(alert, "secret_type_display_name") or text(alert, "secret_type")
    changed = text(alert, "updated_at") or text(alert, "resolved_at") or text(alert, "created_at")
    return Alert(
        product=NAME,
        key=f"{repository}:{text(alert, 'number')}"[: 2 * ID_CHARS],
        name=f"{kind or 'Secret'} leaked in {repository}",
        firing=action in FIRES,
        severity=Severity.CRITICAL if text(alert, "validity") == "active" else Severity.HIGH,
        at=from_rfc3339(changed, otherwise=now),
        round=f"{changed}:{action}",
        summary=f"Secret scanning: {kind}",
        link=text(alert, "html_url"),
        labels={"repository": repository, "secret_type": text(alert, "secret_type")},
    )


def _tokens(found: Any, now: datetime) -> tuple[Alert, ...]:
    if not isinstance(found, list):
        raise BadInput("The body is no list of leaked tokens", code="not_a_list")
    return tuple(_token(one, now) for one in found[:TOKENS_MAX] if isinstance(one, dict))


def _token(one: dict[str, Any], now: datetime) -> Alert:
    """One leaked token: known by a digest of itself, never by itself."""
    known = hashlib.sha256(text(one, "token").encode()).hexdigest()[:16]
    return Alert(
        product=NAME,
        key=f"token:{known}",
        name=f"{text(one, 'type') or 'Token'} leaked",
        firing=True,
        severity=Severity.CRITICAL,
        at=now,
        round=text(one, "url"),
        summary=f"Found in {text(one, 'source') or 'a public place'}",
        link=text(one, "url"),
        labels={"type": text(one, "type"), "source": text(one, "source")},
    )
