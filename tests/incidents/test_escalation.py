"""From the page to the conference: each step once, none after somebody acts, none during a silence."""

from datetime import timedelta

import pytest
from tests.incidents.callout import NOON, Callout, matchers, silence
from tests.incidents.stage import detection

from aegis.core.incidents import Observable, Severity, Status
from aegis.core.notifications import Receipt
from aegis.core.silences import Inhibition
from aegis.core.telemetry import HeldBack

pytestmark = pytest.mark.anyio


async def test_nobody_acts_and_the_third_step_opens_the_conference() -> None:
    there = Callout()
    known = await there.opens()
    await there.send()
    assert (there.told("email"), there.told("sms")) == (["lead@example.com"], [])
    await there.after(14)
    await there.send()
    assert there.told("sms") == []
    await there.after(1)
    await there.send()
    assert there.told("sms") == ["+15550102"]
    await there.after(15)
    await there.send()
    assert sorted(there.told("email")) == ["cto@example.com", "lead@example.com", "lead@example.com"]
    assert sorted(there.told("phone")) == ["+15550102", "+15550104"]
    assert {bridge for _, _, bridge in there.messengers["phone"].told} == {"+15550199"}
    assert there.messengers["email"].told[0][2] == ""
    await there.after(120)
    await there.send()
    assert len(there.told("phone")) == 2
    texts = [entry.text for entry in (await there.incident(known)).timeline if entry.kind == "escalated"]
    assert texts[:2] == [
        "Escalation critical, step 1: lead by email",
        "Escalation critical, step 2: boss by sms",
    ]


async def test_channels_hear_of_the_incident_once_and_not_of_every_step() -> None:
    there = Callout()
    known = await there.opens()
    await there.after(31)
    assert [change for _, change, _ in there.queued(known, alone=False)] == ["opened"] * 3


@pytest.mark.parametrize("verb", ["acknowledge", "resolve"])
async def test_whoever_acts_ends_it_and_what_has_not_left_is_taken_back(verb: str) -> None:
    there = Callout()
    known = await there.opens()
    await there.send()
    await there.after(15)  # the text to the manager waits in its lane
    await there.desk.say(known, verb, by="anna", via="slack")  # type: ignore[arg-type]
    await there.after(60)
    await there.send()
    assert there.told("sms") == []
    alone = there.queued(known, alone=True)
    assert ("sms:boss", "escalated", "superseded") in alone
    assert [change for to, change, _ in alone if to == "email:lead"][-1] == f"{verb}d"
    assert not (await there.incident(known)).escalation.running  # type: ignore[union-attr]


async def test_open_again_it_begins_anew() -> None:
    there = Callout()
    known = await there.opens()
    await there.after(15)
    await there.desk.resolve(known, "anna")
    await there.desk.reopen(known, "anna")
    state = (await there.incident(known)).escalation
    assert state is not None
    assert (state.step, state.running) == (1, True)


async def test_after_a_restart_it_goes_on_where_it_stood_and_fires_no_step_twice() -> None:
    there = Callout()
    known = await there.opens()
    await there.after(15)
    again = Callout(there.store, now=there.clock.now())
    await again.record.restore()
    await again.after(1)
    assert len([1 for to, _, _ in again.queued(known, alone=True) if to == "sms:boss"]) == 1
    await again.after(15)
    assert [to for to, _, _ in again.queued(known, alone=True) if to == "phone:cto"] == ["phone:cto"]


async def test_during_a_silence_nobody_is_told_but_the_record_and_on_its_end_everybody_once() -> None:
    there = Callout()
    there.book.known["a"] = silence("host=web-*")
    await there.watch.turn()
    known = await there.opens(severity=Severity.CRITICAL)
    await there.record.fold(
        [detection("other-rule", severity=Severity.CRITICAL, entity=Observable("host", "web-1"), at=1)]
    )
    await there.after(45)
    assert there.queued(known, alone=True) == []
    assert {service for service, _, _ in there.queued(known, alone=False)} == {"splunk"}
    held = await there.incident(known)
    assert held.held is not None
    (said,) = [entry.text for entry in held.timeline if entry.kind == "held"]
    assert said == "Held back by silence sil_host=web-* of ops (deploy) until 2026-11-21 13:00 UTC"
    await there.after(16)
    await there.send()
    assert there.told("email") == ["lead@example.com"]
    assert [one.change for notifier in there.notifiers[:2] for one in notifier.taken] == ["opened", "opened"]
    freed = await there.incident(known)
    assert freed.held is None
    assert any(entry.kind == "released" for entry in freed.timeline)
    await there.after(15)
    await there.send()
    assert there.told("sms") == ["+15550102"]


