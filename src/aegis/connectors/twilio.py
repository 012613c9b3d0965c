"""Twilio: text messages and calls to people (twilio.com/docs: Messages resource, Calls resource, TwiML).

Twilio has no handle against doubles: a message whose answer was lost is marked as sent again. Both are billed, so
whoever sends asks the governor first with `worst`, and each person has a pace.
"""

from __future__ import annotations

import base64
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from aegis.core.buckets import TokenBucket
from aegis.core.calls import Usage
from aegis.core.deliveries import CLOSING
from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.exchange import code_word, failure, json_object
from aegis.core.notifications import Notification, Receipt
from aegis.core.plaintext import defang, fit, one_line, web_link
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest, NewId, Probed
from aegis.core.secret import Secret
from aegis.core.textmessages import cheap, cut, segments
from aegis.core.wording import headline, told_note

NAME = "twilio"
BODY_MAX = 1_600
"""Characters of a message: twilio.com/docs/messaging/api/message-resource (error 21617)."""
SPOKEN_MAX = 500
"""Ours: about forty seconds of speech; said twice it stays within two minutes and far below the 4,000 of `Twiml`."""
RING_S = 30
"""Below the 60 s default: a voicemail answers later than that, and the next person is waiting."""
TWIML_MAX = 4_000
MINUTE_S = 60
PACE: Final[Mapping[str, tuple[int, int]]] = {"sms": (5, 30_000), "phone": (2, 60_000)}
"""A person's burst, and the milliseconds between two after it: more wakes nobody up better and costs money."""
PEOPLE_MAX = 1_000
"""People whose pace, and messages whose unknown end, are remembered."""
PASSING_CODES = frozenset({"20429", "20503", "20500", "30001", "30022"})
"""twilio.com/docs/api/errors: too many requests, unavailable, internal error, queue overflow, carrier pace."""

NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
"""ITU-T E.164."""
_BRIDGE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|MG[0-9a-fA-F]{32}|(?=[A-Za-z0-9 ]*[A-Za-z])[A-Za-z0-9 ]{1,11}")
_SID = re.compile(r"(SM|MM|CA)[0-9a-fA-F]{32}")
_ISLANDS = re.compile(
    "242|246|264|268|284|340|345|441|473|649|658|664|670|671|684|721|758|767|784|787|809|829|849|868|869|876|939"
)
"""Area codes under +1 outside the USA and Canada, which cost a multiple (nanpa.com, NPA database)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A Twilio account, the number or service that sends, and who is told by default."""

    account: str = field(metadata={"help": "account SID (AC...)"})
    token: Secret = field(metadata={"help": "auth token, or the secret of the API key named by api_key"})
    sender: str = field(metadata={"help": "number (+1...) or messaging service (MG...) that messages come from"})
    api_key: str = field(default="", metadata={"help": "API key SID (SK...); empty: the auth token is used"})
    caller: str = field(default="", metadata={"help": "number that calls come from; empty: sender, if it is a number"})
    sms_to: tuple[str, ...] = field(default=(), metadata={"help": "numbers that get messages by default"})
    call_to: tuple[str, ...] = field(default=(), metadata={"help": "numbers that are called by default"})
    segments_max: int = field(default=3, metadata={"help": "segments that a message may have: each is billed"})
    call_minutes: int = field(default=2, metadata={"help": "minutes after which a call ends"})
    bridge_minutes: int = field(
        default=60, metadata={"help": "minutes after which a call that joined a conference ends"}
    )
    base_url: str = field(default="https://api.twilio.com", metadata={"help": "where Twilio's API stands"})

    def __post_init__(self) -> None:
        if not re.fullmatch(r"AC[0-9a-fA-F]{32}", self.account):
            raise ConfigError("twilio: account must be an account SID, AC and 32 digits")
        if self.api_key and not re.fullmatch(r"SK[0-9a-fA-F]{32}", self.api_key):
            raise ConfigError("twilio: api_key must be an API key SID, SK and 32 digits")
        if not _SENDER.fullmatch(self.sender):
            raise ConfigError("twilio: sender must be a number (+ and digits), a messaging service (MG...) or a name")
        if self.caller and not NUMBER.fullmatch(self.caller):
            raise ConfigError("twilio: caller must be a number, + and digits")
        if not all(NUMBER.fullmatch(number) for number in (*self.sms_to, *self.call_to)):
            raise ConfigError("twilio: sms_to and call_to must be numbers, + and digits")
        if self.call_to and not self.calls_from:
            raise ConfigError("twilio: call_to needs caller, the number that calls come from")
        if not (1 <= self.segments_max <= 10 and 1 <= self.call_minutes <= 10 and 1 <= self.bridge_minutes <= 240):
            raise ConfigError("twilio: segments_max and call_minutes are 1 to 10, bridge_minutes 1 to 240")

    @property
    def calls_from(self) -> str:
        """The number that calls come from; empty when there is none."""
        return self.caller or (self.sender if NUMBER.fullmatch(self.sender) else "")


