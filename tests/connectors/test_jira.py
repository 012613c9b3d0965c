"""Claims about what Jira gets, and that no retry makes a second issue."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.connectors.contracts import Contract
from tests.connectors.services import JIRA_CONFIG, TRANSITIONS
from tests.connectors.stories import (
    HOSTILE,
    HUGE,
    SECRET,
    FixedClock,
    ScriptedHttp,
    answer,
    hostile,
    notification,
    shown_secret,
)

from aegis.connectors.jira import Config, Jira, document, label, payload
from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.incidents import Severity
from aegis.core.notifications import Notification

pytestmark = pytest.mark.anyio

NOTHING = answer(200, {"issues": []})
FOUND = answer(200, {"issues": [{"id": "1", "key": "SEC-7", "fields": {}}]})
CREATED = answer(201, {"id": "1", "key": "SEC-7", "self": "https://x.atlassian.net/rest/api/3/issue/1"})
COMMENTED, MOVED, EDITED = answer(201, {"id": "5"}), answer(204), answer(204)


def connector(http: ScriptedHttp, config: Config = JIRA_CONFIG) -> Jira:
    return Jira(config, http, clock=FixedClock())


def paths(http: ScriptedHttp) -> list[str]:
    return [f"{request.method} {request.url.partition('/rest/api/3')[2]}" for request in http.sent]


async def test_an_incident_that_was_never_told_needs_no_search() -> None:
    http = ScriptedHttp([CREATED])
    receipt = await connector(http).notify(notification(), remote_id="")
    assert (receipt.remote_id, receipt.note, paths(http)) == ("SEC-7", "created", ["POST /issue"])


@pytest.mark.parametrize(
    "said",
    [replace(notification(), again=True), notification(change="raised", version=2), notification(change="reopened")],
    ids=["sent before", "raised", "reopened"],
)
async def test_an_issue_that_may_be_there_is_looked_for_before_it_is_created(said: Notification) -> None:
    http = ScriptedHttp([NOTHING, CREATED, *[answer(200, TRANSITIONS), MOVED] * (said.change == "reopened")])
    receipt = await connector(http).notify(said, remote_id="")
    assert (receipt.remote_id, receipt.note) == ("SEC-7", "created")
    assert paths(http)[:2] == ["POST /search/jql", "POST /issue"]
    assert http.bodies()[0]["jql"] == 'project = "SEC" AND labels = "aegis-inc_01JG0000000000000000000001"'


async def test_a_create_whose_answer_was_lost_makes_no_second_issue() -> None:
    cut = ServiceError("jira", "the connection was cut", retryable=True, billed=Billed.UNKNOWN)
    with pytest.raises(ServiceError):
        await connector(ScriptedHttp([cut])).notify(notification(), remote_id="")
    again = ScriptedHttp([FOUND])
    receipt = await connector(again).notify(replace(notification(), again=True), remote_id="")
    assert (receipt.remote_id, paths(again)) == ("SEC-7", ["POST /search/jql"])


async def test_a_later_version_is_a_comment() -> None:
    http = ScriptedHttp([COMMENTED])
    receipt = await connector(http).notify(notification(change="analysed", version=2), remote_id="SEC-7")
    assert (receipt.remote_id, paths(http)) == ("SEC-7", ["POST /issue/SEC-7/comment"])


async def test_a_raise_sets_the_priority(shared: Path) -> None:
    http = ScriptedHttp([COMMENTED, EDITED])
    await connector(http).notify(notification(Severity.CRITICAL, "raised", version=2), remote_id="SEC-7")
    assert paths(http) == ["POST /issue/SEC-7/comment", "PUT /issue/SEC-7"]
    assert http.bodies()[1] == {"fields": {"priority": {"name": "Highest"}}}
    assert Contract.of(shared, "jira", "issue_edit").breaches(http.bodies()[1]) == []


async def test_a_resolution_moves_the_issue_to_a_status_of_category_done(shared: Path) -> None:
    http = ScriptedHttp([COMMENTED, answer(200, TRANSITIONS), MOVED])
    receipt = await connector(http).notify(notification(change="resolved", version=3), remote_id="SEC-7")
    assert paths(http)[1:] == ["GET /issue/SEC-7/transitions", "POST /issue/SEC-7/transitions"]
    assert http.bodies()[2] == {"transition": {"id": "31"}}
    assert Contract.of(shared, "jira", "transition_do").breaches(http.bodies()[2]) == []
    assert receipt.note == "commented"


async def test_a_workflow_without_a_way_to_done_is_said_and_not_an_error() -> None:
    http = ScriptedHttp([COMMENTED, answer(200, {"transitions": [{"id": "1", "to": None}, 5]})])
    receipt = await connector(http).notify(notification(change="resolved", version=3), remote_id="SEC-7")
    assert "no transition" in receipt.note


async def test_a_reopened_incident_reopens_its_issue() -> None:
    http = ScriptedHttp([COMMENTED, answer(200, TRANSITIONS), MOVED])
    await connector(http).notify(notification(change="reopened", version=4), remote_id="SEC-7")
    assert http.bodies()[2] == {"transition": {"id": "11"}}


async def test_a_project_without_priorities_gets_the_issue_without_one() -> None:
    refused = answer(400, {"errorMessages": [], "errors": {"priority": "Field 'priority' cannot be set."}})
    http = ScriptedHttp([refused, CREATED])
    receipt = await connector(http).notify(notification(), remote_id="")
    assert receipt.remote_id == "SEC-7"
    assert "priority" not in http.bodies()[1]["fields"]


async def test_another_refused_field_is_named_and_not_tried_again() -> None:
    http = ScriptedHttp([answer(400, {"errorMessages": [], "errors": {"issuetype": "wrong"}})])
    with pytest.raises(ServiceError, match="issuetype") as caught:
        await connector(http).notify(notification(), remote_id="")
    assert not caught.value.retryable
    assert not shown_secret(caught.value)


@pytest.mark.parametrize("key", ["../../secure", "SEC-7/../../x", "SEC", 5, None])
async def test_a_key_that_is_none_never_reaches_an_address(key: object) -> None:
    http = ScriptedHttp([answer(200, {"issues": [{"key": key}, "x"]}), answer(201, {"key": key})])
    with pytest.raises(ServiceError):
        await connector(http).notify(notification(), remote_id=str(key))
    assert paths(http) == ["POST /search/jql", "POST /issue"]


@pytest.mark.parametrize(
    ("severity", "name"),
    [(Severity.LOW, "Low"), (Severity.MEDIUM, "Medium"), (Severity.HIGH, "High"), (Severity.CRITICAL, "Highest")],
)
def test_priorities_go_by_name(severity: Severity, name: str) -> None:
    assert payload(notification(severity), JIRA_CONFIG)["fields"]["priority"] == {"name": name}


@pytest.mark.parametrize("text", [*HOSTILE, HUGE])
def test_hostile_text_is_text_nodes_only(text: str) -> None:
    nodes = list(nodes_of(document(hostile(text))))
    assert {node["type"] for node in nodes} <= {"doc", "paragraph", "text", "bulletList", "orderedList", "listItem"}
    assert {mark["type"] for node in nodes for mark in node.get("marks", ())} <= {"strong"}


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("content", ()):
        yield from nodes_of(inner)


@pytest.mark.parametrize("key", ['x" OR project = "HR', "a b", "", "x" * 300, "\ud800"])
def test_no_dedup_key_reaches_the_query_unchecked(key: str) -> None:
    assert label(key).removeprefix("aegis-").isalnum()
    assert len(label(key)) <= 255


def test_a_wrong_config_is_refused_by_name() -> None:
    good: dict[str, Any] = {"base_url": "https://x", "email": "e", "token": SECRET, "project": "SEC"}
    for wrong in ({"project": 'S" OR'}, {"priorities": "Low, High"}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            Config(**{**good, **wrong})
    assert "priority" not in payload(notification(), Config(**{**good, "priorities": ""}))["fields"]


SLA = Config(
    base_url="https://x.atlassian.net",
    email="bot@example.com",
    token=SECRET,
    project="SEC",
    due_hours="720, 168, 48, 24",
)


def test_an_issue_is_due_by_its_severity(shared: Path) -> None:
    fields = payload(notification(Severity.CRITICAL), SLA)["fields"]
    assert fields["duedate"] == "2026-01-03"
    assert payload(notification(Severity.LOW), SLA)["fields"]["duedate"] == "2026-02-01"
    assert Contract.of(shared, "jira", "issue_create").breaches({"fields": fields}) == []


def test_a_field_of_ones_own_takes_the_moment() -> None:
    config = replace(SLA, due_field="customfield_10050")
    assert (
        payload(notification(Severity.CRITICAL), config)["fields"]["customfield_10050"]
        == "2026-01-03T03:04:05.678+0000"
    )


async def test_fields_that_the_project_does_not_have_are_left_out_and_no_others() -> None:
    refused = answer(400, {"errorMessages": [], "errors": {"duedate": "not on the screen"}})
    http = ScriptedHttp([refused, CREATED])
    await connector(http, SLA).notify(notification(), remote_id="")
    first, second = http.bodies()[0]["fields"], http.bodies()[1]["fields"]
    assert set(first) - set(second) == {"duedate"}


async def test_a_raise_moves_the_date() -> None:
    http = ScriptedHttp([COMMENTED, EDITED])
    receipt = await connector(http, SLA).notify(notification(Severity.CRITICAL, "raised"), remote_id="SEC-7")
    assert http.bodies()[1] == {"fields": {"priority": {"name": "Highest"}, "duedate": "2026-01-03"}}
    assert receipt.note == "commented; set duedate, priority"


async def test_a_note_is_a_comment_of_its_own() -> None:
    http = ScriptedHttp([COMMENTED])
    await connector(http).notify(notification(change="noted"), remote_id="SEC-7")
    (paragraph,) = http.bodies()[0]["body"]["content"]
    assert paragraph["content"][0]["text"] == "Note by Ada Lovelace in pagerduty: Locked the account."


async def test_an_acknowledgement_moves_the_issue_into_progress() -> None:
    ways = {"transitions": [{"id": "21", "to": {"statusCategory": {"key": "indeterminate"}}}]}
    http = ScriptedHttp([COMMENTED, answer(200, ways), MOVED])
    await connector(http).notify(notification(change="acknowledged"), remote_id="SEC-7")
    assert http.bodies()[2] == {"transition": {"id": "21"}}


@pytest.mark.parametrize("wrong", [{"due_hours": "1, 2, 3"}, {"due_hours": "a,b,c,d"}, {"due_field": "summary"}])
def test_due_dates_that_cannot_be_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        replace(SLA, **wrong)  # type: ignore[arg-type]
