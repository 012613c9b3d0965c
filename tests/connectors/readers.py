"""Reads messages back as each service's client would: what in them would be a link, a mention or an element.

Written from the services' own descriptions of their markup, not from our encoders. Each reader takes what was sent and
gives the findings, none when all of it is text; `ours` are the links that we put there ourselves.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tests.connectors.stories import strings_in

HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e0fff]"
)
LIVE: Mapping[str, re.Pattern[str]] = {
    "an address with a scheme": re.compile(r"(?i)(?<![a-z0-9])(https?|ftps?|wss?|ldaps?|file|smb)://"),
    "a scheme that acts": re.compile(r"(?i)(?<![a-z])(javascript|vbscript|data|mailto|tel|sms|file):\S"),
    "a bare host name": re.compile(r"(?i)[a-z0-9][.\u3002\uff0e\uff61](example|com|net|org|io|zip)(?![a-z0-9])"),
    "a host of www": re.compile(r"(?i)(?<![a-z0-9])www\.[a-z0-9]"),
    "a bare IPv4 address": re.compile(r"(?<![\d.])\d{1,3}(\.\d{1,3}){3}(?![\d.])"),
}
"""What chat clients, pagers and mail programs turn into a link by themselves."""

Reader = Callable[[Any, Collection[str]], list[str]]


@lru_cache(maxsize=10_000)
def live(text: str) -> list[str]:
    """What a client that looks for addresses would find in a text, and characters that people cannot see."""
    found = [kind for kind, pattern in LIVE.items() if pattern.search(text)]
    return [*found, *(["a hidden character"] if HIDDEN.search(text) else [])]


def nodes(value: object) -> list[dict[str, Any]]:
    """Every object in a JSON value."""
    found: list[dict[str, Any]] = []
    ahead = [value]
    while ahead:  # no recursion and no protocols: hundreds of texts times hundreds of objects
        one = ahead.pop()
        if isinstance(one, dict):
            found.append(one)
            ahead += one.values()
        elif isinstance(one, list):
            ahead += one
    return found


def _without(value: Any, *keys: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _without(inner, *keys) for key, inner in value.items() if key not in keys}
    return [_without(inner, *keys) for inner in value] if isinstance(value, list) else value


def _foreign(addresses: Sequence[object], ours: Collection[str]) -> list[str]:
    return [f"a link to {address!r:.60}" for address in addresses if address not in ours]


def slack(message: Any, ours: Collection[str]) -> list[str]:
    """docs.slack.dev/messaging/formatting-message-text: `<...>` is a link, mention or date; `mrkdwn` objects style."""
    found = [f"a {one['type']} object" for one in nodes(message) if one.get("type") in ("mrkdwn", "rich_text", "image")]
    found += [f"emoji in {one}" for one in nodes(message) if one.get("type") == "plain_text" and one.get("emoji")]
    found += _foreign([one["url"] for one in nodes(message) if "url" in one], ours)
    for text in strings_in(_without(message, "url", "color", "type", "action_id", "value", "channel")):
        if re.search(r"<[^>]*>|<[!@#]", text) or re.search(r"&(?!amp;|lt;|gt;)", text):
            found.append(f"control characters in {text[:60]!r}")
        found += live(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    return found


def teams(message: Any, ours: Collection[str]) -> list[str]:
    """learn.microsoft.com/adaptive-cards: `TextBlock` reads Markdown, `TextRun` does not; both replace `{{DATE()}}`;
    a mention needs an entity.
    """
    card = message["attachments"][0]["content"]
    known = {"AdaptiveCard", "RichTextBlock", "TextRun", "Action.OpenUrl"}
    found = [f"a {one['type']}" for one in nodes(card) if "type" in one and one["type"] not in known]
    found += ["an entity" for one in nodes(card) if "entities" in one]
    found += _foreign([one["url"] for one in nodes(card) if "url" in one], ours)
    for text in strings_in(_without(card, "url", "$schema", "type", "version")):
        found += live(text)
        found += ["a function"] if re.search(r"\{\{\s*(DATE|TIME)\(", text) else []
    return found


MARKDOWN = {
    "a mention or time": re.compile(r"<[@#:/t]|<a:|<id:"),
    "an address in brackets": re.compile(r"<[a-z]+:"),
    "a link": re.compile(r"\]\("),
    "emphasis": re.compile(r"\*|_(?=\S)|~~|\|\|"),
    "code": re.compile("`"),
    "a block": re.compile(r"(?m)^(#{1,3} |-# |> |>>> |[-*] )"),
    "everybody": re.compile(r"@(everyone|here)"),
}
"""support.discord.com, Markdown Text 101; docs.discord.com/developers/reference#message-formatting."""