async def test_a_silence_that_begins_in_the_middle_stops_the_escalation_and_takes_back_what_waits() -> None:
    there = Callout()
    await there.opens()
    await there.send()
    await there.after(15)
    there.book.known["a"] = silence("host=web-*", minutes=40)
    await there.after(1)
    await there.send()
    assert there.told("sms") == []
    await there.after(20)
    assert there.told("sms") == []
    await there.after(10)  # over: it begins anew
    await there.send()
    assert there.told("email") == ["lead@example.com"] * 2
    assert [one.change for one in there.notifiers[0].taken] == ["opened"]


async def test_what_had_not_left_when_a_silence_began_is_told_when_it_ends() -> None:
    there = Callout()
    known = await there.opens()
    there.book.known["a"] = silence("host=web-*", minutes=40)
    await there.after(1)
    await there.send()
    assert [notifier.name for notifier in there.notifiers if notifier.taken] == ["splunk"]
    assert there.told("email") == []
    assert (await there.incident(known)).held is not None
    await there.after(40)
    await there.send()
    assert [[one.change for one in notifier.taken] for notifier in there.notifiers[:2]] == [["opened"], ["opened"]]
    assert there.told("email") == ["lead@example.com"]


async def test_what_failed_while_a_silence_began_is_held_too_and_is_no_first_word_where_somebody_was_told() -> None:
    there = Callout()
    known = await there.opens()
    outbox, now = there.store.outbox, there.clock.now()
    (slack,) = await outbox.claim("slack", limit=1, now=now, lease_ms=60_000)
    (page,) = await outbox.claim("pagerduty", limit=1, now=now, lease_ms=60_000)
    there.book.known["a"] = silence("host=web-*", minutes=40)
    there.clock.pass_ms(1_000)
    await there.watch.turn()
    await outbox.done(slack, Receipt(), now=now)
    await outbox.retry(page, due_at=there.clock.now(), error="answered 503")
    await there.after(1)
    await there.send()
    assert there.notifiers[1].taken == []
    held = (await there.incident(known)).held
    assert held is not None
    await there.desk.resolve(known, "anna")
    assert ("slack", "resolved", "ready") in there.queued(known, alone=False)


async def test_what_a_silence_does_not_cover_leaves() -> None:
    there = Callout()
    known = await there.opens()
    there.book.known["a"] = silence("host=db-*")
    await there.after(1)
    await there.send()
    assert [len(notifier.taken) for notifier in there.notifiers] == [1, 1, 1]
    assert (await there.incident(known)).version == 1


async def test_what_was_resolved_in_a_silence_is_told_to_nobody_who_never_heard_of_it() -> None:
    there = Callout()
    there.book.known["a"] = silence("severity=*")
    await there.watch.turn()
    known = await there.opens()
    await there.desk.resolve(known, "anna")
    await there.after(90)
    assert {service for service, _, _ in there.queued(known, alone=False)} == {"splunk"}
    assert there.queued(known, alone=True) == []


async def test_what_was_told_before_a_silence_is_closed_in_it() -> None:
    there = Callout()
    known = await there.opens()
    await there.send()
    there.book.known["a"] = silence("severity=*")
    await there.after(1)
    await there.desk.resolve(known, "anna")
    assert [change for service, change, _ in there.queued(known, alone=False) if service == "pagerduty"][
        -1
    ] == "resolved"


async def test_critical_passes_only_where_the_silence_says_so() -> None:
    for passes in (False, True):
        there = Callout()
        there.book.known["a"] = silence("host=web-1", critical_passes=passes)
        await there.watch.turn()
        known = await there.opens(severity=Severity.CRITICAL)
        assert bool(there.queued(known, alone=True)) is passes


async def test_a_raise_out_of_a_silence_is_told_as_something_new() -> None:
    there = Callout()
    there.book.known["a"] = silence("severity=MEDIUM,HIGH")
    await there.watch.turn()
    known = await there.opens()
    web = Observable("host", "web-1")
    await there.record.fold([detection("ransom", severity=Severity.CRITICAL, entity=web, at=1)])
    assert ("pagerduty", "opened", "ready") in there.queued(known, alone=False)
    assert there.queued(known, alone=True)


