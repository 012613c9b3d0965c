"""Claims that what we send is what a person has read: the golden payloads, which need no evidence folder."""

import json
from pathlib import Path

import pytest
from tests.connectors.contracts import GOLDEN, Contract, golden
from tests.connectors.write_golden import made


@pytest.mark.parametrize("service", sorted(made()))
def test_what_is_sent_is_what_was_read(service: str) -> None:
    assert json.loads(json.dumps(made()[service])) == golden(service)


def test_no_golden_payload_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(made())


@pytest.mark.parametrize(
    ("service", "contract", "name"),
    [
        ("slack", "slack", "incoming_webhook"),
        ("teams", "teams", "workflow_webhook"),
        ("discord", "discord", "execute_webhook"),
        ("jira", "jira", "issue_create"),
        ("splunk", "splunk_hec", "event"),
        ("anthropic", "anthropic", "messages"),
    ],
)
def test_golden_payloads_keep_their_contracts(shared: Path, service: str, contract: str, name: str) -> None:
    checked = Contract.of(shared, contract, name)
    assert [fault for payload in golden(service).values() for fault in checked.breaches(payload)] == []
