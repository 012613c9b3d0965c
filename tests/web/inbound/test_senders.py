"""What a sender signed is taken, and nothing else: not one byte changed, not by another secret, not when it is old."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.web.inbound import signing
from tests.web.inbound.signing import DOOR, INCIDENT, NOW, SECRET, Sent

from aegis.core.errors import BadInput
from aegis.core.inbound import Received
from aegis.core.incidents import Severity
from aegis.core.secret import Secret
from aegis.web.inbound.senders import SENDERS
from aegis.web.inbound.signed import Untrusted

EVERY: dict[str, Sent] = {
    "pagerduty": signing.pagerduty(),
    "slack": signing.slack(),
    "jira": signing.jira(),
    "alertmanager": signing.alertmanager(),
    "datadog": signing.datadog(),
    "grafana": signing.grafana(),
    "sentry": signing.sentry(),
    "sns": signing.sns(),
    "sns version 1": signing.sns(version="1"),
    "github": signing.github(),
    "github partner": signing.github_partner(),
    "standard": signing.standard(),
}
SIGNED = [name for name in EVERY if name not in ("alertmanager", "datadog")]
"""Those whose body is signed; the others know their sender by a shared secret in a header."""
TIMED: dict[str, tuple[Callable[[datetime], Sent], timedelta]] = {
    "pagerduty": (lambda at: signing.pagerduty(at=at), timedelta(hours=72)),
    "slack": (lambda at: signing.slack(at=at), timedelta(seconds=300)),
    "jira": (lambda at: signing.jira(at=at), timedelta(days=1)),
    "grafana": (lambda at: signing.grafana(at=at), timedelta(seconds=300)),
    "sentry": (lambda at: signing.sentry(at=at), timedelta(seconds=300)),
    "sns": (lambda at: signing.sns(at=at), timedelta(hours=1)),
    "standard": (lambda at: signing.standard(at=at), timedelta(seconds=300)),
}


def received(sent: Sent, *, now: datetime = NOW) -> Received:
    return SENDERS[sent.sender].receive(sent.headers, sent.body, sent.door, now)


@pytest.mark.parametrize("name", EVERY)
def test_what_the_sender_signed_is_taken_and_has_a_name(name: str) -> None:
    taken = received(EVERY[name])
    assert taken.acts or taken.alerts or taken.budgets
    assert taken.ids
    assert taken == received(EVERY[name])


@pytest.mark.parametrize("name", SIGNED)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_not_one_bit_of_a_signed_body_may_differ(name: str, data: st.DataObject) -> None:
    sent = EVERY[name]
    body = bytearray(sent.body)
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadInput) as refused:
        received(replace(sent, body=bytes(body)))
    if sent.sender != "sns":  # its signature stands inside the JSON
        assert isinstance(refused.value, Untrusted)


@pytest.mark.parametrize("name", EVERY)
def test_without_its_headers_nothing_is_taken(name: str) -> None:
    sent = EVERY[name]
    if sent.headers:
        with pytest.raises(Untrusted):
            received(replace(sent, headers={}))


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("sns", "sns version 1", "github partner")])
def test_by_another_secret_nothing_is_taken(name: str) -> None:
    sent = EVERY[name]
    with pytest.raises(Untrusted, match="does not match"):
        received(replace(sent, door=replace(sent.door, secrets=(Secret("another-secret"),))))
    with pytest.raises(Untrusted):
        received(replace(sent, door=replace(sent.door, secrets=())))


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith(("sns", "github partner", "standard"))])
def test_while_a_secret_is_changed_both_are_good(name: str) -> None:
    sent = EVERY[name]
    taken = received(replace(sent, door=replace(sent.door, secrets=(Secret("the new one"), Secret(SECRET)))))
    assert taken == received(sent)


@pytest.mark.parametrize("name", TIMED)
def test_what_was_sent_too_long_ago_or_in_the_future_is_not_taken(name: str) -> None:
    make, window = TIMED[name]
    assert received(make(NOW - window + timedelta(seconds=2)))
    with pytest.raises(Untrusted, match="too old"):
        received(make(NOW - window - timedelta(seconds=2)))
    if name not in ("pagerduty", "sns"):  # their clocks are believed only backwards: a future time counts as now
        with pytest.raises(Untrusted, match="too old"):
            received(make(NOW + timedelta(seconds=302)))


@pytest.mark.parametrize("name", SIGNED)
@settings(max_examples=40, deadline=None)
@given(body=st.binary(max_size=200), header=st.text(st.characters(codec="latin-1"), max_size=80))
def test_garbage_is_refused_by_name_and_never_breaks_a_verifier(name: str, body: bytes, header: str) -> None:
    sent = EVERY[name]
    sender = SENDERS[sent.sender]
    for headers in (sent.headers, dict.fromkeys(sent.headers, header)):
        with pytest.raises(BadInput) as refused:
            sender.receive(headers, body, sent.door, NOW)
        assert SECRET not in str(refused.value)
        assert header not in str(refused.value) or len(header) < 20


def test_a_signed_body_that_is_nested_without_end_is_refused() -> None:
    body = b'{"event":' + b"[" * 100 + b"]" * 100 + b"}"
    sent = Sent("pagerduty", {"x-pagerduty-signature": f"v1={signing.hex_hmac(body)}"}, body)
    with pytest.raises(BadInput, match="nested"):
        received(sent)


# --- what it means -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "verb"),
    [
        ("incident.acknowledged", "acknowledge"),
        ("incident.resolved", "resolve"),
        ("incident.reopened", "reopen"),
        ("incident.unacknowledged", "reopen"),
        ("incident.escalated", "escalate"),
        ("incident.reassigned", "assign"),
    ],
)
def test_what_people_do_in_pagerduty_becomes_an_act_by_them(kind: str, verb: str) -> None:
    taken = received(signing.pagerduty(kind, assignees=[{"summary": "Bob"}]))
    (act,) = taken.acts
    assert (act.verb, act.by, act.via, act.incident_id, act.at) == (verb, "Ada Lovelace", "pagerduty", INCIDENT, NOW)
    assert act.text == ("Bob" if verb in ("assign", "escalate") else "")
    assert taken.handles == {"PGR0VU2": INCIDENT}


def test_our_own_events_at_pagerduty_are_no_act() -> None:
    ours = {"id": "P1", "type": "events_api_v2_inbound_integration_reference", "summary": "Aegis"}
    sent = signing.pagerduty("incident.resolved")
    body = sent.body.replace(
        b'{"id": "PLH1HKV", "type": "user_reference", "summary": "Ada Lovelace"}',
        json.dumps(ours).encode(),
    )
    assert body != sent.body
    headers = {"x-pagerduty-signature": f"v1={signing.hex_hmac(body)}"}
    assert received(replace(sent, headers=headers, body=body)).acts == ()


def test_only_our_own_buttons_in_slack_are_acts() -> None:
    assert received(signing.slack("aegis_open")).acts == ()
    (act,) = received(signing.slack("aegis_resolve")).acts
    assert (act.verb, act.by, act.incident_id, act.handle) == ("resolve", "grace", INCIDENT, "C1:1732190000.000100")


@pytest.mark.parametrize(
    ("category", "verb"), [("done", "resolve"), ("indeterminate", "acknowledge"), ("new", "reopen")]
)
def test_the_category_of_a_jira_status_decides_whatever_its_name(category: str, verb: str) -> None:
    (act,) = received(signing.jira(category=category)).acts
    assert (act.verb, act.by, act.handle, act.incident_id) == (verb, "Mia Krystof", "SEC-7", INCIDENT)


def test_what_our_own_account_does_in_jira_is_not_taken_back() -> None:
    sent = signing.jira()
    assert received(replace(sent, door=replace(DOOR, user="99:27935d01"))).acts == ()
    assert received(replace(sent, door=replace(DOOR, user="somebody-else"))).acts


def test_alertmanager_takes_basic_authentication_as_well() -> None:
    sent = signing.alertmanager()
    basic = base64.b64encode(f"aegis:{SECRET}".encode()).decode()
    assert received(replace(sent, headers={"authorization": f"Basic {basic}"})) == received(sent)
    wrong = base64.b64encode(f"other:{SECRET}".encode()).decode()
    with pytest.raises(Untrusted):
        received(replace(sent, headers={"authorization": f"Basic {wrong}"}))


def test_each_alert_of_a_group_is_told_by_itself() -> None:
    fires, over = signing.alert(zone="a"), signing.alert("resolved", zone="b", severity="warning")
    first, second = received(signing.alertmanager(fires, over)).alerts
    assert (first.firing, first.severity, first.host, first.name) == (True, Severity.CRITICAL, "web-1", "HighErrorRate")
    assert (second.firing, second.severity) == (False, Severity.MEDIUM)
    assert first.digest != second.digest


def test_an_alert_has_one_name_from_firing_to_over() -> None:
    for fires, over in (
        (signing.datadog("Triggered"), signing.datadog("Recovered")),
        (signing.sentry(), signing.sentry("resolved", resource="issue")),
        (
            signing.sentry("critical", resource="metric_alert"),
            signing.sentry("resolved", resource="metric_alert"),
        ),
        (signing.github(), signing.github("resolved")),
        (signing.grafana(), signing.grafana(signing.alert("resolved"))),
    ):
        (first,), (last,) = received(fires).alerts, received(over).alerts
        assert (first.firing, last.firing) == (True, False), fires.sender
        assert first.digest == last.digest, fires.sender
        assert first.round != last.round or first.firing != last.firing


def test_what_we_sent_there_ourselves_is_no_alert() -> None:
    assert received(signing.sentry(logger="aegis")).alerts == ()
    assert received(signing.sentry("created", resource="issue", logger="aegis")).alerts == ()
    assert received(signing.datadog(tags="env:prod,source:aegis")).alerts == ()


def test_a_leaked_token_is_never_kept() -> None:
    taken = received(signing.github_partner("ghp_SECRETSECRETSECRET"))
    assert "SECRETSECRET" not in repr(taken)
    (alert,) = taken.alerts
    assert alert.severity is Severity.CRITICAL


def test_partner_messages_are_refused_where_nobody_asked_for_them() -> None:
    sent = signing.github_partner()
    with pytest.raises(Untrusted):
        SENDERS["github"].key_wanted(sent.headers, sent.body, replace(sent.door, partner=False))


# --- Amazon SNS --------------------------------------------------------------------------------------------------


def test_a_budget_notice_says_how_much_of_what_and_how_bad() -> None:
    (budget,) = received(signing.sns()).budgets
    assert (budget.name, budget.window, budget.level) == ("monthly-cost", "AWS 2026-11", "actual > $40.00")
    assert (budget.spent, budget.limit, budget.severity) == ("$42.17", "$50.00", Severity.HIGH)
    over = signing.BUDGET.replace("$42.17", "$1,050.00")
    assert received(signing.sns(over)).budgets[0].severity is Severity.CRITICAL
    forecast = signing.BUDGET.replace("Alert Type: ACTUAL", "Alert Type: FORECASTED").replace(
        "ACTUAL Amount", "FORECASTED Amount"
    )
    assert received(signing.sns(forecast)).budgets[0].severity is Severity.MEDIUM


def test_a_cloudwatch_alarm_fires_and_is_over() -> None:
    said = {
        "AlarmName": "cpu",
        "AlarmArn": "arn:a",
        "NewStateValue": "ALARM",
        "StateChangeTime": "2026-11-21T11:59:00.000+0000",
    }
    (fires,) = received(signing.sns(json.dumps(said))).alerts
    (over,) = received(signing.sns(json.dumps(said | {"NewStateValue": "OK"}))).alerts
    assert (fires.product, fires.firing, fires.severity) == ("cloudwatch", True, Severity.HIGH)
    assert (over.firing, over.digest) == (False, fires.digest)


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.us-east-1.amazonaws.com.evil.example/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://evil.example/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://user@sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.us-east-1.amazonaws.com:8443/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.us-east-1.amazonaws.com/evil.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem?x=1",
        "https://bucket.s3.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "file:///etc/passwd",
    ],
)
def test_a_certificate_from_anywhere_but_sns_is_not_even_asked_for(url: str) -> None:
    sent = signing.sns(SigningCertURL=url)
    with pytest.raises(Untrusted):
        SENDERS["sns"].key_wanted({}, sent.body, DOOR)


def test_a_topic_that_is_not_allowed_is_refused_before_anything_is_fetched() -> None:
    sent = signing.sns(topic="arn:aws:sns:us-east-1:999999999999:budgets")
    with pytest.raises(Untrusted, match="topic"):
        SENDERS["sns"].key_wanted({}, sent.body, DOOR)


def test_only_an_allowed_topic_is_subscribed_to_and_only_at_sns() -> None:
    url = "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336"
    sent = signing.sns("You have chosen", kind="SubscriptionConfirmation", SubscribeURL=url, Token="2336")
    assert received(sent).confirm == url
    elsewhere = signing.sns(
        "You have chosen", kind="SubscriptionConfirmation", SubscribeURL="https://evil.example/", Token="2336"
    )
    with pytest.raises(BadInput, match="SubscribeURL"):
        received(elsewhere)


def test_a_certificate_that_has_ended_or_belongs_to_another_key_proves_nothing() -> None:
    sent = signing.sns()
    ended = {signing.CERTIFICATE_URL: signing.certificate(ends=NOW - timedelta(days=1))}
    with pytest.raises(Untrusted):
        received(replace(sent, door=replace(sent.door, keys=ended)))
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(Untrusted):
        received(signing.sns(key=other))
    with pytest.raises(Untrusted):
        received(replace(sent, door=replace(sent.door, keys={})))