def destination(number: str) -> str:
    """What a number's price goes by: `us` (USA and Canada) or `abroad`."""
    return "us" if number.startswith("+1") and not _ISLANDS.fullmatch(number[2:5]) else "abroad"


def message_text(notification: Notification, *, most: int, bridge: str = "", again: bool = False) -> str:
    """The message in at most `most` segments: what happened, the first thing to do (or who has it now), and our link,
    which stays whole.
    """
    note = one_line(told_note(notification))
    over = notification.change in CLOSING
    first = "" if note or over or not notification.actions else one_line(notification.actions[0])
    said = [("Sent again: " if again else "") + _said(headline(notification), 300)]
    said += [_said(note, 300)] if note else []
    said += [_said(fact.value, 150) for fact in notification.facts if over and fact.label == "Status"]
    said += [f"Now: {_said(first, 200)}"] if first else []
    said += [f"Conference: {_said(bridge, 64)}"] if bridge else []
    link = web_link(notification.link)
    text, end = cheap("\n".join(said)), f"\n{link}" if link else ""
    return cut(text, most, end=end)[:BODY_MAX]


def spoken(notification: Notification, *, bridge: str = "", minutes: int = 60) -> str:
    """The call as TwiML: who calls, what happened, what to do, said twice; then the conference, where one is named."""
    words = [
        f"This is Aegis with a {notification.severity.name.lower()} incident.",
        _voiced(headline(notification), 200),
    ]
    if notification.actions:
        words.append(f"Do now: {_voiced(notification.actions[0], 150)}")
    text = escape(" ".join(words)[:SPOKEN_MAX])
    join = ""
    if NUMBER.fullmatch(bridge):
        join = f'<Say>You are connected to the conference.</Say><Dial timeLimit="{minutes * MINUTE_S}"><Number>{bridge}</Number></Dial>'
    elif _BRIDGE.fullmatch(bridge):
        join = f'<Say>You join the conference.</Say><Dial timeLimit="{minutes * MINUTE_S}"><Conference>{bridge}</Conference></Dial>'
    return (
        f'<Response><Pause length="1"/><Say>{text}</Say><Pause length="1"/><Say>I repeat. {text}</Say>{join}</Response>'
    )


def _said(text: str, limit: int) -> str:
    return fit(one_line(text), limit, defang)


def _voiced(text: str, limit: int) -> str:
    """Words that a voice can say: letters, digits and the marks that make it pause."""
    kept = re.sub(r"[^\w .,:;!?'-]|_", " ", one_line(text)[: limit * 4])
    return fit(" ".join(kept.split()), limit)


