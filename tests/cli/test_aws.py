"""`aegis aws` brings an account in step with our budgets: AWS is a sandbox with real state, asked by boto3 itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.outside import Outside, outside
from tests.cli.running import Place, data, place

pytest.importorskip("boto3")

TOPICS = "[arn:aws:sns:eu-central-1:000000000000:spend, arn:aws:sns:us-east-1:000000000000:spend]"
CONFIGURATION = f"""
budgets:
  everything:
    daily: {{{{warning: 5.00, critical: 8.00, emergency: 10.00}}}}
    monthly: {{{{warning: 75.00, critical: 90.00, emergency: 100.00}}}}
  scan: {{{{scope: {{{{service: athena}}}}, monthly: {{{{emergency: {{limit}}}}}}}}}}
contacts:
  ann: {{{{email: ann@example.com}}}}
  bob: {{{{email: bob@example.com, tier: secondary}}}}
connectors:
  cloudwatch: {{{{region: eu-central-1}}}}
aws:
  base_url: {{url}}
  topics: {TOPICS}
"""


@pytest.fixture
def aws() -> Iterator[Outside]:
    with outside() as served:
        yield served


@pytest.fixture
def here(tmp_path: Path, aws: Outside) -> Place:
    made = place(tmp_path)
    configure(made, aws)
    return made


def configure(here: Place, aws: Outside, *, limit: str = "20.00", more: str = "") -> None:
    here.write(CONFIGURATION.format(url=aws.serving.url, limit=limit) + more)


def planned(here: Place, what: str) -> Any:
    result = here.run("aws", what, "plan", "--json")
    assert result.exit_code == 0, result.stderr
    return data(result)


def test_a_plan_is_applied_as_it_was_shown_and_stands_on_the_audit_log(here: Place, aws: Outside) -> None:
    plan = planned(here, "budgets")
    configure(here, aws, limit="21.00")
    refused = here.run("aws", "budgets", "apply", plan["hash"])
    assert (refused.exit_code, bool(aws.world.documents("budgets", "budget"))) == (2, False)
    assert "plan again" in refused.stderr
    configure(here, aws)
    applied = here.run("aws", "budgets", "apply", plan["hash"][:16])
    assert applied.exit_code == 0, applied.stderr
    assert "+ aegis-scan-monthly: 20 USD a month for Amazon Athena; tells ann@example.com" in applied.stdout
    assert "in step" in here.run("aws", "budgets", "plan").stdout
    entries = data(here.run("audit", "log", "--json"))["entries"]
    assert [one["what"] for one in entries] == ["aws.budgets.applied", "aws.budgets.applying"]
    assert entries[0]["facts"]["done"] == str(len(plan["steps"]))


def test_alarms_are_put_by_boto3_and_nothing_is_left_to_change(here: Place) -> None:
    plan = planned(here, "alarms")
    assert here.run("aws", "alarms", "apply", plan["hash"]).exit_code == 0
    assert planned(here, "alarms")["steps"] == []


def test_the_status_tells_what_may_be_read_and_names_the_permission_for_the_rest(here: Place, aws: Outside) -> None:
    told = data(here.run("aws", "status", "--json"))
    assert (told["plan"]["credits_left"], told["free_tier"][0]["percent"]) == ("87.50", 75.0)
    aws.fault("freetier", "401")
    result = here.run("aws", "status")
    assert result.exit_code == 0
    assert "need freetier:GetFreeTierUsage" in result.stderr
    assert "budgets: 3 changes wait" in result.stdout


def test_a_test_reaches_every_topic_once(here: Place, aws: Outside) -> None:
    sent = data(here.run("aws", "topics", "test", "--json"))["topics"]
    assert [one["topic"].split(":")[3] for one in sent] == ["eu-central-1", "us-east-1"]
    assert [one["topic"] for one in aws.world.documents("sns", "message")] == [one["topic"] for one in sent]


def test_a_permission_that_is_missing_is_named(here: Place, aws: Outside) -> None:
    aws.fault("budgets", "401")
    result = here.run("aws", "budgets", "plan")
    assert result.exit_code == 5
    assert "these credentials need budgets:ViewBudget" in result.stderr


def test_nobody_unknown_is_notified(here: Place, aws: Outside) -> None:
    configure(here, aws, more="  notify: [lead]\n")
    result = here.run("aws", "budgets", "plan")
    assert result.exit_code == 3
    assert "there is no lead" in result.stderr
