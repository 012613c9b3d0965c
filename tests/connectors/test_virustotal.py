"""Claims about what is asked of VirusTotal and how its answers become findings."""

import datetime as dt
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest
from tests.connectors.contracts import Contract
from tests.connectors.stories import CANARY, HUGE, NOW, SECRET, FixedClock, ScriptedHttp, answer, shown_secret

from aegis.connectors.virustotal import Config, VirusTotal, finding, resource
from aegis.core.errors import Billed, ServiceError
from aegis.core.incidents import Observable, ObservableKind, Verdict

pytestmark = pytest.mark.anyio

IP = Observable("ip", "8.8.8.8")
SHA256 = "a" * 64


def report(kind: str = "ip_address", **attributes: Any) -> dict[str, Any]:
    stats = {"malicious": 9, "suspicious": 1, "harmless": 50, "undetected": 30, "timeout": 0}
    return {
        "data": {
            "type": kind,
            "id": "8.8.8.8",
            "attributes": {
                "last_analysis_stats": stats,
                "reputation": -12,
                "last_analysis_date": 1767225600,
                "country": "US",
                "as_owner": "EXAMPLE-AS",
                **attributes,
            },
        }
    }


def connector(http: ScriptedHttp) -> VirusTotal:
    return VirusTotal(Config(api_key=SECRET), http, clock=FixedClock())


@pytest.mark.parametrize(
    ("kind", "value", "path"),
    [
        ("ip", "8.8.8.8", "ip_addresses/8.8.8.8"),
        ("ip", "2001:4860:4860::8888", "ip_addresses/2001:4860:4860::8888"),
        ("domain", "Evil-Site.COM.", "domains/evil-site.com"),
        ("domain", "xn--80ak6aa92e.com", "domains/xn--80ak6aa92e.com"),
        ("file_hash", "D41D8CD98F00B204E9800998ECF8427E", "files/d41d8cd98f00b204e9800998ecf8427e"),
        ("file_hash", SHA256, f"files/{SHA256}"),
    ],
)
def test_public_observables_have_a_path(kind: ObservableKind, value: str, path: str) -> None:
    assert resource(Observable(kind, value)) == path


def test_a_url_is_asked_for_by_its_own_text() -> None:
    path = resource(Observable("url", "https://evil-site.com/a?b=c"))
    assert path.startswith("urls/")
    assert "=" not in path
    assert urlsafe_b64decode(path.removeprefix("urls/") + "==") == b"https://evil-site.com/a?b=c"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("ip", "10.0.0.1"),
        ("ip", "192.168.1.1"),
        ("ip", "127.0.0.1"),
        ("ip", "169.254.169.254"),
        ("ip", "100.64.0.1"),
        ("ip", "203.0.113.9"),
        ("ip", "224.0.0.1"),
        ("ip", "fd00::1"),
        ("ip", "::ffff:10.0.0.1"),
        ("ip", "64:ff9b::10.0.0.1"),
        ("ip", "8.8.8.8/../../x"),
        ("ip", ""),
        ("domain", "db.internal"),
        ("domain", "printer.local"),
        ("domain", "localhost"),
        ("domain", "host"),
        ("domain", "x.example"),
        ("domain", "1.168.192.in-addr.arpa"),
        ("domain", "a/../b.com"),
        ("domain", "a" * 300 + ".com"),
        ("url", "https://10.0.0.1/x"),
        ("url", "https://wiki.corp/x"),
        ("url", "https://user:password@site.com/"),
        ("url", "ftp://site.com/"),
        ("url", "https://site.com/ x"),
        ("url", "https://[::1"),
        ("url", "https://site.com/" + "a" * 3000),
        ("file_hash", "abc"),
        ("file_hash", "g" * 64),
        ("user", "8.8.8.8"),
        ("technique", "T1110"),
    ],
)
def test_private_broken_and_foreign_observables_are_never_asked_about(kind: ObservableKind, value: str) -> None:
    assert not connector(ScriptedHttp([])).accepts(Observable(kind, value))


