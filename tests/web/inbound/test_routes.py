"""What a sender sees, and what comes of it: an act elsewhere is told everywhere but there, once, and never undone late."""

import io
import json
import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.web.inbound import signing
from tests.web.inbound.doors import LOGIN, doors
from tests.web.inbound.signing import NOW, SECRET, Sent

from aegis.core.incidents import Severity, Status

pytestmark = pytest.mark.anyio


async def test_a_page_that_is_acknowledged_in_pagerduty_is_told_everywhere_but_there(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        incident = await door.paged()
        pages, chats, tickets = (len(door.told(name)) for name in ("pagerduty", "slack", "jira"))
        await door.clock.advance(60_000)
        status, answer = await door.send(signing.pagerduty(at=door.clock.now(), incident=incident.id))
        await door.app.finish(wait_ms=0)
        stands = await door.app.desk.get(incident.id)

        assert (status, answer["taken"]) == (200, 1)
        assert stands is not None
        assert (stands.status, stands.status_by, stands.status_via) == (
            Status.ACKNOWLEDGED,
            "Ada Lovelace",
            "pagerduty",
        )
        assert "acknowledged by Ada Lovelace in PagerDuty" in door.told("slack")[-1].body
        assert door.told("slack")[-1].path == "/api/chat.update"
        comments = [one.body for one in door.told("jira")[tickets:] if one.path.endswith("/comment")]
        assert len(comments) == 1
        assert "acknowledged by Ada Lovelace in PagerDuty" in comments[0]
        assert len(door.told("slack")) == chats + 1
        assert len(door.told("pagerduty")) == pages > 0, "PagerDuty is not told what it said itself"


async def test_a_button_in_slack_acknowledges_the_page_and_a_closed_issue_resolves_it(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        incident = await door.paged()
        await door.clock.advance(60_000)
        shown = door.told("slack")[-1].body
        assert f'"action_id":"aegis_acknowledge","value":"{incident.id}"' in shown
        status, answer = await door.send(signing.slack(at=door.clock.now(), incident=incident.id))
        await door.app.finish(wait_ms=0)
        assert (status, answer) == (200, {}), "Slack shows what stands in an answer"
        assert '"event_action":"acknowledge"' in door.told("pagerduty")[-1].body
        assert "acknowledged by grace in Slack" in door.told("slack")[-1].body

        await door.clock.advance(60_000)
        tickets = len(door.told("jira"))
        await door.send(signing.jira(at=door.clock.now(), incident=incident.id))
        await door.app.finish(wait_ms=0)
        assert '"event_action":"resolve"' in door.told("pagerduty")[-1].body
        assert "resolved by Mia Krystof in Jira" in door.told("slack")[-1].body
        assert len(door.told("jira")) == tickets


async def test_an_issue_is_known_by_its_key_alone(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        incident = await door.paged()
        (issue,) = door.world.documents("jira", "issue")
        key = str(issue["key"])
        body = signing.jira(at=NOW).body.replace(b"SEC-7", key.encode()).replace(b'"aegis-inc_', b'"other-')
        sent = Sent("jira", {"x-hub-signature": f"sha256={signing.hex_hmac(body)}"}, body)
        await door.clock.advance(1_000)
        assert (await door.send(sent))[0] == 200
        stands = await door.app.desk.get(incident.id)
        assert stands is not None
        assert stands.status is Status.RESOLVED


async def test_the_same_delivery_again_changes_nothing_also_after_a_restart(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        incident = await door.paged()
        sent = signing.pagerduty("incident.acknowledged", incident=incident.id)
        first = await door.send(sent)
        again = await door.send(sent)
        note = signing.pagerduty_note("looked at it")
        await door.send(note)
    async with doors(tmp_path) as door:
        later = await door.send(sent)
        await door.send(note)
        stands = await door.app.desk.get(incident.id)

    assert [answer["duplicate"] for _, answer in (first, again, later)] == [False, True, True]
    assert stands is not None
    assert [entry.text for entry in stands.timeline if entry.kind == "note"] == ["looked at it"]


async def test_an_older_word_that_comes_late_never_undoes_a_newer_one(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        incident = await door.paged()
        await door.clock.advance(600_000)
        now = door.clock.now()
        resolved = signing.pagerduty(
            "incident.resolved", at=now - timedelta(minutes=1), event_id="B", incident=incident.id
        )
        acknowledged = signing.pagerduty(at=now - timedelta(minutes=5), event_id="A", incident=incident.id)
        await door.send(resolved)
        status, _ = await door.send(acknowledged)
        stands = await door.app.desk.get(incident.id)

    assert status == 200
    assert stands is not None
    assert stands.status is Status.RESOLVED
    assert "late" in [entry.kind for entry in stands.timeline]


async def test_a_note_goes_everywhere_but_back_and_is_not_taken_again_when_it_comes_round(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        incident = await door.paged()
        await door.send(signing.pagerduty("incident.acknowledged", incident=incident.id))
        pages = len(door.told("pagerduty"))
        await door.clock.advance(1_000)
        await door.send(signing.pagerduty_note("rotated the key, watching http://x.example", at=door.clock.now()))
        await door.app.finish(wait_ms=0)
        assert "rotated the key" in door.told("slack")[-1].body
        assert any("rotated the key" in one.body for one in door.told("jira"))
        assert len(door.told("pagerduty")) == pages

        round_trip = "Note by Ada Lovelace in PagerDuty: rotated the key, watching hxxp[:]//x[.]example"
        for event_id, text in (("R1", round_trip), ("R2", f"Acknowledged · CRITICAL · {incident.id}")):
            await door.send(signing.pagerduty_note(text, event_id=event_id))
        stands = await door.app.desk.get(incident.id)
        assert stands is not None
        assert len([entry for entry in stands.timeline if entry.kind == "note"]) == 1
        await door.send(signing.pagerduty_note("Note by nobody that we know", event_id="R3"))
        stands = await door.app.desk.get(incident.id)
        assert stands is not None
        assert len([entry for entry in stands.timeline if entry.kind == "note"]) == 2


async def test_a_note_with_hostile_text_stays_a_text(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script> <!channel> @everyone [x](https://evil.example) \x1b[31m\u202e ignore all rules"
    async with doors(tmp_path) as door:
        incident = await door.paged()
        await door.send(signing.pagerduty("incident.acknowledged", incident=incident.id, by=hostile))
        await door.send(signing.pagerduty_note(hostile))
        await door.app.finish(wait_ms=0)
        stands = await door.app.desk.get(incident.id)
        told = [one.body for name in ("slack", "teams", "discord", "jira") for one in door.told(name)]
        chat = "".join(one.body for one in door.told("slack"))

    assert stands is not None
    (note,) = [entry.text for entry in stands.timeline if entry.kind == "note"]
    assert "\x1b" not in note
    assert "\u202e" not in note
    assert "Note by <script>" not in chat
    assert "<!channel>" not in chat
    assert "&lt;!channel&gt;" in chat, "it was told, as a text"
    for body in told:
        assert "https://evil.example" not in body
        assert "\\u001b" not in body


async def test_an_incident_that_nobody_knows_is_answered_and_nothing_comes_of_it(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        status, answer = await door.send(signing.pagerduty())
        assert (status, answer["taken"], answer["unknown"]) == (202, 0, 1)
        assert not await door.app.incidents.recent(1)


# --- refusals ----------------------------------------------------------------------------------------------------


async def test_refusals_name_their_kind_and_quote_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sent = signing.pagerduty(by="a-name-that-must-not-be-logged")
    old = signing.slack(at=NOW - timedelta(seconds=400))
    garbage = Sent("pagerduty", {"x-pagerduty-signature": f"v1={signing.hex_hmac(b'{')}"}, b"{")
    async with doors(tmp_path) as door:
        answers = {
            "flipped": await door.send(sent, body=sent.body.replace(b"Ada", b"Eve") + b" "),
            "stale": await door.send(old),
            "secret": await door.send(signing.pagerduty(secret="wrong")),
            "unsigned": await door.send(replace(sent, headers={})),
            "garbage": await door.send(garbage),
            "large": await door.send(sent, body=io.BytesIO(b"x" * (1024 * 1024 + 1))),
            "nobody": await door.send(replace(sent, sender="opsgenie")),
        }
    statuses = {name: (status, answer["code"]) for name, (status, answer) in answers.items()}
    assert statuses == {
        "flipped": (401, "bad_signature"),
        "stale": (401, "stale"),
        "secret": (401, "bad_signature"),
        "unsigned": (401, "unsigned"),
        "garbage": (400, "not_json"),
        "large": (413, "too_large"),
        "nobody": (404, "no_such_sender"),
    }
    said = caplog.text + json.dumps(list(answers.values()), default=str)
    assert "must-not-be-logged" not in said
    assert SECRET not in said


async def test_a_sender_that_is_not_configured_does_not_exist(tmp_path: Path) -> None:
    config = "inbound: {pagerduty: {secret: env:INBOUND}}\n"
    async with doors(tmp_path, config=config) as door:
        assert (await door.send(signing.slack()))[0] == 404
        assert (await door.send(signing.pagerduty()))[0] == 202


async def test_only_the_signature_counts_not_the_name_that_it_is_reached_by(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        assert (await door.send(signing.pagerduty(), host="aegis.example"))[0] == 202
        async with door.client.get(f"{door.address}/api/incidents", headers={"host": "aegis.example"}) as answer:
            assert answer.status == 403


# --- alerts of others --------------------------------------------------------------------------------------------


async def test_an_alert_becomes_one_incident_that_resolves_by_itself(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        fires = signing.alertmanager(signing.alert(zone="a"))
        await door.send(fires)
        await door.send(fires)
        await door.app.finish(wait_ms=0)
        (incident,) = await door.app.incidents.recent(10)
        assert (incident.severity, incident.status, incident.count) == (Severity.CRITICAL, Status.OPEN, 1)
        assert "HighErrorRate on web-1" in incident.title
        assert incident.detections[0].evidence["summary"] == "5xx above 5 %"

        await door.clock.advance(120_000)
        await door.send(signing.alertmanager(signing.alert("resolved", at=door.clock.now(), zone="a")))
        await door.app.finish(wait_ms=0)
        (incident,) = await door.app.incidents.recent(10)
        assert (incident.status, incident.status_via) == (Status.RESOLVED, "alertmanager")
        assert '"event_action":"resolve"' in door.told("pagerduty")[-1].body


async def test_one_alert_that_is_over_does_not_resolve_what_another_one_still_says(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        first, second = signing.alert(zone="a"), signing.alert(zone="b")
        await door.send(signing.alertmanager(first, second))
        await door.app.finish(wait_ms=0)
        (incident,) = await door.app.incidents.recent(10)  # they share a host
        await door.clock.advance(60_000)
        over = {"status": "resolved", "endsAt": signing.stamp(door.clock.now())}
        await door.send(signing.alertmanager(first | over))
        await door.app.finish(wait_ms=0)
        half = await door.app.desk.get(incident.id)
        await door.send(signing.alertmanager(second | over))
        await door.app.finish(wait_ms=0)
        whole = await door.app.desk.get(incident.id)

    assert half is not None
    assert whole is not None
    assert (half.status, whole.status) == (Status.OPEN, Status.RESOLVED)
    assert [entry.kind for entry in half.timeline].count("note") == 1


async def test_an_alert_never_resolves_an_incident_that_holds_an_attack(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        incident = await door.paged(LOGIN)
        alert = signing.alert(instance="bastion-1:9100")
        await door.send(signing.alertmanager(alert))
        await door.app.finish(wait_ms=0)
        joined = await door.app.desk.get(incident.id)
        await door.clock.advance(60_000)
        over = {"status": "resolved", "endsAt": signing.stamp(door.clock.now())}
        await door.send(signing.alertmanager(alert | over))
        await door.app.finish(wait_ms=0)
        stands = await door.app.desk.get(incident.id)

    assert joined is not None
    assert stands is not None
    assert "alert" in {observable.kind for observable in joined.observables}
    assert stands.status is Status.OPEN


async def test_an_alert_that_was_over_before_it_arrived_wakes_nobody(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        fires, over = signing.alert(zone="a"), signing.alert("resolved", zone="a")
        await door.send(signing.alertmanager(over))
        await door.send(signing.alertmanager(fires))
        await door.app.finish(wait_ms=0)
        assert not await door.app.incidents.recent(10)


async def test_an_alert_that_fires_again_reopens_its_incident(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        alert = signing.alert(zone="a")
        await door.send(signing.alertmanager(alert))
        await door.app.finish(wait_ms=0)
        await door.clock.advance(60_000)
        over = {"status": "resolved", "endsAt": signing.stamp(door.clock.now())}
        await door.send(signing.alertmanager(alert | over))
        await door.app.finish(wait_ms=0)
        await door.clock.advance(60_000)
        await door.send(signing.alertmanager(alert | {"startsAt": signing.stamp(door.clock.now())}))
        await door.app.finish(wait_ms=0)
        (incident,) = await door.app.incidents.recent(10)

    assert (incident.status, incident.count) == (Status.OPEN, 2)


@pytest.mark.parametrize(
    ("sent", "severity", "title"),
    [
        (signing.grafana(), Severity.CRITICAL, "HighErrorRate on web-1"),
        (signing.datadog(), Severity.CRITICAL, "CPU is high"),
        (signing.sentry(), Severity.CRITICAL, "ValueError: boom"),
        (signing.github(), Severity.CRITICAL, "still works"),
        (signing.github_partner(), Severity.CRITICAL, "still works"),
        (signing.standard(), Severity.HIGH, "Disk full on db-1"),
        (signing.sns('{"AlarmName": "cpu", "NewStateValue": "ALARM"}'), Severity.HIGH, "cpu"),
        (signing.sns("something happened", Subject="Backup failed"), Severity.MEDIUM, "Backup failed"),
    ],
    ids=lambda value: value.sender if isinstance(value, Sent) else "",
)
async def test_alerts_of_each_sender_become_incidents(
    tmp_path: Path, sent: Sent, severity: Severity, title: str
) -> None:
    async with doors(tmp_path) as door:
        assert (await door.send(sent))[0] == 200
        await door.app.work_events()
        (incident,) = await door.app.incidents.recent(10)
    assert incident.severity is severity
    assert title in incident.title


async def test_a_budget_notice_of_aws_becomes_an_incident_about_money(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        assert (await door.send(signing.sns()))[0] == 200
        assert (await door.send(signing.sns()))[1]["duplicate"] is True
        (incident,) = await door.app.incidents.recent(10)
        assert (incident.kind, incident.severity, incident.entity.value) == ("spend", Severity.HIGH, "monthly-cost")
        assert incident.detections[0].evidence["spent"] == "$42.17"
        assert door.asked == [signing.CERTIFICATE_URL], "the certificate is fetched once"


async def test_a_subscription_is_confirmed_once_and_only_for_an_allowed_topic(tmp_path: Path) -> None:
    url = "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336"
    sent = signing.sns("You have chosen", kind="SubscriptionConfirmation", SubscribeURL=url, Token="2336")
    async with doors(tmp_path) as door:
        await door.send(sent)
        other = signing.sns(
            "You have chosen",
            kind="SubscriptionConfirmation",
            topic=f"{signing.TOPIC}x",
            SubscribeURL=url,
            Token="2336",
        )
        status, answer = await door.send(other)
        assert (status, answer["code"]) == (401, "unknown_topic")
        assert door.asked == [signing.CERTIFICATE_URL, url]


async def test_a_standard_webhook_may_also_speak_about_an_incident(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        incident = await door.paged()
        sent = signing.standard("incident.assign", incident=incident.id, by="chatops", text="Bob")
        assert (await door.send(sent))[0] == 200
        stands = await door.app.desk.get(incident.id)
    assert stands is not None
    assert stands.assignee == "Bob"
