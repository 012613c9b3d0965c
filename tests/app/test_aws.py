"""An AWS account is brought in step with our budgets, and nothing in it is touched that we did not make."""

from pathlib import Path
from typing import Any

import pytest
from tests.connectors.contracts import Contract
from tests.finance.aws_sandbox import SandboxAws

from aegis.app.aws import PLANS
from aegis.config.load import load
from aegis.config.settings import Config
from aegis.connectors.cloudwatch import datum
from aegis.core.errors import BadInput, ConfigError, ServiceError
from aegis.core.telemetry import DeliveryEnded, LevelCrossed
from aegis.finance.aws_account import AwsAccount
from aegis.finance.aws_steps import AwsPlan
from aegis.incidents.metric_batches import MetricBatches
from aegis.testing import START, FakeSink

pytestmark = pytest.mark.anyio

TOPICS = "[arn:aws:sns:eu-central-1:000000000000:spend, arn:aws:sns:us-east-1:000000000000:spend]"
PEOPLE = """
contacts:
  ann: {email: ann@example.com}
  bob: {email: bob@example.com, tier: secondary, roles: [lead]}
"""
BUDGETS = """
  everything:
    daily: {warning: 5.00, critical: 8.00, emergency: 10.00}
    weekly: {emergency: 50.00}
    monthly: {warning: 75.00, critical: 90.00, emergency: 100.00}
  scan: {scope: {service: athena}, monthly: {emergency: LIMIT}}
  bytes: {scope: {service: athena}, meter: bytes_scanned, monthly: {emergency: 10TB}}
  team: {scope: {team: red, service: bedrock}, monthly: {emergency: 5.00}}
"""
WHATS = pytest.mark.parametrize("what", list(PLANS))


def configured(folder: Path, *, limit: str = "20.00", budgets: str = BUDGETS, aws: str = "") -> Config:
    file = folder / "aegis.yaml"
    topics = "" if "topics" in aws else f"  topics: {TOPICS}\n"
    file.write_text(
        f"budgets:\n{budgets.replace('LIMIT', limit)}{PEOPLE}"
        f"connectors: {{cloudwatch: {{region: eu-central-1}}, slack: {{token: env:SLACK, channel: '#a'}}}}\naws:\n  prefix: aegis\n{topics}{aws}"
    )
    return load(file)


@pytest.fixture
def aws() -> SandboxAws:
    return SandboxAws()


async def plan(aws: SandboxAws, config: Config, what: str) -> AwsPlan:
    return await PLANS[what](AwsAccount(aws), config, config.budgets)


async def apply(aws: SandboxAws, config: Config, what: str) -> list[str]:
    """The changes that were made, one line each."""
    steps = (await plan(aws, config, what)).steps
    return [f"{one.verb} {one.name}: {one.words}" async for one in AwsAccount(aws).apply(steps)]


def made(aws: SandboxAws) -> dict[str, Any]:
    return {one["budget"]["BudgetName"]: one for one in aws.documents("budgets", "budget")}


def alarms(aws: SandboxAws) -> dict[str, Any]:
    return {one["alarm"]["AlarmName"]: one["alarm"] for one in aws.documents("cloudwatch", "alarm")}


@WHATS
async def test_once_a_plan_is_applied_there_is_nothing_left_to_change(
    tmp_path: Path, aws: SandboxAws, what: str
) -> None:
    config = configured(tmp_path)
    assert await apply(aws, config, what)
    assert (await plan(aws, config, what)).steps == []


async def test_budgets_are_made_with_their_limits_levels_and_who_is_told(tmp_path: Path, aws: SandboxAws) -> None:
    await apply(aws, configured(tmp_path), "budgets")
    whole, scan = made(aws)["aegis-everything-monthly"], made(aws)["aegis-scan-monthly"]
    assert whole["budget"]["BudgetLimit"] == {"Amount": "100", "Unit": "USD"}
    assert "CostFilters" not in whole["budget"], "the whole account"
    assert [one["notice"]["Threshold"] for one in whole["notices"]] == [75.0, 90.0, 100.0]
    told = {one["Address"] for notice in whole["notices"] for one in notice["people"]}
    assert told == {"ann@example.com", "arn:aws:sns:eu-central-1:000000000000:spend"}
    assert scan["budget"]["CostFilters"] == {"Service": ["Amazon Athena"]}


