"""The desk: a word is committed with its messages, and is not said back to where it came from."""

from datetime import timedelta

import pytest
from tests.incidents.stage import NOON, Stage, detection

from aegis.core.errors import BadInput
from aegis.core.incidents import Severity, Status
from aegis.stores.records import incident_from_text, incident_to_text

pytestmark = pytest.mark.anyio


async def opened(stage: Stage) -> str:
    await stage.take(detection(severity=Severity.CRITICAL))
    return stage.only().id


async def test_an_acknowledgement_reaches_everybody_but_the_pager_that_it_came_from() -> None:
    stage = Stage()
    incident_id = await opened(stage)
    await stage.pipeline.desk.acknowledge(incident_id, "anna", "pagerduty", NOON)
    assert stage.store.sent("pagerduty") == ["opened"]
    assert stage.store.sent("slack")[-1] == stage.store.sent("jira")[-1] == "acknowledged"


async def test_a_word_from_a_chat_still_edits_the_chats_own_message() -> None:
    stage = Stage()
    incident_id = await opened(stage)
    await stage.pipeline.desk.resolve(incident_id, "anna", "slack", NOON)
    assert stage.store.sent("slack")[-1] == stage.store.sent("pagerduty")[-1] == "resolved"


async def test_what_is_seen_again_is_newer_than_a_word_that_was_under_way() -> None:
    stage = Stage()
    incident_id = await opened(stage)
    await stage.pipeline.desk.resolve(incident_id, "anna", "jira", NOON)
    said_at = stage.clock.now()
    stage.clock.at += timedelta(minutes=5)
    await stage.take(detection(severity=Severity.CRITICAL, at=5))
    assert stage.only().status is Status.OPEN
    assert stage.store.sent("jira")[-1] == "reopened"
    late = await stage.pipeline.desk.resolve(incident_id, "ben", "pagerduty", said_at + timedelta(minutes=1))
    assert late.status is Status.OPEN


async def test_a_note_is_on_record_and_told_where_people_talk_but_where_it_came_from() -> None:
    stage = Stage()
    incident_id = await opened(stage)
    before = dict(stage.store.deliveries)
    noted = await stage.pipeline.desk.note(incident_id, "anna", "jira", text="the jump host is ours")
    assert noted.timeline[-1].text == "the jump host is ours"
    assert noted.timeline[-1].attributes == {"by": "anna", "via": "jira"}
    told = [one.service for name, one in stage.store.deliveries.items() if name not in before]
    assert sorted(told) == ["discord", "pagerduty", "slack", "teams"]


async def test_who_moved_it_and_who_has_it_survive_the_store() -> None:
    stage = Stage()
    incident_id = await opened(stage)
    await stage.pipeline.desk.assign(incident_id, "anna", to="ben")
    there = await stage.pipeline.desk.acknowledge(incident_id, "anna", "slack", NOON)
    assert incident_from_text(incident_to_text(there)) == there
    assert (there.assignee, there.status_by, there.status_via, there.status_at) == ("ben", "anna", "slack", NOON)


async def test_an_unknown_incident_is_refused_by_name() -> None:
    with pytest.raises(BadInput) as refused:
        await Stage().pipeline.desk.acknowledge("inc_nowhere", "anna")
    assert refused.value.code == "no_such_incident"
