"""Asks an AWS account what it holds of ours, and does the steps of a plan, one request after the other.

Policy: everything is read before anything is changed; what has not the name and the tag of this installation is never
touched; a permission that is missing is named in the error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aegis.core.errors import ServiceError
from aegis.core.outlets import AwsCalls
from aegis.finance.aws_alarms import FoundAlarm, region_of
from aegis.finance.aws_budgets import REGION, AwsBudget, Subscriber
from aegis.finance.aws_free_tier import PAGE, PAGES_MAX, AccountPlan, FreeTierOffer, offer_of, plan_of
from aegis.finance.aws_steps import AwsStep, nanos_of, tag_of

BUDGETS_MAX: Final = 100
"""Of one page (DescribeBudgets, MaxResults)."""
LISTED_PAGES: Final = 200
"""20,000 budgets are the most that an account may have; more alarms than that nobody reads."""
PERMISSIONS: Final[Mapping[str, str]] = {
    "describe_budgets": "budgets:ViewBudget",
    "describe_notifications_for_budget": "budgets:ViewBudget",
    "describe_subscribers_for_notification": "budgets:ViewBudget",
    "create_budget": "budgets:ModifyBudget and budgets:TagResource",
    "update_budget": "budgets:ModifyBudget",
    "delete_budget": "budgets:ModifyBudget",
    "create_notification": "budgets:ModifyBudget",
    "delete_notification": "budgets:ModifyBudget",
    "create_subscriber": "budgets:ModifyBudget",
    "delete_subscriber": "budgets:ModifyBudget",
    "describe_alarms": "cloudwatch:DescribeAlarms",
    "put_metric_alarm": "cloudwatch:PutMetricAlarm and cloudwatch:TagResource",
    "delete_alarms": "cloudwatch:DeleteAlarms",
    "publish": "sns:Publish",
    "get_free_tier_usage": "freetier:GetFreeTierUsage",
    "get_account_plan_state": "freetier:GetAccountPlanState",
}
"""What each operation needs; an operation that is not here needs the permission of its own name."""
_DENIED: Final = ("AccessDenied", "AuthorizationError", "UnauthorizedOperation", "NotAuthorized")


@dataclass(frozen=True, slots=True)
class Who:
    """The account and its partition (`aws`, `aws-cn`, ...)."""

    account: str
    partition: str


class AwsAccount:
    """One account. `endpoint` is where the services stand, each below it by its name; empty: AWS."""

    def __init__(self, aws: AwsCalls, *, endpoint: str = "") -> None:
        self._aws, self._endpoint = aws, endpoint.rstrip("/")

    async def who(self) -> Who:
        """Whose credentials these are; needs no permission. Raises `ServiceError`, `ConfigError`."""
        answer = await self._ask("sts", "get_caller_identity", {})
        parts = str(answer.get("Arn", "")).split(":")
        return Who(str(answer.get("Account", "")), parts[1] if len(parts) > 1 else "aws")

    async def budgets(self, who: Who, prefix: str) -> Sequence[AwsBudget]:
        """The budgets whose names begin with the prefix. Raises `ServiceError`, `ConfigError`."""
        found: list[AwsBudget] = []
        request = {"AccountId": who.account, "MaxResults": BUDGETS_MAX}
        async for page in self._pages("budgets", "describe_budgets", request):
            for row in page.get("Budgets") or ():
                name = str(row.get("BudgetName", ""))
                if name.startswith(f"{prefix}-"):
                    found.append(await self._budget(who, name, row, prefix))
        return found

    async def _budget(self, who: Who, name: str, row: Mapping[str, Any], prefix: str) -> AwsBudget:
        arn = f"arn:{who.partition}:budgets::{who.account}:budget/{name}"
        tags = await self._ask("budgets", "list_tags_for_resource", {"ResourceARN": arn})
        ours = tag_of(prefix) in (tags.get("ResourceTags") or ())
        return AwsBudget(
            name=name,
            unit=str(row.get("TimeUnit", "")),
            limit=nanos_of((row.get("BudgetLimit") or {}).get("Amount")),
            services=tuple((row.get("CostFilters") or {}).get("Service") or ()),
            notices=await self._notices(who, name) if ours else {},
            ours=ours,
        )

    async def _notices(self, who: Who, name: str) -> Mapping[int, frozenset[Subscriber]]:
        """Who is told at which amount; a notification of another kind is a person's and is left alone."""
        about = {"AccountId": who.account, "BudgetName": name}
        found: dict[int, frozenset[Subscriber]] = {}
        async for page in self._pages("budgets", "describe_notifications_for_budget", about):
            for row in page.get("Notifications") or ():
                kind = (row.get("NotificationType"), row.get("ComparisonOperator"), row.get("ThresholdType"))
                if kind != ("ACTUAL", "GREATER_THAN", "ABSOLUTE_VALUE"):
                    continue
                notice = {key: value for key, value in row.items() if key != "NotificationState"}
                told: set[Subscriber] = set()
                asked = {**about, "Notification": notice}
                async for people in self._pages("budgets", "describe_subscribers_for_notification", asked):
                    told |= {(one["SubscriptionType"], one["Address"]) for one in people.get("Subscribers") or ()}
                found[nanos_of(row.get("Threshold"))] = frozenset(told)
        return found

    async def alarms(self, prefix: str, regions: Sequence[str]) -> Sequence[FoundAlarm]:
        """The alarms of these regions whose names begin with the prefix. Raises `ServiceError`, `ConfigError`."""
        found: list[FoundAlarm] = []
        for region in regions:
            request = {"AlarmNamePrefix": f"{prefix}-", "AlarmTypes": ["MetricAlarm"]}
            async for page in self._pages("cloudwatch", "describe_alarms", request, region):
                for row in page.get("MetricAlarms") or ():
                    arn = {"ResourceARN": row.get("AlarmArn", "")}
                    tags = await self._ask("cloudwatch", "list_tags_for_resource", arn, region)
                    ours = tag_of(prefix) in (tags.get("Tags") or ())
                    found.append(FoundAlarm(region=region, held=row, ours=ours))
        return found

    async def apply(self, steps: Sequence[AwsStep]) -> AsyncIterator[AwsStep]:
        """Do the steps; each is given back once it is done. Raises `ServiceError`, `ConfigError`: the rest is not done."""
        for step in steps:
            await self._ask(step.client, step.operation, step.request, step.region)
            yield step

    async def publish(self, topic: str, subject: str, text: str) -> str:
        """Send a message to an SNS topic; returns its id. Raises `ServiceError`, `ConfigError`."""
        request = {"TopicArn": topic, "Subject": subject, "Message": text}
        answer = await self._ask("sns", "publish", request, region_of(topic))
        return str(answer.get("MessageId", ""))

    async def offers(self) -> Sequence[FreeTierOffer]:
        """What is used of the Free Tier, fullest first. Raises `ServiceError`, `ConfigError`."""
        found: list[FreeTierOffer] = []
        request: dict[str, Any] = {"maxResults": PAGE}
        for _ in range(PAGES_MAX):
            answer = await self._ask("freetier", "get_free_tier_usage", request)
            found += [offer for row in answer.get("freeTierUsages") or () if (offer := offer_of(row)) is not None]
            if not answer.get("nextToken"):
                break
            request["nextToken"] = answer["nextToken"]
        return sorted(found, key=lambda offer: -offer.percent)

    async def plan_state(self) -> AccountPlan:
        """The account's plan and its credits. Raises `ServiceError`, `ConfigError`."""
        return plan_of(await self._ask("freetier", "get_account_plan_state", {}))

    async def _pages(
        self, client: str, operation: str, request: Mapping[str, Any], region: str = REGION
    ) -> AsyncIterator[Mapping[str, Any]]:
        token: dict[str, str] = {}
        for _ in range(LISTED_PAGES):
            answer = await self._ask(client, operation, {**request, **token}, region)
            yield answer
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}

    async def _ask(
        self, client: str, operation: str, request: Mapping[str, Any], region: str = REGION
    ) -> Mapping[str, Any]:
        endpoint = f"{self._endpoint}/{client}" if self._endpoint else ""
        try:
            return await self._aws.call(client, client, operation, request, region=region, endpoint=endpoint)
        except ServiceError as error:
            if operation.startswith("describe_") and "NotFoundException" in str(error):
                return {}  # some lists that are empty are not there
            if error.status == 403 or any(code in str(error) for code in _DENIED):
                raise _denied(client, operation) from error
            raise


def _denied(client: str, operation: str) -> ServiceError:
    needed = PERMISSIONS.get(operation, f"{client}:{operation.title().replace('_', '')}")
    return ServiceError(
        client,
        f"AWS does not permit it: these credentials need {needed} (docs/connectors/aws.md)",
        retryable=False,
        status=403,
    )
