"""Claims about `aegis inbound`: what has to be registered where, and an example that is taken and opens nothing."""

from pathlib import Path

import pytest
from tests.cli.running import Place, data, place

NAMES = ["pagerduty", "slack", "jira", "alertmanager", "datadog", "grafana", "sentry", "github", "standard"]
CONFIG = "server: {public_url: https://aegis.example}\ninbound:\n" + "".join(
    f"  {name}: {{secret: env:HOOK}}\n" for name in NAMES
)


def here_with(folder: Path, config: str = CONFIG) -> Place:
    here = place(folder)
    here.write(config)
    here.env["HOOK"] = "whsec_c2hhcmVkLXNlY3JldC1vZi10aGUtdGVzdA=="
    return here


def test_every_sender_is_listed_with_the_address_to_register(tmp_path: Path) -> None:
    rows = {row["sender"]: row for row in data(here_with(tmp_path).run("inbound", "list", "--json"))["senders"]}
    assert rows["pagerduty"] == {
        "sender": "pagerduty",
        "configured": True,
        "url": "https://aegis.example/inbound/pagerduty",
    }
    assert rows["sns"]["configured"] is False
    assert len(rows) == 10


@pytest.mark.parametrize("name", NAMES)
def test_a_signed_example_is_taken_and_opens_nothing(tmp_path: Path, name: str) -> None:
    here = here_with(tmp_path)
    result = here.run("inbound", "test", name, "--json")
    assert (result.exit_code, data(result)["status"]) == (0, 200)
    assert here.env["HOOK"] not in result.output
    assert data(here.run("incident", "list", "--json"))["incidents"] == []


def test_a_sender_that_is_not_configured_or_signs_with_its_own_key_is_named(tmp_path: Path) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:budgets"
    here = here_with(tmp_path, f'inbound: {{sns: {{topics: ["{topic}"]}}}}\n')
    for name, said in (("pagerduty", "not configured"), ("sns", "only the sender itself can sign")):
        result = here.run("inbound", "test", name)
        assert result.exit_code == 3
        assert said in result.stderr


def test_a_topic_that_is_no_arn_is_refused_before_anything_starts(tmp_path: Path) -> None:
    result = here_with(tmp_path, "inbound: {sns: {topics: [budgets]}}\n").run("check")
    assert result.exit_code == 3
    assert "ARN" in result.stderr
