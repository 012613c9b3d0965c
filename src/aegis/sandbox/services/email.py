"""A mail service: keeps what it is handed, by Message-ID, and knows the threads (RFC 5322 3.6.4).

Letters come over SMTP (`sandbox.mailbox`) as `POST /letters`, which a test may also ask by itself.
"""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aegis.sandbox.exchange import Asked, Reply, clip, reply_json
from aegis.sandbox.room import Room
from aegis.sandbox.service import Service, find, route

BODY_MAX = 10 * 1024 * 1024
"""What small servers take."""
KEPT = 6_000
_ADDRESS = re.compile(r"[^\s<>@]{1,64}@[^\s<>@]{1,255}")


def answer(asked: Asked, room: Room) -> Reply:
    return find(ROUTES, asked, room) or _no(404, "there are only letters here")


def _no(status: int, why: str) -> Reply:
    return reply_json(status, {"error": why}, refused=why)


def _letter(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    to = [address.strip() for address in asked.header("x-to").split(",") if address.strip()]
    if not to or not all(_ADDRESS.fullmatch(address) for address in to):
        return _no(400, "no recipient, or one that is no address")
    if len(asked.body) > BODY_MAX:
        return _no(413, f"more than {BODY_MAX} bytes")
    mail = message_from_bytes(asked.body, _class=EmailMessage, policy=policy.default)
    wrong = _wrong(mail)
    if wrong:
        return _no(400, wrong)
    number = str(mail["Message-ID"]).strip()
    known = room.get("letter", number)
    room.put("letter", number, {**_kept(mail), "to": to, "times": (known["times"] if known else 0) + 1})
    return reply_json(200, {"id": number}, line=clip(str(mail["Subject"])))


def _wrong(mail: EmailMessage) -> str:
    """What RFC 5322 3.6 wants of every mail, and nothing twice."""
    for name in ("From", "Date", "Message-ID", "Subject"):
        if len(mail.get_all(name, [])) != 1:
            return f"{name} must stand there once"
    if mail.defects:
        return f"the mail is broken: {type(mail.defects[0]).__name__}"
    return "" if mail.get_body(("plain",)) is not None else "there is no plain text"


def _kept(mail: EmailMessage) -> dict[str, Any]:
    html = mail.get_body(("html",))
    return {
        "subject": clip(str(mail["Subject"])),
        "sender": clip(str(mail["From"])),
        "thread": (str(mail.get("References", mail["Message-ID"])).split() or [""])[0],
        "text": _text(mail.get_body(("plain",))),
        "html": _text(html),
    }


def _text(part: Any) -> str:
    return str(part.get_content())[:KEPT] if part is not None else ""


def failure(status: int, retry_after_s: int | None) -> Reply:
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    return reply_json(status, {"error": "the sandbox was told to fail"}, headers=wait)


ROUTES = (route("POST", "/letters", _letter),)
SERVICE = Service(name="email", answer=answer, failure=failure)
