"""Claims about what Sentry gets and how its rate limits are read."""

import pytest
from tests.connectors.stories import CANARY, FixedClock, ScriptedHttp, answer, notification, shown_secret

from aegis.connectors.sentry import Config, Sentry, event_id, parse_dsn, payload, wait_seconds
from aegis.core.errors import ConfigError, ServiceError
from aegis.core.incidents import Severity
from aegis.core.secret import Secret

pytestmark = pytest.mark.anyio

DSN = Secret(f"https://{CANARY}@o1.ingest.sentry.io/42")


@pytest.mark.parametrize(
    ("dsn", "url"),
    [
        ("https://k@o1.ingest.sentry.io/42", "https://o1.ingest.sentry.io/api/42/envelope/"),
        ("http://k@127.0.0.1:9000/sentry/1", "http://127.0.0.1:9000/sentry/api/1/envelope/"),
        ("https://k:old@[::1]:8/1", "https://[::1]:8/api/1/envelope/"),
    ],
)
def test_a_dsn_names_the_envelope_address(dsn: str, url: str) -> None:
    assert (parse_dsn(Secret(dsn)).url, parse_dsn(Secret(dsn)).key) == (url, "k")


@pytest.mark.parametrize(
    "dsn",
    ["", CANARY, f"https://{CANARY}/1", f"https://{CANARY}@h/x", f"ftp://{CANARY}@h/1", f"https://{CANARY}@h:x/1"],
)
def test_a_wrong_dsn_is_refused_without_showing_it(dsn: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(dsn=Secret(dsn))
    assert not shown_secret(caught.value)


@pytest.mark.parametrize(
    ("severity", "level"),
    [(Severity.LOW, "info"), (Severity.MEDIUM, "warning"), (Severity.HIGH, "error"), (Severity.CRITICAL, "fatal")],
)
def test_levels_are_sentry_s_own(severity: Severity, level: str) -> None:
    assert payload(notification(severity))["level"] == level


def test_one_version_is_one_event_and_another_version_another() -> None:
    first, again, second = notification(version=1), notification(version=1), notification(version=2)
    assert event_id(first) == event_id(again) != event_id(second)
    assert len(event_id(first)) == 32
    assert payload(first)["fingerprint"] == payload(second)["fingerprint"]


async def test_the_key_goes_in_the_header_and_not_in_the_envelope() -> None:
    http = ScriptedHttp([answer(200, {"id": "x"})])
    receipt = await Sentry(Config(dsn=DSN), http, clock=FixedClock()).notify(notification(), remote_id="")
    assert f"sentry_key={CANARY}" in http.sent[0].headers["X-Sentry-Auth"]
    assert CANARY.encode() not in http.sent[0].body
    assert receipt.remote_id == event_id(notification())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, "60"),
        ({"retry-after": "5"}, "5"),
        ({"x-sentry-rate-limits": "60:transaction:key, 2700:default;error;security:organization:quota"}, "2700"),
        ({"x-sentry-rate-limits": "30::organization"}, "30"),
        ({"x-sentry-rate-limits": "30:transaction:organization", "retry-after": "9"}, "9"),
        ({"x-sentry-rate-limits": "nonsense,,:::"}, "60"),
    ],
)
def test_only_limits_that_cover_errors_count(headers: dict[str, str], seconds: str) -> None:
    assert wait_seconds(headers) == seconds


async def test_a_limit_without_any_header_is_waited_for_a_minute() -> None:
    with pytest.raises(ServiceError) as caught:
        await Sentry(Config(dsn=DSN), ScriptedHttp([answer(429)]), clock=FixedClock()).notify(
            notification(), remote_id=""
        )
    assert (caught.value.retry_after_ms, caught.value.retryable) == (60_000, True)