@dataclass(slots=True)
class _Line:
    """What messages and calls share: the account, who was asked what, and everybody's pace."""

    config: Config
    http: Http
    clock: Clock
    name: str
    _unsure: OrderedDict[tuple[str, ...], None] = field(default_factory=OrderedDict)
    _taken: OrderedDict[tuple[str, ...], str] = field(default_factory=OrderedDict)
    _paces: OrderedDict[str, TokenBucket] = field(default_factory=OrderedDict)

    def taken(self, key: tuple[str, ...]) -> Receipt | None:
        """The receipt of the same message to the same person, while this process remembers."""
        return Receipt(remote_id=self._taken[key], note="it was taken before") if key in self._taken else None

    def keep_pace(self, to: str) -> None:
        """Raise `ServiceError` for what is no number, and for a person who was told a moment ago."""
        if not NUMBER.fullmatch(to):
            raise ServiceError(NAME, "that is no phone number (+ and digits)", retryable=False, billed=Billed.NO)
        size, gap_ms = PACE[self.name]
        pace = self._paces.setdefault(to, TokenBucket(size=size, gap_ns=gap_ms * 1_000_000))
        _bound(self._paces)
        if wait_ns := pace.take(self.clock.monotonic_ns()):
            wait_ms = -(-wait_ns // 1_000_000)
            raise ServiceError(
                NAME, "this person was just told", retryable=True, billed=Billed.NO, retry_after_ms=wait_ms
            )

    def is_again(self, key: tuple[str, ...]) -> bool:
        return key in self._unsure

    async def post(self, resource: str, form: Mapping[str, str], key: tuple[str, ...]) -> Receipt:
        """One form post; a lost answer is remembered, so that the next try says that it is one."""
        url = f"{_account_url(self.config)}/{resource}.json"
        body, kind = urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            answer = await self.http.send(_request(self.config, "POST", url, headers=kind, body=body))
            if answer.status not in (200, 201):
                raise _failed(answer, self.clock)
        except ServiceError as error:
            if error.billed is Billed.NO:
                self._paces[form["To"]].give_back()
            else:
                self._unsure[key] = None
                _bound(self._unsure)
            raise
        sid = (json_object(answer) or {}).get("sid")
        number = sid if isinstance(sid, str) and _SID.fullmatch(sid) else ""
        self._taken[key] = number
        _bound(self._taken)
        return Receipt(remote_id=number, note="sent again: the first answer was lost" if self.is_again(key) else "")


class Sms:
    """`Messenger` for text messages, metered: usage is `messages`, one for each segment."""

    name, service, operation = "sms", NAME, "message"

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._line = config, _Line(config, http, clock, "sms")
        self.recipients = config.sms_to

    def accepts(self, to: str) -> bool:
        return NUMBER.fullmatch(to) is not None

    def priced(self, to: str) -> str:
        """What the price goes by."""
        return destination(to)

    def taken(self, to: str, notification: Notification) -> Receipt | None:
        """The receipt, when this person has this version already."""
        return self._line.taken(_key(notification, to))

    def worst(self, notification: Notification, *, bridge: str = "") -> Usage:
        most = self._config.segments_max
        texts = [message_text(notification, most=most, bridge=bridge, again=again) for again in (False, True)]
        return {"messages": max(map(segments, texts))}

    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt:
        """One message to one person. The same version is sent once, while this process remembers."""
        key = _key(notification, to)
        if taken := self._line.taken(key):
            return taken
        self._line.keep_pace(to)
        again = self._line.is_again(key) or notification.again
        text = message_text(notification, most=self._config.segments_max, bridge=bridge, again=again)
        sender = "MessagingServiceSid" if self._config.sender.startswith("MG") else "From"
        return await self._line.post("Messages", {"To": to, sender: self._config.sender, "Body": text or "-"}, key)


class Phone:
    """`Messenger` for calls, metered: usage is `minutes`, the longest that the call may take."""

    name, service, operation = "phone", NAME, "call"

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._line = config, _Line(config, http, clock, "phone")
        self.recipients = config.call_to

    def accepts(self, to: str) -> bool:
        return NUMBER.fullmatch(to) is not None and bool(self._config.calls_from)

    def priced(self, to: str) -> str:
        """What the price goes by."""
        return destination(to)

    def taken(self, to: str, notification: Notification) -> Receipt | None:
        """The receipt, when this person has this version already."""
        return self._line.taken(_key(notification, to))

    def worst(self, notification: Notification, *, bridge: str = "") -> Usage:  # noqa: ARG002 - one shape for all
        legs = 2 if NUMBER.fullmatch(bridge) else 1  # a conference that is dialled is a second call
        return {"minutes": self._minutes(bridge) * legs}

    def _minutes(self, bridge: str) -> int:
        return self._config.call_minutes + (self._config.bridge_minutes if bridge else 0)

    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt:
        """One call to one person, joined to the conference `bridge` afterwards where it is a number or one word."""
        key = _key(notification, to)
        if not self._config.calls_from:
            raise ServiceError(NAME, "there is no caller that calls come from", retryable=False, billed=Billed.NO)
        if taken := self._line.taken(key):
            return taken
        self._line.keep_pace(to)
        form = {
            "To": to,
            "From": self._config.calls_from,
            "Twiml": spoken(notification, bridge=bridge, minutes=self._config.bridge_minutes),
            "Timeout": str(RING_S),
            "TimeLimit": str(self._minutes(bridge) * MINUTE_S),
        }
        return await self._line.post("Calls", form, key)


class Twilio:
    """The account: its two messengers, how a message or call ended, and `Probe`."""

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock
        self.sms = Sms(config, http, clock=clock)
        self.phone = Phone(config, http, clock=clock)

    async def status(self, remote_id: str) -> str:
        """How a message or call stands in Twilio's word (`queued`, `delivered`, `failed 30005`, `no-answer`, ...)."""
        if not _SID.fullmatch(remote_id):
            raise ServiceError(NAME, "that names no message or call", retryable=False, billed=Billed.NO)
        kind = "Calls" if remote_id.startswith("CA") else "Messages"
        answer = await self._get(f"{_account_url(self._config)}/{kind}/{remote_id}.json")
        held = json_object(answer) or {}
        code = held.get("error_code")
        word = code_word(held.get("status")) or "unknown"
        return f"{word} {code}" if isinstance(code, int) else word

    async def probe(self) -> Probed:
        """Fetch the account, which is free."""
        answer = await self._get(f"{_account_url(self._config)}.json")
        held = json_object(answer) or {}
        state = code_word(held.get("status")) or "unknown"
        if state != "active":
            raise ServiceError(NAME, f"the account is {state}", retryable=False, billed=Billed.NO, status=200)
        return Probed(asked=True, text=f"the account is {state} ({code_word(held.get('type')) or 'kind unknown'})")

    async def _get(self, url: str) -> HttpAnswer:
        answer = await self._http.send(_request(self._config, "GET", url))
        if answer.status != 200:
            raise _failed(answer, self._clock)
        return answer


def _request(
    config: Config, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> HttpRequest:
    user = config.api_key or config.account
    credential = base64.b64encode(f"{user}:{config.token.reveal()}".encode()).decode()
    return HttpRequest(
        service=NAME,
        method=method,
        url=url,
        headers={"Authorization": f"Basic {credential}", **(headers or {})},
        body=body,
    )


def _account_url(config: Config) -> str:
    return f"{config.base_url.rstrip('/')}/2010-04-01/Accounts/{config.account}"


def _failed(answer: HttpAnswer, clock: Clock) -> ServiceError:
    """Twilio's own code says more than the status: 21610 (opted out), 21211 (no such number), 20429 (too many)."""
    code = (json_object(answer) or {}).get("code")
    word = str(code) if isinstance(code, int) else ""
    passing = True if word in PASSING_CODES else None
    return failure(NAME, answer, now=clock.now(), code=word, retryable=passing)


def _key(notification: Notification, to: str) -> tuple[str, ...]:
    return (notification.dedup_key, str(notification.version), notification.change, to)


def _bound(
    held: OrderedDict[str, TokenBucket] | OrderedDict[tuple[str, ...], None] | OrderedDict[tuple[str, ...], str],
) -> None:
    while len(held) > PEOPLE_MAX:
        held.popitem(last=False)


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> Twilio:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Twilio(config, http, clock=clock)
