"""Amazon SNS over HTTPS: notices of AWS Budgets, CloudWatch alarms, and other notifications of topics that are allowed.

Sources: docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html (which fields are signed in which order;
SHA-1 for SignatureVersion 1, SHA-256 for 2; the certificate only from an SNS address; unexpected topics refused) and
http-subscription-confirmation-json.html, http-notification-json.html (fields; a retry keeps its MessageId).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from aegis.core.errors import BadInput
from aegis.core.inbound import Alert, BudgetNotice, Received
from aegis.core.incidents import Severity
from aegis.web.inbound.aws_messages import alarm_of, budget_of
from aegis.web.inbound.signed import (
    ID_CHARS,
    Door,
    Headers,
    Untrusted,
    from_rfc3339,
    parsed_object,
    require,
    require_fresh,
    text,
    unsigned,
)

NAME = "sns"
RETRIED = timedelta(hours=1)
"""The longest that SNS tries again over HTTPS (message delivery retries: 3,600 seconds in all)."""
SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
SIGNED_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
CONFIRMATIONS = frozenset({"SubscriptionConfirmation", "UnsubscribeConfirmation"})
_HOST = re.compile(r"sns\.[a-z]{2}(?:-[a-z]+)+-\d\.amazonaws\.com(?:\.cn)?")
"""`sns.eu-central-1.amazonaws.com`, and the partition of China."""
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{16,64}\.pem")


def key_wanted(_headers: Headers, body: bytes, door: Door) -> str:
    """The address of the certificate that the message says it is signed with. Raises `Untrusted` for a topic that is
    not allowed, or an address that is not SNS' own: nothing is fetched then.
    """
    message = parsed_object(body)
    if text(message, "TopicArn") not in door.topics:
        raise Untrusted("The topic is not among inbound.sns.topics", code="unknown_topic")
    url = text(message, "SigningCertURL") or text(message, "SigningCertUrl")
    parts = urlsplit(url)
    ours = parts.scheme == "https" and _HOST.fullmatch(parts.netloc) and _CERTIFICATE.fullmatch(parts.path)
    if not ours or parts.query or parts.fragment:
        raise unsigned("SigningCertURL")
    return url


def receive(headers: Headers, body: bytes, door: Door, now: datetime) -> Received:
    """What the message says; the door holds the certificate (PEM) by its address. Raises `Untrusted` and `BadInput`."""
    url = key_wanted(headers, body, door)
    message = parsed_object(body)
    certificate = door.keys.get(url)
    require(matched=certificate is not None and is_signed(message, certificate, now))
    at = from_rfc3339(message.get("Timestamp"), otherwise=now)
    require_fresh(at, now, within=RETRIED)
    ids = (f"message:{text(message, 'MessageId')[:ID_CHARS]}",)
    match text(message, "Type"):
        case "SubscriptionConfirmation":
            return Received(service=NAME, ids=ids, confirm=_confirmation(message))
        case "Notification":
            alerts, budgets = _told(message, at)
            return Received(service=NAME, ids=ids, alerts=alerts, budgets=budgets)
    return Received(service=NAME, ids=ids)


def is_signed(message: Mapping[str, Any], certificate: bytes, now: datetime) -> bool:
    """Whether the message's own signature was made with the certificate's key, while the certificate is valid."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.x509 import load_pem_x509_certificate

    version = text(message, "SignatureVersion")
    try:
        loaded = load_pem_x509_certificate(certificate)
        signature = base64.b64decode(text(message, "Signature"), validate=True)
    except (ValueError, binascii.Error):
        return False
    key = loaded.public_key()
    if version not in ("1", "2") or not isinstance(key, rsa.RSAPublicKey):
        return False
    if not loaded.not_valid_before_utc <= now.astimezone(UTC) <= loaded.not_valid_after_utc:
        return False
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()  # noqa: S303 - AWS' own version 1
    try:
        key.verify(signature, to_sign(message), padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


def to_sign(message: Mapping[str, Any]) -> bytes:
    """The names and values that are signed, each on a line of its own; a Subject only where there is one."""
    names = SIGNED_CONFIRMATION if message.get("Type") in CONFIRMATIONS else SIGNED
    return "".join(f"{name}\n{message[name]}\n" for name in names if isinstance(message.get(name), str)).encode()


def _confirmation(message: Mapping[str, Any]) -> str:
    """The address that accepts the subscription: only one of SNS itself."""
    url = text(message, "SubscribeURL")
    parts = urlsplit(url)
    if parts.scheme != "https" or not _HOST.fullmatch(parts.netloc):
        raise BadInput("The SubscribeURL is not an address of SNS", code="bad_address")
    return url


def _told(message: Mapping[str, Any], at: datetime) -> tuple[tuple[Alert, ...], tuple[BudgetNotice, ...]]:
    said, subject = text(message, "Message"), text(message, "Subject")
    if budget := budget_of(said, at):
        return (), (budget,)
    alarm = alarm_of(said, at) or Alert(
        product=NAME,
        key=text(message, "MessageId")[:ID_CHARS],
        name=subject or "Amazon SNS notification",
        firing=True,
        severity=Severity.MEDIUM,
        at=at,
        summary=said,
        labels={"topic": text(message, "TopicArn")},
    )
    return (alarm,), ()