async def test_a_known_address_is_a_finding_and_uses_one_request(shared: Path) -> None:
    assert Contract.of(shared, "virustotal", "ip.200", "responses").breaches(report()) == []
    http = ScriptedHttp([answer(200, report())])
    enriched = await connector(http).enrich(IP)
    assert enriched.usage == {"requests": 1}
    found = enriched.finding
    assert (found.verdict, found.source, found.at) == (Verdict.MALICIOUS, "virustotal", NOW)
    assert found.facts == {
        "engines": "9 of 90 call it malicious, 1 suspicious",
        "reputation": "-12",
        "last analysed": "2026-01-01",
        "country": "US",
        "as owner": "EXAMPLE-AS",
    }
    assert found.link == "https://www.virustotal.com/gui/ip-address/8.8.8.8"
    assert http.sent[0].url == "https://www.virustotal.com/api/v3/ip_addresses/8.8.8.8"
    assert (http.sent[0].headers["x-apikey"], http.sent[0].body) == (CANARY, b"")


@pytest.mark.parametrize(
    ("malicious", "suspicious", "harmless", "verdict"),
    [
        (3, 0, 80, Verdict.MALICIOUS),
        (2, 0, 80, Verdict.SUSPICIOUS),
        (0, 1, 80, Verdict.SUSPICIOUS),
        (0, 0, 80, Verdict.HARMLESS),
        (0, 0, 0, Verdict.UNKNOWN),
    ],
)
def test_a_verdict_needs_more_than_one_engine(malicious: int, suspicious: int, harmless: int, verdict: Verdict) -> None:
    stats = {"malicious": malicious, "suspicious": suspicious, "harmless": harmless, "undetected": 0, "timeout": 0}
    assert finding(IP, report(last_analysis_stats=stats), now=NOW).verdict is verdict


async def test_an_unknown_observable_is_a_finding_too() -> None:
    http = ScriptedHttp([answer(404, {"error": {"code": "NotFoundError", "message": "x"}})])
    enriched = await connector(http).enrich(Observable("file_hash", SHA256))
    assert (enriched.finding.verdict, enriched.usage) == (Verdict.UNKNOWN, {"requests": 1})


@pytest.mark.parametrize(
    ("status", "code", "headers", "retryable", "wait_ms"),
    [
        (429, "QuotaExceededError", {}, True, 900_000),
        (429, "TooManyRequestsError", {}, True, 60_000),
        (429, "QuotaExceededError", {"retry-after": "5"}, True, 5_000),
        (503, "TransientError", {}, True, None),
        (401, "WrongCredentialsError", {}, False, None),
        (403, "ForbiddenError", {}, False, None),
        (400, "InvalidArgumentError", {}, False, None),
        (404, "NoSuchPath", {}, False, None),
    ],
)
async def test_failures_are_told_apart(
    status: int, code: str, headers: dict[str, str], retryable: bool, wait_ms: int | None
) -> None:
    body = {"error": {"code": code, "message": f"{CANARY} text"}}
    with pytest.raises(ServiceError, match=code) as caught:
        await connector(ScriptedHttp([answer(status, body, headers)])).enrich(IP)
    assert (caught.value.retryable, caught.value.retry_after_ms) == (retryable, wait_ms)
    assert caught.value.billed is (Billed.NO if status < 500 else Billed.UNKNOWN)
    assert not shown_secret(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None},
        {"data": {"attributes": 5}},
        {"data": {"attributes": {"last_analysis_stats": {"malicious": -1, "harmless": "9", "suspicious": True}}}},
        {"data": {"attributes": {"last_analysis_date": 10**30, "reputation": "x", "as_owner": HUGE, "country": ["x"]}}},
    ],
)
def test_a_hostile_report_is_a_short_unknown_finding(body: dict[str, Any]) -> None:
    found = finding(IP, body, now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert found.verdict is Verdict.UNKNOWN
    assert all(len(value) <= 100 for value in found.facts.values())


async def test_an_answer_that_is_no_report_is_an_error() -> None:
    with pytest.raises(ServiceError):
        await connector(ScriptedHttp([answer(200, b"<html>")])).enrich(IP)


def test_documentation_addresses_are_asked_about_only_on_this_machine() -> None:
    stands_in = VirusTotal(
        Config(api_key=SECRET, base_url="http://127.0.0.1:9/virustotal"), ScriptedHttp([]), clock=FixedClock()
    )
    assert stands_in.accepts(Observable("ip", "203.0.113.66"))
    assert not connector(ScriptedHttp([])).accepts(Observable("ip", "203.0.113.66"))
    assert not stands_in.accepts(Observable("ip", "10.0.0.1"))
