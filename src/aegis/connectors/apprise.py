"""Apprise: a catch-all for channels that have no connector of their own, through the library of that name.

It knows more than a hundred kinds of address and no handle for any: every change is a message of its own. Text goes out
as plain text without live addresses.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass, field

from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.incidents import Severity
from aegis.core.notifications import Notification, Receipt
from aegis.core.outlets import CatchAll
from aegis.core.plaintext import defang, fit, one_line, web_link
from aegis.core.ports import Clock, Http, NewId, Probed
from aegis.core.secret import Secret
from aegis.core.wording import first_facts, headline, numbered, state, told_note

NAME = "apprise"
NEEDS = ("apprise",)

TITLE_MAX, TEXT_MAX, FACTS_MAX, ACTIONS_MAX = 250, 1_800, 5, 4
"""Ours: a message fits the smaller of the channels behind it (about 2,000 characters); the library cuts below that."""
ADDRESSES_MAX = 20
REMEMBERED_MAX = 1_000
_TWINS = str.maketrans("@<>`*~|", "\uff20\u2039\u203a'\u2217\u223c\u00a6")
_EMPHASIS = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""An underscore that does not stand between letters: CommonMark takes it for emphasis, in `svc_backup` it does not."""
_BLOCKS = str.maketrans("#-+=", "\uff03\u2010\uff0b\uff1d")
"""Twins of the signs that make a line of Markdown a heading, a list or a rule when they begin it."""
KINDS = {Severity.LOW: "info", Severity.MEDIUM: "warning", Severity.HIGH: "failure", Severity.CRITICAL: "failure"}
"""The library's own words: info, success, warning, failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Addresses in the library's way of writing (`ntfys://topic`, `mmosts://host/token`)."""

    urls: Secret = field(metadata={"help": "addresses, one or more with blanks between; each holds its own secret"})

    def __post_init__(self) -> None:
        if not 1 <= len(self.urls.reveal().split()) <= ADDRESSES_MAX:
            raise ConfigError(f"apprise: urls must hold 1 to {ADDRESSES_MAX} addresses")
        if not all("://" in url for url in self.urls.reveal().split()):
            raise ConfigError("apprise: urls must be addresses such as ntfys://topic, with blanks between")


def title_of(notification: Notification) -> str:
    """The first line."""
    return _line(headline(notification), TITLE_MAX) or "Aegis"


def text_of(notification: Notification) -> str:
    """What happened, what to do, facts and our link, which stays whole."""
    link = web_link(notification.link)
    actions = [_line(action, 150) for action in notification.actions[:ACTIONS_MAX]]
    facts = [_line(f"{fact.label}: {fact.value}", 120) for fact in first_facts(notification.facts, FACTS_MAX)]
    parts = [
        _line(told_note(notification), 600),
        _line(notification.summary, 600),
        numbered(actions),
        "\n".join(facts),
        _line(state(notification), 200),
    ]
    text = fit("\n\n".join(part for part in parts if part), TEXT_MAX - len(link) - 2)
    return f"{text}\n\n{link}" if link else text


def _line(text: str, limit: int) -> str:
    return fit(one_line(text), limit, _encode_line)


def _encode_line(text: str) -> str:
    encoded = _encode(text)
    return encoded[:1].translate(_BLOCKS) + encoded[1:]


def _encode(text: str) -> str:
    """Nobody knows which markup the channel reads, so the signs that begin a mention, a tag, a link or a quotation in
    any of them are written with their twins; line ends are ours alone, and what begins a line begins no heading or list.
    """
    return _EMPHASIS.sub("\u02cd", defang(text).translate(_TWINS).replace("](", "] ("))


class Apprise:
    """`Notifier` and `Probe`. There is no handle: the receipt's `remote_id` is empty."""

    name = NAME

    def __init__(self, config: Config, library: CatchAll) -> None:
        self._addresses = tuple(Secret(url) for url in config.urls.reveal().split())
        self._library = library
        self._taken: OrderedDict[tuple[str, ...], None] = OrderedDict()

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:  # noqa: ARG002 - there is none
        """Tell every address; those that took this version before are left out when it is tried again."""
        title, text = title_of(notification), text_of(notification)
        kind = "success" if notification.change == "resolved" else KINDS[notification.severity]
        failed: list[ServiceError] = []
        for address in self._addresses:
            key = (notification.dedup_key, str(notification.version), notification.change, _digest(address))
            if key in self._taken:
                continue
            try:
                await self._library.tell(NAME, address, title=title, text=text, kind=kind)
            except ServiceError as error:
                failed.append(error)
                continue
            self._taken[key] = None
            if len(self._taken) > REMEMBERED_MAX:
                self._taken.popitem(last=False)
        if failed:
            raise ServiceError(
                NAME,
                f"{len(failed)} of {len(self._addresses)} addresses did not take it",
                retryable=any(error.retryable for error in failed),
                billed=Billed.UNKNOWN,
            )
        return Receipt(note="without a handle: every change is a message of its own")

    async def probe(self) -> Probed:
        """Whether the library is there and knows the kind of each address; none is spoken to."""
        unknown = sum(not self._library.check(address) for address in self._addresses)
        if unknown:
            raise ServiceError(
                NAME, f"{unknown} of {len(self._addresses)} addresses are of no kind that it knows", retryable=False
            )
        return Probed(asked=False, text=f"{len(self._addresses)} addresses are well written; none was spoken to")


def _digest(address: Secret) -> str:
    return hashlib.sha256(address.reveal().encode()).hexdigest()


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId, apprise: CatchAll) -> Apprise:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Apprise(config, apprise)