async def test_what_aws_cannot_hold_is_said(tmp_path: Path, aws: SandboxAws) -> None:
    notes = (await plan(aws, configured(tmp_path), "budgets")).notes
    assert "team: AWS does not know team" in notes
    assert "everything (week): AWS Budgets knows days and months only" in notes
    assert "bytes: it counts bytes_scanned, and AWS is asked about money only" in notes


async def test_a_changed_limit_is_changed_there_and_nothing_else_is(tmp_path: Path, aws: SandboxAws) -> None:
    await apply(aws, configured(tmp_path), "budgets")
    after = configured(tmp_path, limit="30.00")
    assert await apply(aws, after, "budgets") == [
        "update aegis-scan-monthly: limit 20 -> 30",
        "update aegis-scan-monthly: also tells at 30",
        "update aegis-scan-monthly: no longer tells at 20",
    ]
    assert (await plan(aws, after, "budgets")).steps == []


async def test_a_service_may_have_other_names_on_the_bill(tmp_path: Path, aws: SandboxAws) -> None:
    await apply(aws, configured(tmp_path), "budgets")
    after = configured(tmp_path, aws="  cost_services: {athena: [Amazon Athena, Amazon Athena for Spark]}\n")
    assert await apply(aws, after, "budgets") == [
        "update aegis-scan-monthly: covers Amazon Athena -> Amazon Athena, Amazon Athena for Spark"
    ]
    assert (await plan(aws, after, "budgets")).steps == []


async def test_who_is_told_is_kept_in_step(tmp_path: Path, aws: SandboxAws) -> None:
    await apply(aws, configured(tmp_path), "budgets")
    after = configured(tmp_path, aws="  notify: [lead, carol@example.com]\n")
    await apply(aws, after, "budgets")
    assert (await plan(aws, after, "budgets")).steps == []
    notices = [notice for budget in made(aws).values() for notice in budget["notices"]]
    mails = {tuple(sorted(one["Address"] for one in each["people"] if "@" in one["Address"])) for each in notices}
    assert mails == {("bob@example.com", "carol@example.com")}


async def test_nobody_to_tell_makes_budgets_that_tell_nobody_and_says_so(tmp_path: Path, aws: SandboxAws) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_text("aws: {prefix: aegis}\n")
    config = load(file)
    assert any("nobody is told" in note for note in (await plan(aws, config, "budgets")).notes)
    await apply(aws, config, "budgets")
    assert made(aws)
    assert (await plan(aws, config, "budgets")).steps == []


async def test_what_a_person_made_is_left_alone(tmp_path: Path, aws: SandboxAws) -> None:
    config = configured(tmp_path)
    for name in ("aegis-everything-daily", "aegis-mine", "other"):
        budget = {"BudgetName": name, "BudgetType": "COST", "TimeUnit": "DAILY"}
        limit = {"BudgetLimit": {"Amount": "1", "Unit": "USD"}}
        request = {"AccountId": "000000000000", "Budget": budget | limit}
        await aws.call("budgets", "budgets", "create_budget", request, region="us-east-1", endpoint="")
    assert any(
        "aegis-everything-daily was not made by Aegis" in one for one in (await plan(aws, config, "budgets")).notes
    )
    await apply(aws, config, "budgets")
    limits = {name: one["budget"]["BudgetLimit"]["Amount"] for name, one in made(aws).items()}
    assert [limits[name] for name in ("aegis-everything-daily", "aegis-mine", "other")] == ["1", "1", "1"]


async def test_a_notification_that_a_person_added_to_ours_stays(tmp_path: Path, aws: SandboxAws) -> None:
    config = configured(tmp_path)
    await apply(aws, config, "budgets")
    notice = {"NotificationType": "FORECASTED", "ComparisonOperator": "GREATER_THAN", "Threshold": 100}
    request = {
        "AccountId": "000000000000",
        "BudgetName": "aegis-scan-monthly",
        "Notification": notice,
        "Subscribers": [{"SubscriptionType": "EMAIL", "Address": "dan@example.com"}],
    }
    await aws.call("budgets", "budgets", "create_notification", request, region="us-east-1", endpoint="")
    assert (await plan(aws, config, "budgets")).steps == []