def discord(message: Any, ours: Collection[str]) -> list[str]:
    embed = message["embeds"][0]
    found = [] if message["allowed_mentions"] == {"parse": []} else ["mentions are allowed"]
    found += _foreign([embed["url"]] if "url" in embed else [], ours)
    said = embed["description"].replace("**What to do**\n", "", 1)
    for link in re.findall(r"\[Acknowledge\]\(([^()]*)\)", said):
        found += _foreign([link], ours)
    said = re.sub(r"\[Acknowledge\]\([^()]*\)", "", said)
    for text in (embed["title"], said, *(part for one in embed["fields"] for part in (one["name"], one["value"]))):
        bare = re.sub(r"\\([^0-9A-Za-z\s])", "", text)  # what is escaped is text
        found += [kind for kind, pattern in MARKDOWN.items() if pattern.search(bare)]
        found += live(text.replace("\\", ""))
    return found + live(embed["footer"]["text"])


def jira(message: Any, ours: Collection[str]) -> list[str]:
    """developer.atlassian.com/cloud/jira/platform/apis/document/structure: only node types act, never text."""
    known = {"doc", "paragraph", "text", "bulletList", "orderedList", "listItem", "strong", "link"}
    every = nodes(message)
    found = [f"a {one['type']}" for one in every if one.get("type", "text") not in known]
    found += _foreign([one["attrs"]["href"] for one in every if "attrs" in one], ours)
    texts = strings_in(_without(message, "attrs", "type"))
    return found + [kind for text in texts for kind in live(text)]


def pagerduty(message: Any, ours: Collection[str]) -> list[str]:
    """PagerDuty shows plain text and makes links of addresses in it."""
    found = _foreign([message["client_url"], *(one["href"] for one in message["links"])], ours)
    found += ["an image"] if message.get("images") else []
    return found + [kind for text in strings_in(_without(message, "client_url", "href")) for kind in live(text)]


def datadog(message: Any, _ours: Collection[str]) -> list[str]:
    """docs.datadoghq.com/events/guides: `%%%` begins Markdown, `@name` notifies."""
    found = []
    for text in strings_in(message):
        found += live(text)
        found += ["Markdown"] if "%%%" in text else []
        found += ["a notification"] if "@" in text else []
    tags = [tag for tag in message["tags"] if not re.fullmatch(r"[a-z][a-z0-9_:./-]{0,199}", tag)]
    return found + [f"a tag {tag!r}" for tag in tags]


def datadog_v2(message: Any, ours: Collection[str]) -> list[str]:
    """Event Management shows the message as the Events Explorer does, and links beside it."""
    shown = message["data"]["attributes"]
    found = _foreign([one["url"] for one in shown["attributes"].get("links", ())], ours)
    return found + datadog(_without(shown, "url"), ours)


def sentry(message: Any, _ours: Collection[str]) -> list[str]:
    """Sentry shows plain text and makes links of addresses in extra data."""
    return [kind for text in strings_in(message) for kind in live(text)]


def splunk(message: Any, _ours: Collection[str]) -> list[str]:
    """A search shows text as it is; what counts is that one event stays one, and that its readable part hides nothing."""
    record = {key: value for key, value in message["event"].items() if key != "incident"}
    found = ["a hidden character" for text in strings_in(record) if HIDDEN.search(text)]
    return found + (["more than one line"] if "\n" in json.dumps(message) else [])


def apprise(message: Any, ours: Collection[str]) -> list[str]:
    """What the library handed over, read as every kind of channel behind it might: Markdown, tags, addresses."""
    title, text = message["title"], message["message"]
    for link in ours:
        text = text.replace(link, "")
    found = [f"a {key}" for key in message if key not in ("version", "title", "message", "attachments", "type")]
    found += ["an attachment"] if message["attachments"] else []
    for said in (title, text):
        found += [kind for kind, pattern in _ANYWHERE.items() if pattern.search(said)]
        found += live(said)
    return found


_ANYWHERE = {
    **MARKDOWN,
    "emphasis": re.compile(r"\*|(?<![^\W_])_(?=\S)|~~|\|\|"),
    "a tag": re.compile(r"<[a-zA-Z/!?]"),
    "a mention": re.compile(r"@\S"),
}
"""spec.commonmark.org: an underscore inside a word is one, and an entity never stands for a sign of markup."""

READERS: Mapping[str, Reader] = {
    "apprise": apprise,
    "slack": slack,
    "slack webhook": slack,
    "teams": teams,
    "discord": discord,
    "pagerduty": pagerduty,
    "jira": jira,
    "datadog": datadog,
    "datadog v2": datadog_v2,
    "splunk": splunk,
    "sentry": sentry,
}
