"""Our budgets as AWS Budgets: which of them AWS can hold, and the requests that bring it in step.

AWS counts what every program of the account spends, hours late, and only tells: it is the second pair of eyes beside
the ledger. Sources: AWS Budgets API reference (Budget, Notification, Subscriber) and its quotas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aegis.core.budgets import MONEY, Amounts, Budget
from aegis.core.money import Nanos
from aegis.core.plaintext import one_line
from aegis.finance.aws_steps import AwsPlan, AwsStep, Verb, dollars, tag_of

CLIENT: Final = "budgets"
REGION: Final = "us-east-1"
"""AWS Budgets has one address for all regions."""
NAME_MAX: Final = 100
_UNFIT: Final = re.compile(r"[:\\<>]|/action/", re.IGNORECASE)
"""What the name of a budget must not hold (BudgetName)."""
MAILS_MAX: Final = 10
"""Subscribers of one notification by mail; one topic may stand beside them."""
UNITS: Final[Mapping[str, str]] = {"day": "DAILY", "month": "MONTHLY"}
WORDS: Final[Mapping[str, str]] = {"DAILY": "a day", "MONTHLY": "a month"}
COST_SERVICES: Final[Mapping[str, tuple[str, ...]]] = {
    "athena": ("Amazon Athena",),
    "bedrock": ("Amazon Bedrock",),
    "cloudwatch": ("AmazonCloudWatch",),
}
"""Our services that AWS bills, by the names that they have on its bill (dimension SERVICE)."""

Subscriber = tuple[str, str]
"""`EMAIL` or `SNS`, and the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsBudget:
    """A budget at AWS. `services` are names of the bill (none: the whole account); `notices` are the amounts at which it
    tells, each with who is told. `ours` is false for one that somebody else made.
    """

    name: str
    unit: str
    limit: Nanos
    services: tuple[str, ...] = ()
    notices: Mapping[Nanos, frozenset[Subscriber]] = field(default_factory=dict)
    ours: bool = True

    @property
    def told(self) -> str:
        return f"{dollars(self.limit)} USD {WORDS.get(self.unit, self.unit)} for {self.covers}"

    @property
    def covers(self) -> str:
        return ", ".join(self.services) or "the whole account"

    def request(self) -> dict[str, Any]:
        """The budget as AWS takes it."""
        made: dict[str, Any] = {
            "BudgetName": self.name,
            "BudgetType": "COST",
            "TimeUnit": self.unit,
            "BudgetLimit": {"Amount": dollars(self.limit), "Unit": "USD"},
        }
        return made | ({"CostFilters": {"Service": list(self.services)}} if self.services else {})


def wanted(
    budgets: Sequence[Budget],
    *,
    prefix: str,
    subscribers: frozenset[Subscriber],
    services: Mapping[str, tuple[str, ...]] = COST_SERVICES,
) -> tuple[tuple[AwsBudget, ...], tuple[str, ...]]:
    """The budgets that AWS is to hold, and a sentence for each of ours about AWS that it cannot."""
    made: dict[str, AwsBudget] = {}
    notes: list[str] = []
    for budget in budgets:
        covered = covered_by(budget, services)
        if not covered:
            continue
        if why := _not_at_aws(budget):
            notes.append(f"{budget.name}: {why}")
            continue
        for amounts in budget.windows:
            if amounts.window.kind not in UNITS:
                notes.append(f"{budget.name} ({amounts.window.kind}): AWS Budgets knows days and months only")
                continue
            for part, names in covered:
                one = _budget(f"{prefix}-{budget.name}", part, names, amounts, subscribers)
                if len(one.name) > NAME_MAX:
                    notes.append(f"{one.name[:NAME_MAX]}: the name is longer than the {NAME_MAX} that AWS takes")
                else:
                    made[one.name] = one
        if any(amounts.window.zone != "UTC" for amounts in budget.windows):
            notes.append(f"{budget.name}: its days are {budget.windows[0].window.zone}, those of AWS are UTC")
    if made and not subscribers:
        notes.append("nobody is told: name people in aws.notify, or a topic in aws.topics")
    return tuple(made.values()), tuple(notes)


