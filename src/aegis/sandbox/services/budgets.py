"""AWS Budgets with state: budgets, their notifications, who is told, and tags (AWS Budgets API reference, its limits)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from aegis.sandbox.checks import Inspector
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service

TARGET = "AWSBudgetServiceGateway."
NAME = r"(?![^:\\]*/action/)[^:\\]{1,100}"
AMOUNT = r"([0-9]*\.)?[0-9]+"
NOTICES_MAX, SUBSCRIBERS_MAX, MAILS_MAX, PAGE_MAX = 10, 11, 10, 1_000
UNITS = frozenset({"DAILY", "MONTHLY", "QUARTERLY", "ANNUALLY", "CUSTOM"})


def answer(asked: Asked, room: Room) -> Reply:
    operation = asked.header("x-amz-target").removeprefix(TARGET)
    handle = _OPERATIONS.get(operation)
    if asked.method != "POST" or handle is None:
        return _no("UnknownOperationException", f"there is no operation {clip(operation, 60)!r} here")
    if not asked.header("authorization").startswith("AWS4-HMAC-SHA256 "):
        return _no("AccessDeniedException", "the request is not signed")
    try:
        request = Inspector(asked.json())
    except Unreadable as error:
        return _no("SerializationException", str(error))
    if "tag" not in operation.lower():
        request.text("AccountId", required=True, pattern=r"\d{12}")
    reply = handle(request, room)
    return _no("InvalidParameterException", str(request.problems[0])) if request.problems else reply


def _no(code: str, why: str) -> Reply:
    return reply_json(400, {"__type": code, "Message": why}, refused=f"{code}: {why}")


def _missing(name: str) -> Reply:
    return _no("NotFoundException", f"Unable to get budget: {clip(name, 100)} - the budget doesn't exist.")


def _budget(request: Inspector, key: str) -> Document:
    """A budget as it is asked for; what is wrong with it is kept as a problem."""
    held = request.child(key, required=True)
    if held is None:
        return {}
    held.text("BudgetName", required=True, pattern=NAME)
    held.text("TimeUnit", required=True, one_of=UNITS)
    held.text("BudgetType", required=True, one_of={"COST", "USAGE"})
    if (limit := held.child("BudgetLimit", required=True)) is not None:
        limit.text("Amount", required=True, pattern=AMOUNT)
        limit.text("Unit", required=True)
    held.only({"BudgetName", "TimeUnit", "BudgetType", "BudgetLimit", "CostFilters"})
    return dict(held.held)


def _notice(request: Inspector) -> Document:
    held = request.child("Notification", required=True)
    if held is None:
        return {}
    held.text("NotificationType", required=True, one_of={"ACTUAL", "FORECASTED"})
    held.text("ComparisonOperator", required=True, one_of={"GREATER_THAN", "LESS_THAN", "EQUAL_TO"})
    held.number("Threshold", required=True)
    held.text("ThresholdType", one_of={"PERCENTAGE", "ABSOLUTE_VALUE"})
    return {"ThresholdType": "PERCENTAGE", **held.held}


def _people(request: Inspector) -> list[Document]:
    people = request.objects("Subscribers", required=True, least=1, most=SUBSCRIBERS_MAX)
    for one in people:
        _person(one)
    if len([one for one in people if one.held.get("SubscriptionType") == "EMAIL"]) > MAILS_MAX:
        request.wrong("Subscribers", f"has more than {MAILS_MAX} by mail")
    return [dict(one.held) for one in people]


def _person(one: Inspector | None) -> Document:
    if one is None:
        return {}
    kind = one.text("SubscriptionType", required=True, one_of={"EMAIL", "SNS"})
    one.text("Address", required=True, pattern=r"arn:.+" if kind == "SNS" else r"[^@\s]+@[^@\s]+")
    return dict(one.held)


def _create(request: Inspector, room: Room) -> Reply:
    budget = _budget(request, "Budget")
    notices = [
        {"notice": _notice(one), "people": _people(one)}
        for one in request.objects("NotificationsWithSubscribers", most=NOTICES_MAX)
    ]
    tags = [dict(one.held) for one in request.objects("ResourceTags", most=200)]
    name = str(budget.get("BudgetName", ""))
    if room.get("budget", name) is not None:
        return _no("DuplicateRecordException", f"the budget {clip(name, 100)} already exists")
    if not request.problems:
        room.put("budget", name, {"budget": budget, "notices": notices, "tags": tags})
    return reply_json(200, {}, line=f"budget {clip(name, 100)} made")


def _update(request: Inspector, room: Room) -> Reply:
    budget = _budget(request, "NewBudget")
    name = str(budget.get("BudgetName", ""))
    held = room.get("budget", name)
    if held is None:
        return _missing(name)
    if not request.problems:
        room.put("budget", name, {**held, "budget": budget})
    return reply_json(200, {}, line=f"budget {clip(name, 100)} changed")


def _delete(request: Inspector, room: Room) -> Reply:
    name = request.text("BudgetName", required=True)
    if room.get("budget", name) is None:
        return _missing(name)
    room.drop("budget", name)
    return reply_json(200, {}, line=f"budget {clip(name, 100)} deleted")


def _describe(request: Inspector, room: Room) -> Reply:
    most = request.whole("MaxResults", least=1, most=PAGE_MAX) or 100
    first = int(token) if (token := request.text("NextToken", pattern=r"\d{1,6}")) else 0
    every = [one["budget"] for one in room.every("budget").values()]
    told: dict[str, Any] = {"Budgets": [_as_told(one) for one in every[first : first + most]]}
    told |= {"NextToken": str(first + most)} if first + most < len(every) else {}
    return reply_json(200, told, line=f"{len(told['Budgets'])} budgets")


def _as_told(budget: Document) -> Document:
    """Amounts come back with a decimal, and a budget says what it spent."""
    amount = {**budget["BudgetLimit"], "Amount": str(float(budget["BudgetLimit"]["Amount"]))}
    spent = {"ActualSpend": {"Amount": "0.0", "Unit": "USD"}}
    return {"CostFilters": {}, **budget, "BudgetLimit": amount, "CalculatedSpend": spent}


def _of(request: Inspector, room: Room) -> tuple[str, Document | None]:
    name = request.text("BudgetName", required=True)
    return name, room.get("budget", name)


def _notices(request: Inspector, room: Room) -> Reply:
    name, held = _of(request, room)
    if held is None:
        return _missing(name)
    rows = [{**one["notice"], "NotificationState": "OK"} for one in held["notices"]]
    return reply_json(200, {"Notifications": rows}, line=f"{len(rows)} notifications")


def _asked_for(request: Inspector, held: Document) -> Document | None:
    notice = _notice(request)
    return next((one for one in held["notices"] if one["notice"] == notice), None)


def _subscribers(request: Inspector, room: Room) -> Reply:
    name, held = _of(request, room)
    found = None if held is None else _asked_for(request, held)
    return _missing(name) if found is None else reply_json(200, {"Subscribers": found["people"]})


def _add_notice(request: Inspector, room: Room) -> Reply:
    name, held = _of(request, room)
    if held is None:
        return _missing(name)
    made = {"notice": _notice(request), "people": _people(request)}
    if _asked_for(request, held) is not None:
        return _no("DuplicateRecordException", "the notification already exists")
    if len(held["notices"]) >= NOTICES_MAX:
        return _no("CreationLimitExceededException", f"a budget has {NOTICES_MAX} notifications at most")
    return _kept(request, room, name, [*held["notices"], made])


def _drop_notice(request: Inspector, room: Room) -> Reply:
    name, held = _of(request, room)
    found = None if held is None else _asked_for(request, held)
    if held is None or found is None:
        return _missing(name)
    return _kept(request, room, name, [one for one in held["notices"] if one is not found])


def _add_person(request: Inspector, room: Room) -> Reply:
    return _persons(request, room, lambda people, one: [*people, one] if one not in people else None)


def _drop_person(request: Inspector, room: Room) -> Reply:
    def without(people: list[Document], one: Document) -> list[Document] | None:
        left = [each for each in people if each != one]
        if not left:
            request.wrong("Subscriber", "is the last one: a notification tells somebody")
        return left if one in people else None

    return _persons(request, room, without)


def _persons(
    request: Inspector, room: Room, change: Callable[[list[Document], Document], list[Document] | None]
) -> Reply:
    name, held = _of(request, room)
    found = None if held is None else _asked_for(request, held)
    person = _person(request.child("Subscriber", required=True))
    if held is None or found is None:
        return _missing(name)
    people = change(found["people"], person)
    if people is None:
        return _no("NotFoundException", "no such subscriber, or it is there already")
    if len(people) > SUBSCRIBERS_MAX:
        return _no("CreationLimitExceededException", f"a notification tells {SUBSCRIBERS_MAX} at most")
    notices = [{**one, "people": people} if one is found else one for one in held["notices"]]
    return _kept(request, room, name, notices)


def _kept(request: Inspector, room: Room, name: str, notices: list[Document]) -> Reply:
    held = room.get("budget", name) or {}
    if not request.problems:
        room.put("budget", name, {**held, "notices": notices})
    return reply_json(200, {}, line=f"budget {clip(name, 100)}: {len(notices)} notifications")


def _tags(request: Inspector, room: Room) -> Reply:
    arn = request.text("ResourceARN", required=True, pattern=r"arn:aws[a-z-]*:budgets::\d{12}:budget/.+")
    held = room.get("budget", re.sub(r"^[^/]*/", "", arn))
    return _missing(arn) if held is None else reply_json(200, {"ResourceTags": held["tags"]})


def _failure(status: int, _after: int | None) -> Reply:
    code = {401: "AccessDeniedException", 429: "ThrottlingException"}.get(status, "InternalErrorException")
    return reply_json(400 if status in (401, 429) else 500, {"__type": code, "Message": "the sandbox was told to fail"})


_OPERATIONS: Mapping[str, Callable[[Inspector, Room], Reply]] = {
    "CreateBudget": _create,
    "UpdateBudget": _update,
    "DeleteBudget": _delete,
    "DescribeBudgets": _describe,
    "DescribeNotificationsForBudget": _notices,
    "DescribeSubscribersForNotification": _subscribers,
    "CreateNotification": _add_notice,
    "DeleteNotification": _drop_notice,
    "CreateSubscriber": _add_person,
    "DeleteSubscriber": _drop_person,
    "ListTagsForResource": _tags,
}
SERVICE = Service(name="budgets", answer=answer, failure=_failure)
