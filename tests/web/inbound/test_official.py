"""The vendors' own libraries sign, and we verify; we sign, and they verify. And the bodies of the tests have the shapes
that the vendors publish.
"""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from slack_sdk.signature import Clock, SignatureVerifier
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from tests.web.inbound import signing
from tests.web.inbound.signing import DOOR, NOW, SECRET, epoch

from aegis.core.secret import Secret
from aegis.web.inbound import slack, standard
from aegis.web.inbound.examples import example
from aegis.web.inbound.signed import Door, Untrusted

WHSEC = "whsec_" + base64.b64encode(SECRET.encode()).decode()


class _At(Clock):
    def now(self) -> float:
        return NOW.timestamp()


@given(text=st.text(max_size=200))
def test_what_slacks_own_library_signs_is_taken(text: str) -> None:
    verifier = SignatureVerifier(SECRET)
    body = urlencode({"payload": json.dumps({"actions": [], "note": text})})
    signature = str(verifier.generate_signature(timestamp=epoch(NOW), body=body))
    headers = {"x-slack-signature": signature, "x-slack-request-timestamp": epoch(NOW)}
    assert slack.receive(headers, body.encode(), DOOR, NOW).acts == ()
    with pytest.raises(Untrusted):
        slack.receive(headers, body.encode() + b"&", DOOR, NOW)


def test_slacks_own_library_takes_what_our_example_signs() -> None:
    made = example("slack", DOOR, NOW)
    assert SignatureVerifier(SECRET, clock=_At()).is_valid_request(made.body, dict(made.headers))


@given(text=st.text(st.characters(codec="utf-8"), max_size=200))
def test_what_the_library_of_standard_webhooks_signs_is_taken(text: str) -> None:
    body = json.dumps({"type": "alert", "data": {"key": "k", "name": text, "status": "firing"}})
    signature = Webhook(WHSEC).sign("msg_1", NOW, body)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": epoch(NOW), "webhook-signature": signature}
    door = Door(secrets=(Secret(WHSEC),))
    assert standard.receive(headers, body.encode(), door, NOW).ids == ("id:msg_1",)
    with pytest.raises(Untrusted):
        standard.receive({**headers, "webhook-id": "msg_2"}, body.encode(), door, NOW)


def test_the_library_of_standard_webhooks_takes_what_our_example_signs() -> None:
    made = example("standard", Door(secrets=(Secret(WHSEC),)), datetime.now(UTC))
    Webhook(WHSEC).verify(made.body, dict(made.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(WHSEC).verify(made.body + b" ", dict(made.headers))


def _published(shared: Path, service: str, name: str) -> Draft202012Validator:
    document: dict[str, Any] = json.loads((shared / "contracts" / f"{service}.json").read_text())
    schema = {"$defs": document.get("$defs", {}), **document["inbound"][name]["schema"]}
    return Draft202012Validator(schema, format_checker=FormatChecker())


def test_the_bodies_of_these_tests_have_the_published_shapes(shared: Path) -> None:
    pagerduty = _published(shared, "pagerduty", "webhook_v3")
    for sent in (signing.pagerduty(), signing.pagerduty("incident.resolved"), signing.pagerduty_note("x")):
        assert [error.message for error in pagerduty.iter_errors(json.loads(sent.body))] == []
    alertmanager = _published(shared, "alertmanager", "webhook_v4")
    for body in (signing.alertmanager().body, example("alertmanager", DOOR, NOW).body):
        assert [error.message for error in alertmanager.iter_errors(json.loads(body))] == []
    assert list(alertmanager.iter_errors({"version": "3"}))