def covered_by(
    budget: Budget, services: Mapping[str, tuple[str, ...]] = COST_SERVICES
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What of the AWS bill a budget covers: parts, each with the names on the bill (none: all); empty when nothing."""
    asked = [value for name, value in budget.scope.items() if name in ("service", "provider")]
    if not asked or asked == ["aws"]:
        return (("", ()),)
    value = asked[0]
    if value == "*":
        return tuple((name, names) for name, names in services.items())
    return ((("", services[value]),)) if value in services else ()


def _not_at_aws(budget: Budget) -> str:
    if budget.unit != MONEY:
        return f"it counts {budget.unit}, and AWS is asked about money only"
    if narrower := sorted(set(budget.scope) - {"service", "provider"}):
        return f"AWS does not know {' and '.join(narrower)}"
    return ""


def _budget(
    name: str, part: str, services: tuple[str, ...], amounts: Amounts, subscribers: frozenset[Subscriber]
) -> AwsBudget:
    unit = UNITS[amounts.window.kind]
    notices = {amount: subscribers for _, amount in amounts.levels()} if subscribers else {}
    whole = _UNFIT.sub("-", one_line(f"{name}{f'-{part}' if part else ''}-{unit.lower()}"))
    return AwsBudget(name=whole, unit=unit, limit=amounts.emergency, services=services, notices=notices)


def plan(
    asked: Sequence[AwsBudget], found: Sequence[AwsBudget], *, account: str, prefix: str, notes: Sequence[str] = ()
) -> AwsPlan:
    """The requests that make what is `found` as it is `asked`: only what we made is changed or deleted."""
    there, told = {one.name: one for one in found}, list(notes)
    steps: list[AwsStep] = []
    for one in asked:
        held = there.get(one.name)
        if held is None:
            steps.append(_create(one, account, prefix))
        elif not held.ours:
            told.append(f"{one.name} was not made by Aegis (it lacks the tag): it is left alone")
        else:
            steps += _update(held, one, account)
    kept = {one.name for one in asked}
    for one in found:
        if one.ours and one.name not in kept:
            request = {"AccountId": account, "BudgetName": one.name}
            steps.append(_step("delete", one.name, "no budget of ours asks for it any more", "delete_budget", request))
    return AwsPlan(steps=steps, notes=told)


def _create(one: AwsBudget, account: str, prefix: str) -> AwsStep:
    notices = [
        {"Notification": _notice(amount), "Subscribers": [_subscriber(who) for who in sorted(told)]}
        for amount, told in sorted(one.notices.items())
    ]
    request: dict[str, Any] = {"AccountId": account, "Budget": one.request(), "ResourceTags": [tag_of(prefix)]}
    request |= {"NotificationsWithSubscribers": notices} if notices else {}
    levels = ", ".join(dollars(amount) for amount in sorted(one.notices))
    people = sorted({address for told in one.notices.values() for _, address in told})
    words = f"{one.told}; tells {', '.join(people)} at {levels}" if notices else f"{one.told}; tells nobody"
    return _step("create", one.name, words, "create_budget", request)


def _update(held: AwsBudget, one: AwsBudget, account: str) -> Iterator[AwsStep]:
    changed = [
        f"{what} {was} -> {now}"
        for what, was, now in (
            ("limit", dollars(held.limit), dollars(one.limit)),
            ("window", held.unit, one.unit),
            ("covers", held.covers, one.covers),
        )
        if was != now
    ]
    if changed:
        request: dict[str, Any] = {"AccountId": account, "NewBudget": one.request()}
        yield _step("update", one.name, ", ".join(changed), "update_budget", request)
    about = {"AccountId": account, "BudgetName": one.name}
    for amount in sorted(set(one.notices) - set(held.notices)):
        people = [_subscriber(who) for who in sorted(one.notices[amount])]
        request = {**about, "Notification": _notice(amount), "Subscribers": people}
        yield _step("update", one.name, f"also tells at {dollars(amount)}", "create_notification", request)
    for amount in sorted(set(one.notices) & set(held.notices)):
        yield from _people(held.notices[amount], one.notices[amount], amount, about)
    for amount in sorted(set(held.notices) - set(one.notices)):
        request = {**about, "Notification": _notice(amount)}
        yield _step("update", one.name, f"no longer tells at {dollars(amount)}", "delete_notification", request)


def _people(
    held: frozenset[Subscriber], asked: frozenset[Subscriber], amount: Nanos, about: Mapping[str, str]
) -> Iterator[AwsStep]:
    """Somebody new is told before somebody is not any more: AWS keeps no notification that tells nobody."""
    name, at = about["BudgetName"], {**about, "Notification": _notice(amount)}
    for who in sorted(asked - held):
        request = {**at, "Subscriber": _subscriber(who)}
        yield _step("update", name, f"at {dollars(amount)} also tells {who[1]}", "create_subscriber", request)
    for who in sorted(held - asked):
        request = {**at, "Subscriber": _subscriber(who)}
        yield _step("update", name, f"at {dollars(amount)} no longer tells {who[1]}", "delete_subscriber", request)


def _notice(amount: Nanos) -> dict[str, Any]:
    return {
        "NotificationType": "ACTUAL",
        "ComparisonOperator": "GREATER_THAN",
        "Threshold": float(dollars(amount)),
        "ThresholdType": "ABSOLUTE_VALUE",
    }


def _subscriber(who: Subscriber) -> dict[str, str]:
    return {"SubscriptionType": who[0], "Address": who[1]}


def _step(verb: Verb, name: str, words: str, operation: str, request: Mapping[str, Any]) -> AwsStep:
    return AwsStep(
        verb=verb, name=name, words=words, client=CLIENT, operation=operation, region=REGION, request=request
    )
