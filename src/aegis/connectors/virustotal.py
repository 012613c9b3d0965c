"""VirusTotal v3: what the world's scanners say about a public address, domain, URL or file hash.

Only identifiers are asked for: nothing is uploaded, no URL is visited, private names and addresses never leave.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from aegis.core.addresses import is_documentation_address, is_loopback, is_public_address, parse_address
from aegis.core.exchange import failure, from_json, json_object
from aegis.core.incidents import Finding, Observable, Verdict
from aegis.core.plaintext import fit, one_line
from aegis.core.ports import Clock, Enriched, Http, HttpAnswer, HttpRequest, NewId
from aegis.core.secret import Secret

NAME = "virustotal"

QUOTA_PAUSE = timedelta(minutes=15)
"""What to wait when a quota is used up. The answer does not say whether the minute, day or month is meant (days end at
00:00 UTC, docs.virustotal.com/reference/errors); asking again after this costs nothing and is learned from.
"""

MALICIOUS_FROM = 3
"""How many engines must call it malicious: one or two of some 90 are usually false alarms."""

URL_MAX = 2_000

PRIVATE_SUFFIXES = (
    "alt",
    "arpa",
    "corp",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
    "test",
)
"""Names that mean nothing outside (RFC 6761, RFC 6762, RFC 7686, RFC 9476, ICANN's .internal) or are customary inside."""

_DOMAIN = re.compile(r"(?=.{4,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An API key. The public API is not for commercial use: docs.virustotal.com/reference/public-vs-premium-api."""

    api_key: Secret = field(metadata={"help": "API key"})
    base_url: str = field(default="https://www.virustotal.com", metadata={"help": "where VirusTotal's API stands"})


def resource(observable: Observable) -> str:
    """The path of an observable below `/api/v3/`, or "" when it is not looked up."""
    value = observable.value.strip()
    match observable.kind:
        case "ip" if is_public_address(value):
            return f"ip_addresses/{parse_address(value)}"
        case "domain" if _is_public_name(value.lower().rstrip(".")):
            return f"domains/{value.lower().rstrip('.')}"
        case "url" if _is_public_url(value):
            return f"urls/{urlsafe_b64encode(value.encode()).decode().rstrip('=')}"
        case "file_hash" if _HASH.fullmatch(value.lower()):
            return f"files/{value.lower()}"
    return ""


def _is_public_name(name: str) -> bool:
    return bool(_DOMAIN.fullmatch(name)) and name.rpartition(".")[2] not in PRIVATE_SUFFIXES


def _is_public_url(url: str) -> bool:
    """http(s), a public host, and no user name in it: a URL with credentials is not told to anybody."""
    if len(url) > URL_MAX or not re.fullmatch(r"(?i)https?://[\x21-\x7e]+", url):
        return False
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    return parts.username is None and (_is_public_name(host) or is_public_address(host))


class VirusTotal:
    """`Enricher`. Uses one `requests` for every look-up, known or not."""

    name = NAME

    def __init__(self, config: Config, http: Http, *, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock

        self._rehearsing = is_loopback(urlsplit(config.base_url).hostname or "")

    def accepts(self, observable: Observable) -> bool:
        """Whether the observable is public and of a kind that VirusTotal knows. Addresses of documentation are asked
        about only where a stand-in on this machine answers.
        """
        return bool(self._path(observable))

    def _path(self, observable: Observable) -> str:
        if self._rehearsing and observable.kind == "ip" and is_documentation_address(observable.value):
            return f"ip_addresses/{parse_address(observable.value)}"
        return resource(observable)

    async def enrich(self, observable: Observable) -> Enriched:
        """Look the observable up; one that VirusTotal does not know is a finding too (`unknown`).

        An observable that is not accepted is an error of the caller, and nothing is sent.
        """
        path = self._path(observable)
        assert path, "enrich is only called for what accepts() takes"
        answer = await self._http.send(
            HttpRequest(
                service=NAME,
                method="GET",
                url=f"{self._config.base_url.rstrip('/')}/api/v3/{path}",
                headers={"x-apikey": self._config.api_key.reveal(), "Accept": "application/json"},
            )
        )
        if answer.status == 200:
            found = finding(observable, from_json(NAME, answer), now=self._clock.now())
        elif answer.status == 404 and _code(answer) == "NotFoundError":
            found = _unknown(observable, now=self._clock.now())
        else:
            raise self._failure(answer)
        return Enriched(finding=found, usage={"requests": 1})

    def _failure(self, answer: HttpAnswer) -> Exception:
        code, headers = _code(answer), dict(answer.headers)
        if answer.status == 429:
            pause = 60 if code == "TooManyRequestsError" else int(QUOTA_PAUSE.total_seconds())
            headers.setdefault("retry-after", str(pause))
        told = HttpAnswer(status=answer.status, headers=headers, body=b"")
        return failure(NAME, told, now=self._clock.now(), code=code)


def finding(observable: Observable, answer: Mapping[str, Any], *, now: datetime) -> Finding:
    """The finding from an answer's body. Only counts and short typed fields are used: names and comments in there are
    written by strangers.
    """
    data = answer.get("data")
    attributes = data.get("attributes") if isinstance(data, dict) else None
    attributes = attributes if isinstance(attributes, dict) else {}
    stats = attributes.get("last_analysis_stats")
    counts = {name: number for name, number in stats.items() if _is_count(number)} if isinstance(stats, dict) else {}
    malicious, suspicious = counts.get("malicious", 0), counts.get("suspicious", 0)
    total = sum(counts.get(name, 0) for name in ("malicious", "suspicious", "harmless", "undetected"))
    facts = {"engines": f"{malicious} of {total} call it malicious, {suspicious} suspicious"}
    if type(reputation := attributes.get("reputation")) is int:
        facts["reputation"] = str(reputation)
    if _is_count(analysed := attributes.get("last_analysis_date")):
        facts["last analysed"] = f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=analysed):%Y-%m-%d}"
    for name in ("country", "as_owner", "meaningful_name"):
        if isinstance(text := attributes.get(name), str) and text:
            facts[name.replace("_", " ")] = fit(one_line(text), 100)
    verdict = _verdict(malicious, suspicious, total)
    title = f"{observable.kind} {observable.value}: {facts['engines']}"
    return Finding(
        source=NAME,
        observable=observable,
        verdict=verdict,
        title=fit(one_line(title), 300),
        at=now,
        facts=facts,
        link=_page(observable),
    )


def _verdict(malicious: int, suspicious: int, total: int) -> Verdict:
    if malicious >= MALICIOUS_FROM:
        return Verdict.MALICIOUS
    if malicious or suspicious:
        return Verdict.SUSPICIOUS
    return Verdict.HARMLESS if total else Verdict.UNKNOWN


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 10**11


def _unknown(observable: Observable, *, now: datetime) -> Finding:
    title = fit(one_line(f"{observable.kind} {observable.value}: VirusTotal does not know it"), 300)
    return Finding(source=NAME, observable=observable, verdict=Verdict.UNKNOWN, title=title, at=now)


def _page(observable: Observable) -> str:
    """The page for people, built from the checked identifier."""
    kind, _, identifier = resource(observable).partition("/")
    page = {"ip_addresses": "ip-address", "domains": "domain", "files": "file"}.get(kind)
    return f"https://www.virustotal.com/gui/{page}/{identifier}" if page else ""


def _code(answer: HttpAnswer) -> str:
    error = (json_object(answer) or {}).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> VirusTotal:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return VirusTotal(config, http, clock=clock)
