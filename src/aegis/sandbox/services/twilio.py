"""Twilio: messages and calls as form posts (twilio.com/docs: message resource, call resource, errors).

A repeated post is sent and billed twice: there is no idempotency key. Prices are not told in the answer, as by the real
one, which sets them later; the sandbox bills segments and one begun minute.
"""

from __future__ import annotations

import hashlib
import re
from email.utils import format_datetime
from xml.etree.ElementTree import ParseError

from aegis.core.money import Nanos
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, credential, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service, find, route
from aegis.sandbox.services.bills import keep, twilio_records

BODY_MAX, TWIML_MAX = 1_600, 4_000
NUMBER = r"\+[1-9]\d{6,14}"
SENDER = rf"{NUMBER}|[A-Za-z0-9 ]{{1,11}}"
OPTED_OUT = "+15005550004"
"""One of Twilio's magic numbers: it opted out (twilio.com/docs, test credentials)."""

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_DOUBLE = frozenset("^{}\\[~]|€")
"""3GPP TS 23.038: the default alphabet, and what takes two places in it."""


def segments(body: str) -> int:
    """Segments of a message: 160 or 153 septets, else 70 or 67 UTF-16 units."""
    if set(body) <= _GSM | _GSM_DOUBLE:
        size, one, many = sum(1 + (character in _GSM_DOUBLE) for character in body), 160, 153
    else:
        size, one, many = len(body.encode("utf-16-le", "replace")) // 2, 70, 67
    return 1 if size <= one else -(-size // many)


def answer(asked: Asked, room: Room) -> Reply:
    if not credential(asked, "basic"):
        return _no(401, 20003, "no basic credential")
    return find(ROUTES, asked, room) or _no(404, 20404, f"no such path for {asked.method}")


def _no(status: int, code: int, why: str) -> Reply:
    body = {"code": code, "message": why, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status}
    return reply_json(status, body, refused=why)


def _form(asked: Asked) -> dict[str, str] | Reply:
    if not asked.header("content-type").startswith("application/x-www-form-urlencoded"):
        return _no(400, 20001, "the body is no form")
    try:
        return asked.form()
    except Unreadable as error:
        return _no(400, 20001, str(error))


def _wrong_end(form: dict[str, str]) -> Reply | None:
    """What is wrong with the two ends of a message or call."""
    to, sender = form.get("To", ""), form.get("From", "")
    if not to:
        return _no(400, 21604, "To is required")
    if not re.fullmatch(NUMBER, to):
        return _no(400, 21211, "To is no phone number")
    if not sender and not form.get("MessagingServiceSid"):
        return _no(400, 21603, "From is required")
    if sender and not re.fullmatch(SENDER, sender):
        return _no(400, 21212, "From is no phone number")
    return None


def _sid(prefix: str, room: Room) -> str:
    return prefix + hashlib.md5(f"{prefix}{room.next(prefix)}".encode(), usedforsecurity=False).hexdigest()


def _message(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    form = _form(asked)
    if isinstance(form, Reply):
        return form
    wrong = _wrong_end(form)
    if wrong:
        return wrong
    body = form.get("Body", "")
    if not body:
        return _no(400, 21602, "Body is required")
    if len(body) > BODY_MAX:
        return _no(400, 21617, f"Body has more than {BODY_MAX} characters")
    if form["To"] == OPTED_OUT:
        return _no(400, 21610, "this number opted out")
    parts = segments(body)
    made = {
        **_common("SM", asked, room, found, form),
        "body": body,
        "num_segments": str(parts),
        "num_media": "0",
        "direction": "outbound-api",
        "messaging_service_sid": form.get("MessagingServiceSid"),
        "date_sent": None,
        "error_code": None,
        "error_message": None,
    }
    made["uri"] = f"/2010-04-01/Accounts/{found['account']}/Messages/{made['sid']}.json"
    room.put("message", made["sid"], {"to": form["To"], "body": clip(body, BODY_MAX), "segments": parts})
    return _sent(
        "sms", asked, room, made, body, parts * room.terms.prices.message_segment, {"messages": 1, "segments": parts}
    )


def _sent(
    category: str, asked: Asked, room: Room, made: Document, text: str, cost: Nanos, usage: dict[str, int]
) -> Reply:
    keep(room, asked, category, cost, usage)
    return reply_json(201, made, line=clip(f"to {made['to']}: {text}"), billed=cost, usage=usage)


def _common(prefix: str, asked: Asked, room: Room, found: re.Match[str], form: dict[str, str]) -> Document:
    now = format_datetime(asked.at)
    return {
        "sid": _sid(prefix, room),
        "account_sid": found["account"],
        "to": form["To"],
        "from": form.get("From"),
        "status": "queued",
        "price": None,
        "price_unit": "USD",
        "date_created": now,
        "date_updated": now,
        "api_version": "2010-04-01",
        "subresource_uris": {},
    }


def _call(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    form = _form(asked)
    if isinstance(form, Reply):
        return form
    wrong = _wrong_end(form)
    if wrong:
        return wrong
    twiml = form.get("Twiml", "")
    if not twiml and not form.get("Url"):
        return _no(400, 21205, "Url or Twiml is required")
    spoken = _spoken(twiml)
    if spoken is None or len(twiml) > TWIML_MAX:
        return _no(400, 21218, "Twiml is no short XML document with the root Response")
    made = {**_common("CA", asked, room, found, form), "direction": "outbound-api", "duration": None}
    made["uri"] = f"/2010-04-01/Accounts/{found['account']}/Calls/{made['sid']}.json"
    room.put("call", made["sid"], {"to": form["To"], "spoken": clip(spoken, BODY_MAX)})
    return _sent(
        "calls", asked, room, made, f"call: {spoken}", room.terms.prices.call_minute, {"calls": 1, "minutes": 1}
    )


def _account(_asked: Asked, _room: Room, found: re.Match[str]) -> Reply:
    body = {"sid": found["account"], "friendly_name": "Sandbox", "status": "active", "type": "Trial"}
    return reply_json(200, body, line="who is asking")


def _kept(_asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    """How a message or call stands: everything arrives here."""
    sid = found["sid"]
    kind, status = ("call", "completed") if sid.startswith("CA") else ("message", "delivered")
    if room.get(kind, sid) is None:
        return _no(404, 20404, "no such message or call")
    return reply_json(200, {"sid": sid, "status": status, "error_code": None, "price": None})


def _spoken(twiml: str) -> str | None:
    """The text of a TwiML document, None if it is none. Documents with a DTD are refused, whatever it declares."""
    if not twiml:
        return "(from an address)"
    from xml.etree.ElementTree import fromstring

    if "<!" in twiml or len(twiml) > TWIML_MAX:
        return None
    try:
        root = fromstring(twiml)  # noqa: S314 - bounded, and no declarations get here
    except ParseError:
        return None
    return " ".join("".join(root.itertext()).split()) if root.tag == "Response" else None


def failure(status: int, retry_after_s: int | None) -> Reply:
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    code = {401: 20003, 429: 20429, 503: 20503}.get(status, 20500)
    body = {"code": code, "message": "The sandbox was told to fail", "status": status}
    return reply_json(status, {**body, "more_info": f"https://www.twilio.com/docs/errors/{code}"}, headers=wait)


_ACCOUNT = r"/2010-04-01/Accounts/(?P<account>AC[0-9a-fA-F]{32})"
ROUTES = (
    route("GET", rf"{_ACCOUNT}\.json", _account),
    route("GET", rf"{_ACCOUNT}/(Messages|Calls)/(?P<sid>(SM|CA)[0-9a-f]{{32}})\.json", _kept),
    route("GET", rf"{_ACCOUNT}/Usage/Records\.json", twilio_records),
    route("POST", rf"{_ACCOUNT}/Messages\.json", _message),
    route("POST", rf"{_ACCOUNT}/Calls\.json", _call),
)
SERVICE = Service(name="twilio", answer=answer, failure=failure)
