"""Claims about what PagerDuty gets and how its answers are read."""

from pathlib import Path

import pytest
from tests.connectors.contracts import Contract
from tests.connectors.stories import (
    CANARY,
    EVERY,
    HOSTILE,
    HUGE,
    SECRET,
    FixedClock,
    ScriptedHttp,
    answer,
    hostile,
    notification,
    shown_secret,
    strings_in,
)

from aegis.connectors.pagerduty import Config, PagerDuty, dedup_key, payload
from aegis.core.errors import ConfigError, ServiceError
from aegis.core.incidents import Severity, Status
from aegis.core.notifications import Change
from aegis.core.secret import Secret

pytestmark = pytest.mark.anyio

TAKEN = answer(202, {"status": "success", "message": "Event processed", "dedup_key": "x"})


def connector(http: ScriptedHttp) -> PagerDuty:
    return PagerDuty(Config(routing_key=SECRET), http, clock=FixedClock())


@pytest.mark.parametrize(("severity", "change"), [one for one in EVERY if one[1] != "noted"])
async def test_every_event_keeps_the_contract(shared: Path, severity: Severity, change: Change) -> None:
    http = ScriptedHttp([TAKEN])
    await connector(http).notify(notification(severity, change), remote_id="")
    assert Contract.of(shared, "pagerduty", "enqueue").breaches(http.bodies()[0]) == []
    assert http.sent[0].url == "https://events.pagerduty.com/v2/enqueue"


@pytest.mark.parametrize("text", [*HOSTILE, HUGE])
async def test_hostile_text_keeps_the_contract_and_becomes_no_link(shared: Path, text: str) -> None:
    http = ScriptedHttp([TAKEN])
    await connector(http).notify(hostile(text), remote_id="")
    assert Contract.of(shared, "pagerduty", "enqueue").breaches(http.bodies()[0]) == []
    assert len(http.sent[0].body) < 512_000
    for shown in strings_in(http.bodies()[0]):
        assert "://" not in shown
        assert "evil.example" not in shown
        assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("severity", "word"),
    [(Severity.LOW, "info"), (Severity.MEDIUM, "warning"), (Severity.HIGH, "error"), (Severity.CRITICAL, "critical")],
)
def test_severities_are_pagerduty_s_own(severity: Severity, word: str) -> None:
    assert payload(notification(severity))["payload"]["severity"] == word


@pytest.mark.parametrize(
    ("change", "action"),
    [("opened", "trigger"), ("raised", "trigger"), ("analysed", "trigger"), ("reopened", "trigger"),
     ("acknowledged", "acknowledge"), ("resolved", "resolve")],
)  # fmt: skip
def test_a_change_is_the_action_that_pagerduty_knows(change: Change, action: str) -> None:
    assert payload(notification(change=change))["event_action"] == action


def test_every_version_of_an_incident_carries_one_dedup_key() -> None:
    assert {payload(notification(change=change, version=4))["dedup_key"] for _, change in EVERY} == {
        "inc_01JG0000000000000000000001"
    }


def test_two_long_keys_stay_two_keys() -> None:
    first, second = dedup_key("k" * 300 + "1"), dedup_key("k" * 300 + "2")
    assert first != second
    assert len(first) <= 255


@pytest.mark.parametrize(
    ("status", "headers", "retryable", "wait_ms"),
    [
        (429, {"retry-after": "Fri, 02 Jan 2026 03:05:05 GMT"}, True, 59_000),
        (429, {}, True, None),
        (500, {}, True, None),
        (400, {}, False, None),
        (401, {}, False, None),
        (301, {}, False, None),
    ],
)
async def test_failures_are_told_apart(
    status: int, headers: dict[str, str], retryable: bool, wait_ms: int | None
) -> None:
    with pytest.raises(ServiceError) as caught:
        await connector(ScriptedHttp([answer(status, {"status": CANARY + " x"}, headers)])).notify(
            notification(), remote_id=""
        )
    assert (caught.value.retryable, caught.value.retry_after_ms) == (retryable, wait_ms)
    assert not shown_secret(caught.value)


def test_a_key_of_another_length_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError) as caught:
        Config(routing_key=Secret(CANARY + "x"))
    assert not shown_secret(caught.value)
    assert CANARY not in repr(Config(routing_key=SECRET))


RESTING = Config(routing_key=SECRET, rest_token=SECRET, rest_from="aegis@example.com")


async def test_a_note_is_written_on_the_pagers_own_incident(shared: Path) -> None:
    http = ScriptedHttp([answer(200, {"incidents": [{"id": "Q1ABC"}]}), answer(200, {"note": {"id": "N1"}})])
    receipt = await PagerDuty(RESTING, http, clock=FixedClock()).notify(notification(change="noted"), remote_id="k")
    looked_up, noted = http.sent
    assert "incident_key=inc_01JG0000000000000000000001&" in looked_up.url
    assert noted.url == "https://api.pagerduty.com/incidents/Q1ABC/notes"
    assert noted.headers["From"] == "aegis@example.com"
    assert Contract.of(shared, "pagerduty", "incident_note").breaches(http.bodies()[1]) == []
    assert http.bodies()[1]["note"]["content"].startswith("Note by Ada Lovelace in pagerduty")
    assert (receipt.remote_id, receipt.note) == ("k", "noted")


async def test_a_note_stays_here_without_a_token_or_an_open_incident() -> None:
    assert (
        "no rest_token" in (await connector(ScriptedHttp([])).notify(notification(change="noted"), remote_id="")).note
    )
    answers: tuple[dict[str, object], ...] = ({"incidents": []}, {"incidents": [{"id": "../x"}]}, {})
    for found in answers:
        resting = PagerDuty(RESTING, ScriptedHttp([answer(200, found)]), clock=FixedClock())
        assert "no open incident" in (await resting.notify(notification(change="noted"), remote_id="")).note


@pytest.mark.parametrize("change", ["analysed", "updated", "noted"])
async def test_what_only_adds_to_an_incident_that_is_over_pages_nobody(change: Change) -> None:
    http = ScriptedHttp([])
    await connector(http).notify(notification(change=change, status=Status.RESOLVED), remote_id="k")
    assert http.sent == []


def test_a_rest_token_needs_somebody_to_write_as() -> None:
    with pytest.raises(ConfigError):
        Config(routing_key=SECRET, rest_token=SECRET)