async def test_what_a_silence_keeps_back_is_counted() -> None:
    there = Callout()
    there.book.known["a"] = silence("host=web-*")
    await there.watch.turn()
    known = await there.opens()
    assert there.store.incidents.held == {"sil_host=web-*": 1}
    assert [one.incident_id for one in there.seen.happened if isinstance(one, HeldBack)] == [known]


OUTAGE = Inhibition(
    name="outage", source=matchers("rule=host-down"), target=matchers("rule=service-*"), equal=("host",)
)


async def test_what_has_nothing_in_common_with_an_outage_is_told() -> None:
    there = Callout(inhibitions=[OUTAGE])
    await there.opens(rule="host-down", host="db-1")
    known = await there.opens(rule="service-slow", host="web-9")
    assert (await there.incident(known)).held is None
    assert there.queued(known, alone=True)


async def test_dependent_incidents_wait_and_are_told_when_the_cause_is_gone() -> None:
    rule = Inhibition(name="outage", source=matchers("rule=host-down"), target=matchers("rule=service-*"))
    there = Callout(inhibitions=[rule])
    down = await there.opens(rule="host-down", host="db-1")
    known = await there.opens(rule="service-slow", host="web-9")
    held = await there.incident(known)
    assert held.held is not None
    assert held.held.by == down
    assert there.queued(known, alone=True) == []
    await there.desk.resolve(down, "anna")
    await there.after(1)
    assert (await there.incident(known)).held is None
    assert ("pagerduty", "opened", "ready") in there.queued(known, alone=False)


async def test_a_milder_incident_never_holds_back_a_worse_one() -> None:
    rule = Inhibition(name="outage", source=matchers("rule=host-down"), target=matchers("rule=service-*"))
    there = Callout(inhibitions=[rule])
    await there.opens(rule="host-down", host="db-1", severity=Severity.LOW)
    known = await there.opens(rule="service-slow", host="web-9", severity=Severity.HIGH)
    assert (await there.incident(known)).held is None


async def test_retention_may_delete_what_was_waited_for() -> None:
    there = Callout()
    known = await there.opens()
    del there.store.incidents.known[known]
    there.record._grouping.restore([])
    await there.after(20)
    assert there.telling.due(NOON + timedelta(days=1)) == ()


async def test_an_incident_of_no_chain_wakes_nobody() -> None:
    there = Callout()
    known = await there.opens(severity=Severity.LOW)
    assert (await there.incident(known)).escalation is None
    assert (await there.incident(known)).status is Status.OPEN


async def test_whoever_was_told_hears_the_end_once_by_the_channel_that_told_them() -> None:
    there = Callout()
    known = await there.opens()
    for _ in range(31):
        await there.after(1)
        await there.send()
    assert there.told("phone") == ["+15550102", "+15550104"]
    before = {name: len(one.told) for name, one in there.messengers.items()}
    await there.desk.acknowledge(known, "anna", "slack")
    await there.send()
    heard = {name: sorted(to for to, _, _ in one.told[before[name] :]) for name, one in there.messengers.items()}
    assert heard == {
        "email": ["cto@example.com", "lead@example.com"],
        "sms": ["+15550101", "+15550102"],
        "phone": [],
    }, "whoever was called gets a text or a mail, not another call"
    await there.desk.resolve(known, "anna", "slack")
    await there.send()
    again = {name: len(one.told) - before[name] for name, one in there.messengers.items()}
    assert again == {"email": 4, "sms": 2, "phone": 0}, "nothing rings a second time to say that it is over"


async def test_who_never_heard_of_it_does_not_hear_that_it_is_over() -> None:
    there = Callout()
    known = await there.opens()
    await there.after(15)  # the mail to the lead and the text to the manager wait in their lanes
    await there.desk.resolve(known, "anna", "slack")
    await there.send()
    assert {name: one.told for name, one in there.messengers.items()} == {"email": [], "sms": [], "phone": []}


async def test_open_again_whoever_is_told_again_hears_the_end_again() -> None:
    there = Callout()
    known = await there.opens()
    for verb in ("acknowledge", "reopen", "resolve"):
        await there.send()
        await there.desk.say(known, verb, by="anna", via="slack")
    await there.send()
    assert [said.change for _, said, _ in there.messengers["email"].told] == [
        *("opened", "acknowledged", "reopened", "resolved"),
    ]
