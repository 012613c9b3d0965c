"""SNS: takes messages for topics, as the query protocol of its API has them (docs.aws.amazon.com/sns, Publish)."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.sax.saxutils import escape

from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip
from aegis.sandbox.room import Room
from aegis.sandbox.service import Service

NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"
TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}")
MESSAGE_MAX, SUBJECT_MAX = 262_144, 100
"""Bytes of a message, characters of its subject."""


def answer(asked: Asked, room: Room) -> Reply:
    if not asked.header("authorization").startswith("AWS4-HMAC-SHA256 "):
        return _no(403, "MissingAuthenticationToken", "the request is not signed")
    try:
        form = asked.form()
    except Unreadable:
        form = {}
    if form.get("Action") != "Publish":
        return _no(400, "InvalidAction", "no such action")
    topic, message, subject = form.get("TopicArn", ""), form.get("Message", ""), form.get("Subject", "")
    if not TOPIC.fullmatch(topic):
        return _no(404, "NotFound", "Topic does not exist")
    if not message or len(message.encode()) > MESSAGE_MAX or len(subject) > SUBJECT_MAX or "\n" in subject:
        return _no(400, "InvalidParameter", "Invalid parameter: Message or Subject")
    number = f"00000000-0000-4000-8000-{room.next('message'):012d}"
    room.put("message", number, {"topic": topic, "subject": subject, "message": message})
    text = f'<PublishResponse xmlns="{NAMESPACE}"><PublishResult><MessageId>{number}</MessageId></PublishResult>'
    text += "<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></PublishResponse>"
    return Reply(status=200, body=text.encode(), content_type="text/xml", line=clip(f"{topic}: {subject}", 120))


def _no(status: int, code: str, why: str) -> Reply:
    text = f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
    text += f"<Message>{escape(why)}</Message></Error><RequestId>0</RequestId></ErrorResponse>"
    return Reply(status=status, body=text.encode(), content_type="text/xml", refused=why)


def failure(status: int, retry_after_s: int | None) -> Reply:
    codes = {401: "AuthorizationError", 429: "Throttled", 503: "ServiceUnavailable"}
    said = _no(status, codes.get(status, "InternalError"), "the sandbox was told to fail")
    return replace(said, refused="", headers={} if retry_after_s is None else {"retry-after": str(retry_after_s)})


SERVICE = Service(name="sns", answer=answer, failure=failure)