@WHATS
async def test_what_is_no_longer_asked_for_is_deleted(tmp_path: Path, aws: SandboxAws, what: str) -> None:
    await apply(aws, configured(tmp_path), what)
    after = configured(tmp_path, budgets=BUDGETS.replace("scan:", "query:"))
    lines = await apply(aws, after, what)
    assert {line.split("-")[0] for line in lines} == {"create aegis", "delete aegis"}
    assert not [name for name in (*made(aws), *alarms(aws)) if "-scan" in name]
    assert (await plan(aws, after, what)).steps == []


@WHATS
async def test_the_hash_is_of_just_these_requests(tmp_path: Path, aws: SandboxAws, what: str) -> None:
    before = await plan(aws, configured(tmp_path), what)
    again = await plan(aws, configured(tmp_path), what)
    other = await plan(aws, configured(tmp_path, limit="20.01"), what)
    before.check(again.hashed)
    before.check(again.hashed[:16])
    for wrong in (other.hashed, before.hashed[:15], ""):
        with pytest.raises(BadInput, match="plan again"):
            before.check(wrong)


async def test_alarms_watch_what_we_publish_and_what_aws_expects_to_charge(tmp_path: Path, aws: SandboxAws) -> None:
    await apply(aws, configured(tmp_path), "alarms")
    level, billed = alarms(aws)["aegis-level-everything-emergency"], alarms(aws)["aegis-billing-everything-warning"]
    assert (level["Namespace"], level["MetricName"]) == ("Aegis", "aegis.levels_crossed_total")
    assert level["AlarmActions"] == ["arn:aws:sns:eu-central-1:000000000000:spend"]
    assert (billed["Namespace"], billed["MetricName"], billed["Threshold"]) == ("AWS/Billing", "EstimatedCharges", 75.0)
    assert billed["AlarmActions"] == ["arn:aws:sns:us-east-1:000000000000:spend"]
    assert {"Name": "ServiceName", "Value": "AmazonAthena"} in alarms(aws)["aegis-billing-scan-emergency"]["Dimensions"]


async def test_an_alarm_of_ours_is_about_a_metric_that_is_published(tmp_path: Path, aws: SandboxAws) -> None:
    await apply(aws, configured(tmp_path), "alarms")
    sink = FakeSink()
    batches = MetricBatches(sink)
    batches(LevelCrossed(at=START, budget="scan", window="2026-11", level="emergency", spent=1, limit=1))
    batches(DeliveryEnded(at=START, service="slack", incident_id="inc-1", outcome="dead"))
    await batches.tick(START)
    published = [datum(point) for points in sink.pushed for point in points]
    for name in ("aegis-level-scan-emergency", "aegis-undelivered-slack"):
        alarm = alarms(aws)[name]
        metric = next(one for one in published if one["MetricName"] == alarm["MetricName"])
        assert sorted(map(str, metric["Dimensions"])) == sorted(map(str, alarm["Dimensions"])), name


async def test_an_alarm_that_somebody_changed_is_put_back(tmp_path: Path, aws: SandboxAws) -> None:
    config = configured(tmp_path)
    await apply(aws, config, "alarms")
    changed = {**alarms(aws)["aegis-billing-everything-warning"], "Threshold": 9_000.0}
    await aws.call("cloudwatch", "cloudwatch", "put_metric_alarm", changed, region="us-east-1", endpoint="")
    assert await apply(aws, config, "alarms") == ["update aegis-billing-everything-warning: Threshold 9000.0 -> 75.0"]


async def test_alarms_without_a_topic_of_their_region_say_that_they_tell_nobody(
    tmp_path: Path, aws: SandboxAws
) -> None:
    config = configured(tmp_path, aws="  topics: [arn:aws:sns:eu-central-1:000000000000:spend]\n")
    notes = (await plan(aws, config, "alarms")).notes
    assert notes == ["aws.topics has no topic in us-east-1: alarms there show their state and tell nobody"]


