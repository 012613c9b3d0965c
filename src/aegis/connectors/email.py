"""E-mail: every change of an incident is a mail in the same thread, as plain text and as HTML, over SMTP.

Text from logs becomes no header, no markup and no link; the HTML loads nothing. A retry carries the same Message-ID, so
that a mail whose answer was lost is the same mail twice and not two.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape

from aegis.core.addresses import is_loopback
from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.incidents import Severity
from aegis.core.notifications import Fact, Notification, Receipt
from aegis.core.outlets import Letter, Mail, MailServer, Security, Written
from aegis.core.plaintext import defang, fit, lines, one_line, web_link
from aegis.core.ports import Clock, Http, NewId, Probed
from aegis.core.secret import Secret
from aegis.core.wording import first_facts, headline, numbered, state, told_note

NAME = "email"
NEEDS = ("mail",)

SUBJECT_MAX = 200
"""Ours: what lists of mail show, and far below RFC 5322's 998 for a line, also when it is encoded."""
TEXT_MAX, FACTS_MAX, FACT_MAX, ACTIONS_MAX = 4_000, 25, 500, 10
"""Ours: keeps the HTML of plain text below the 102 KB at which the largest mail service cuts."""
RECIPIENTS_MAX = 50
REMEMBERED_MAX = 1_000
"""Mails whose takers are remembered, so that a retry for one recipient is no second mail for the others."""

FIRST = ("opened", "raised", "escalated", "unpaged", "budget", "test", "digest")
"""Changes that are no answer to an earlier mail, or have to be seen like a new one."""
COLOURS = {Severity.LOW: "#439fe0", Severity.MEDIUM: "#ffcc00", Severity.HIGH: "#ff6600", Severity.CRITICAL: "#ff0000"}
RESOLVED_COLOUR = "#2eb67d"
ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?(?:\.[A-Za-z0-9-]{1,63})*"
)
"""An address as the HTML standard has it: nothing that is special in a header or an envelope fits it."""
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9_.@-]{3,200}>")
_SECURITIES: dict[str, Security] = {"starttls": "starttls", "tls": "tls", "none": "none"}
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""RFC 6409, RFC 8314, RFC 5321."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A mail server that takes mail from `sender` for `to`."""

    host: str = field(metadata={"help": "mail server"})
    sender: str = field(metadata={"help": "address that mails come from; its domain stands in every Message-ID"})
    to: tuple[str, ...] = field(metadata={"help": "addresses that are told by default"})
    port: int = field(default=0, metadata={"help": "0: 587 for starttls, 465 for tls, 25 for none"})
    security: str = field(default="starttls", metadata={"help": "starttls, tls, or none (this machine only)"})
    user: str = field(default="", metadata={"help": "name to sign in with; empty: none is needed"})
    password: Secret | None = field(default=None, metadata={"help": "password, or an app password"})
    allow_private: bool = field(default=False, metadata={"help": "the server stands on a private address"})
    ca_file: str = field(
        default="", metadata={"help": "file of authorities (PEM) that are trusted instead of the system's"}
    )

    def __post_init__(self) -> None:
        if self.security not in _SECURITIES:
            raise ConfigError("email: security must be starttls, tls or none")
        if self.security == "none" and not is_loopback(self.host):
            raise ConfigError("email: security none is for a server on this machine only; use starttls or tls")
        if not re.fullmatch(r"[A-Za-z0-9.:\[\]-]{1,253}", self.host):
            raise ConfigError("email: host must be the name or address of a mail server")
        if bool(self.user) != bool(self.password):
            raise ConfigError("email: give user and password, or neither")
        if not 0 <= self.port <= 65_535:
            raise ConfigError("email: port must be between 0 and 65535")
        if not 1 <= len(self.to) <= RECIPIENTS_MAX:
            raise ConfigError(f"email: to must name 1 to {RECIPIENTS_MAX} addresses")
        if not all(ADDRESS.fullmatch(address) for address in (self.sender, *self.to)):
            raise ConfigError("email: sender and to must be plain addresses, such as soc@example.com")

    @property
    def server(self) -> MailServer:
        """Where mail is handed in."""
        return MailServer(
            host=self.host.strip("[]"),
            port=self.port or _PORTS[self.security],
            security=_SECURITIES[self.security],
            user=self.user,
            password=self.password,
            allow_private=self.allow_private,
            ca_file=self.ca_file,
        )