async def test_alarms_of_ours_need_a_region(tmp_path: Path, aws: SandboxAws) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_text("connectors: {cloudwatch: {namespace: Aegis}}\n")
    with pytest.raises(ConfigError, match=r"aws\.region"):
        await plan(aws, load(file), "alarms")


async def test_a_permission_that_is_missing_is_named(tmp_path: Path, aws: SandboxAws) -> None:
    aws.world.fault("budgets", "401")
    with pytest.raises(ServiceError, match="these credentials need budgets:ViewBudget") as refused:
        await plan(aws, configured(tmp_path), "budgets")
    assert refused.value.status == 403


async def test_what_was_done_before_a_failure_stays_and_the_rest_is_planned_again(
    tmp_path: Path, aws: SandboxAws
) -> None:
    config = configured(tmp_path)
    steps = (await plan(aws, config, "budgets")).steps
    aws.world.fault("budgets", "500", count=1, after=1)
    done: list[str] = []
    with pytest.raises(ServiceError):
        done += [one.name async for one in AwsAccount(aws).apply(steps)]
    assert list(made(aws)) == [steps[0].name]
    assert [one.name for one in (await plan(aws, config, "budgets")).steps] == [one.name for one in steps[1:]]


async def test_credits_and_offers_are_read(aws: SandboxAws) -> None:
    account = AwsAccount(aws)
    state, offers = await account.plan_state(), await account.offers()
    assert (state.kind, state.credits, state.unit) == ("PAID", "87.50", "USD")
    assert [one.percent for one in offers] == sorted((one.percent for one in offers), reverse=True)


async def test_a_list_that_is_not_there_is_empty(tmp_path: Path, aws: SandboxAws) -> None:
    await apply(aws, configured(tmp_path), "budgets")

    class Without(SandboxAws):
        async def call(self, service: str, client: str, operation: str, *rest: Any, **more: Any) -> Any:
            if operation == "describe_notifications_for_budget":
                raise ServiceError(client, "answered 400 NotFoundException", retryable=False, status=400)
            return await super().call(service, client, operation, *rest, **more)

    bare = Without()
    bare.world = aws.world
    steps = (await plan(bare, configured(tmp_path), "budgets")).steps
    assert {one.operation for one in steps} == {"create_notification"}


async def test_a_budget_of_any_name_is_made_under_one_that_aws_takes(tmp_path: Path, aws: SandboxAws) -> None:
    config = configured(tmp_path, budgets=BUDGETS.replace("  scan:", '  "team:blue\\\\é":'))
    for what in PLANS:
        await apply(aws, config, what)
        assert (await plan(aws, config, what)).steps == []
    assert "aegis-team-blue-é-monthly" in made(aws)
    dimensions = alarms(aws)["aegis-level-team:blue\\?-emergency"]["Dimensions"]
    assert dimensions[0] == {"Name": "budget", "Value": "team:blue\\?"}


async def test_every_request_and_answer_keeps_its_contract(tmp_path: Path, aws: SandboxAws, shared: Path) -> None:
    for config in (
        configured(tmp_path),
        configured(tmp_path, limit="30.00", aws="  notify: [bob]\n"),
        configured(tmp_path, budgets=BUDGETS.replace("scan:", "query:")),
    ):
        for what in PLANS:
            await apply(aws, config, what)
    await AwsAccount(aws).offers()
    await AwsAccount(aws).plan_state()
    topic = "arn:aws:sns:eu-central-1:000000000000:spend"
    aws.requests.append(("sns", "Publish", {"TopicArn": topic, "Subject": "A test by Aegis", "Message": "Nothing."}))
    checked = set()
    for kind, exchanged in (("requests", aws.requests), ("responses", aws.answers)):
        for client, operation, payload in exchanged:
            try:
                contract = Contract.of(shared, f"aws_{client}", operation, kind)
            except KeyError:
                continue  # an operation that the folder does not hold
            checked.add((kind, operation))
            assert contract.breaches(payload) == [], operation
    asked = {operation for kind, operation in checked if kind == "requests"}
    assert asked >= {
        "CreateBudget",
        "CreateNotification",
        "CreateSubscriber",
        "DeleteBudget",
        "DescribeBudgets",
        "GetAccountPlanState",
        "GetFreeTierUsage",
        "PutMetricAlarm",
    }