def payload(
    notification: Notification, *, sender: str, to: Sequence[str], after: str = "", bridge: str = ""
) -> EmailMessage:
    """The mail. `after` is the Message-ID of the mail before it in the thread, where one is known."""
    host = sender.rpartition("@")[2]
    thread = f"<{_word(notification.dedup_key)}@{host}>"
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f"Aegis <{sender}>"
    mail["To"] = ", ".join(to)
    mail["Subject"] = subject(notification)
    mail["Date"] = format_datetime(notification.at)
    mail["Message-ID"] = message_id(notification, host, to)
    mail["In-Reply-To"] = thread
    mail["References"] = f"{thread} {after}" if _MESSAGE_ID.fullmatch(after) else thread
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    mail["X-Auto-Response-Suppress"] = "All"
    if notification.severity >= Severity.HIGH and notification.change not in ("resolved", "digest"):
        mail["Importance"] = "high"
        mail["X-Priority"] = "1"
    mail.set_content(text_part(notification, bridge), cte="quoted-printable")
    mail.add_alternative(html_part(notification, bridge), subtype="html", cte="quoted-printable")
    return mail


def report_mail(report: Written, *, sender: str, to: Sequence[str]) -> EmailMessage:
    """A report of ours as a mail: its key is its Message-ID, so that one handed in twice is one mail."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f"Aegis <{sender}>"
    mail["To"] = ", ".join(to)
    mail["Subject"] = fit(one_line(report.title), SUBJECT_MAX) or "Aegis"
    mail["Date"] = format_datetime(report.at)
    mail["Message-ID"] = f"<{_word(report.key)}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(report.text, cte="quoted-printable")
    mail.add_alternative(report.html, subtype="html", cte="quoted-printable")
    return mail


def subject(notification: Notification) -> str:
    """`HIGH: title`, the same for every change at one severity: mail programs that thread by subject keep them together."""
    word = "Test" if notification.change == "test" else notification.severity.name
    again = "" if notification.change in FIRST else "Re: "
    return fit(one_line(f"{again}{word}: {notification.title}"), SUBJECT_MAX, defang) or "Aegis"


def message_id(notification: Notification, host: str, to: Sequence[str]) -> str:
    """The same for the same version to the same people, so that a mail handed in twice is one mail."""
    people = hashlib.sha256("\n".join(sorted(to)).encode()).hexdigest()[:12]
    return f"<{_word(notification.dedup_key)}.{notification.version}.{notification.change}.{people}@{host}>"


def _word(key: str) -> str:
    return key if _KEY.fullmatch(key) else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:40]


def text_part(notification: Notification, bridge: str = "") -> str:
    """The plain text: what happened, what to do now, facts, where to look."""
    parts = [_lines(headline(notification), SUBJECT_MAX), _lines(told_note(notification), TEXT_MAX)]
    parts.append(_lines(notification.summary, TEXT_MAX))
    if notification.actions:
        parts.append(f"What to do now\n{_lines(numbered(notification.actions[:ACTIONS_MAX]), TEXT_MAX)}")
    if rows := _rows(notification, bridge):
        parts.append("\n".join(f"{label}: {value}" for label, value in rows))
    parts.append(_lines(" · ".join((state(notification), *notification.techniques[:ACTIONS_MAX])), FACT_MAX))
    parts.append("\n".join(f"{label}: {link}" for label, link in _links(notification)))
    return "\n\n".join(part for part in parts if part) + "\n"


def html_part(notification: Notification, bridge: str = "") -> str:
    """The same as HTML: styles in line, nothing loaded, our own link the only one."""
    colour = RESOLVED_COLOUR if notification.change == "resolved" else COLOURS[notification.severity]
    body = [f'<h2 style="margin:0 0 12px">{_html(headline(notification), SUBJECT_MAX)}</h2>']
    if note := told_note(notification):
        body.append(f"<p><b>{_html(note, TEXT_MAX)}</b></p>")
    body.append(f"<p>{_html(notification.summary, TEXT_MAX)}</p>" if notification.summary.strip() else "")
    if notification.actions:
        items = "".join(f"<li>{_html(action, FACT_MAX)}</li>" for action in notification.actions[:ACTIONS_MAX])
        body.append(f'<p style="margin-bottom:4px"><b>What to do now</b></p><ol style="margin-top:0">{items}</ol>')
    cell = 'style="padding:2px 12px 2px 0;vertical-align:top"'
    rows = [
        f"<tr><td {cell}><b>{_escaped(a)}</b></td><td {cell}>{_escaped(b)}</td></tr>"
        for a, b in _rows(notification, bridge)
    ]
    body.append(f'<table style="border-collapse:collapse;font-size:14px">{"".join(rows)}</table>' if rows else "")
    where = " · ".join((state(notification), *notification.techniques[:ACTIONS_MAX]))
    links = [
        f'<a href="{escape(link)}" style="color:#0b5fff">{escape(label)}</a>' for label, link in _links(notification)
    ]
    body.append(f"<p>{' &nbsp; '.join(links)}</p>" if links else "")
    body.append(f'<p style="color:#666;font-size:12px">{_html(where, FACT_MAX)}</p>')
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="format-detection" content="telephone=no,date=no,address=no,email=no,url=no"></head><body>'
        f'<div style="border-left:6px solid {colour};padding:4px 16px;font-family:sans-serif;font-size:15px">'
        f"{''.join(body)}</div></body></html>\n"
    )


def _links(notification: Notification) -> list[tuple[str, str]]:
    """Our own links: signed ones, whose pages ask before they do anything, and the page of the incident."""
    offered = [(_lines(button.label, 50), web_link(button.url)) for button in notification.buttons]
    ours = [*offered, ("Open in Aegis", web_link(notification.link))]
    return [(label, link) for label, link in ours if link]


def _rows(notification: Notification, bridge: str) -> list[tuple[str, str]]:
    joined = (Fact("Conference", bridge),) if bridge else ()
    facts = tuple(dict.fromkeys((*joined, *first_facts(notification.facts, FACTS_MAX))))  # it is often a fact already
    return [(_lines(fact.label, 100).replace("\n", " "), _lines(fact.value, FACT_MAX)) for fact in facts]


def _lines(text: str, limit: int) -> str:
    return fit(lines(text), limit, defang)


def _html(text: str, limit: int) -> str:
    return _escaped(_lines(text, limit))


def _escaped(text: str) -> str:
    return escape(text).replace("\n", "<br>")


class Email:
    """`Notifier`, `Messenger` and `Probe`. The receipt's `remote_id` is the mail's Message-ID."""

    name = NAME

    def __init__(self, config: Config, mail: Mail, *, clock: Clock) -> None:
        self._config, self._mail, self._clock = config, mail, clock
        self._taken: OrderedDict[str, frozenset[str]] = OrderedDict()

    def accepts(self, to: str) -> bool:
        return len(to) <= 254 and ADDRESS.fullmatch(to) is not None

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:
        """One mail to everybody who is told by default."""
        return await self._post(notification, self._config.to, after=remote_id, bridge=notification.bridge)

    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt:
        """One mail to one person."""
        if not self.accepts(to):
            raise ServiceError(NAME, "that is no e-mail address", retryable=False, billed=Billed.NO)
        return await self._post(notification, (to,), bridge=bridge)

    async def deliver(self, report: Written, to: Sequence[str]) -> str:
        """One mail with a report of ours, to these addresses or to everybody who is told by default."""
        people = tuple(to) or self._config.to
        if not all(self.accepts(address) for address in people):
            raise ServiceError(NAME, "one of the addresses is no e-mail address", retryable=False, billed=Billed.NO)
        return (await self._hand_in(report_mail(report, sender=self._config.sender, to=people), people)).note

    async def probe(self) -> Probed:
        """Sign in and out again."""
        return Probed(asked=True, text=await self._mail.ask(self._config.server, NAME))

    async def _post(
        self, notification: Notification, to: Sequence[str], *, after: str = "", bridge: str = ""
    ) -> Receipt:
        sender = self._config.sender
        return await self._hand_in(payload(notification, sender=sender, to=to, after=after, bridge=bridge), to)

    async def _hand_in(self, mail: EmailMessage, to: Sequence[str]) -> Receipt:
        sender, number = self._config.sender, str(mail["Message-ID"])
        had = self._taken.get(number, frozenset())
        left = tuple(address for address in to if address not in had)
        if not left:
            return Receipt(remote_id=number, note="it was taken before")
        letter = Letter(service=NAME, sender=sender, to=left, message=mail.as_bytes())
        posted = await self._mail.post(self._config.server, letter)
        # Whoever is refused for good is not asked again: the mail is done once nobody is left to wait for.
        self._remember(number, had | set(posted.taken) | set(posted.refused))
        if posted.deferred:
            code = min(posted.deferred.values())
            raise ServiceError(
                NAME,
                f"answered {code}: {len(posted.deferred)} of {len(to)} recipients have to wait",
                retryable=True,
                billed=Billed.NO,
                status=code,
            )
        return Receipt(remote_id=number, note=_note(posted.refused.values(), len(to)))

    def _remember(self, number: str, people: frozenset[str]) -> None:
        self._taken[number] = people
        if len(self._taken) > REMEMBERED_MAX:
            self._taken.popitem(last=False)


def _note(codes: Collection[int], of: int) -> str:
    refused = tuple(codes)
    return f"{len(refused)} of {of} recipients were refused ({min(refused)})" if refused else ""


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId, mail: Mail) -> Email:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Email(config, mail, clock=clock)
