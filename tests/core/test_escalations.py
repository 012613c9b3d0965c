"""Chains and contacts: whoever is named is told, in their peace as they wish, and every step comes once."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.incidents.callout import CONTACTS, CRITICAL, LEAD, ROSTER
from tests.incidents.stage import detection, incident

from aegis.core.contacts import CHANNELS, Channel, Contact, last_word, reach
from aegis.core.escalations import Chain, Roster, Step, begins, fired, halted, simulate
from aegis.core.incidents import Severity, Status
from aegis.core.matching import labels_of
from aegis.core.rotations import Rotation
from aegis.core.schedules import parse
from aegis.core.standing import Told

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NIGHT = datetime(2026, 11, 21, 23, tzinfo=UTC)
ASLEEP = replace(LEAD, quiet=(parse("daily 22:00-07:00"),), stand_in="boss")
ABOUT = incident(detection(severity=Severity.HIGH))
LABELS = labels_of(ABOUT)

by = st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True)
contacts = st.builds(
    Contact,
    name=st.just("x"),
    addresses=st.dictionaries(st.sampled_from(CHANNELS), st.just("+15550100"), min_size=1),
    quiet=st.sampled_from([(), (parse("daily 22:00-07:00"),)]),
    quiet_for_critical=st.booleans(),
)


@given(contacts, by, st.sampled_from(list(Severity)), st.sampled_from([NOON, NIGHT]))
def test_who_can_be_reached_is_reached_unless_it_is_quiet(
    contact: Contact, channels: list[Channel], severity: Severity, now: datetime
) -> None:
    found = reach(contact, channels, severity, now)
    assert set(found.channels) <= set(contact.addresses)
    if not contact.is_quiet(severity, now):
        assert found.channels
        assert set(channels) & set(contact.addresses) <= set(found.channels)
    elif found.channels:
        assert found.channels == ("email",) or set(found.channels).isdisjoint({"sms", "phone"})


def test_in_quiet_hours_mail_comes_and_the_stand_in_is_woken() -> None:
    roster = replace(ROSTER, contacts={**CONTACTS, "lead": ASLEEP})
    step = Step(to=("lead",), by=("sms",), wait=timedelta(0))
    at_night = roster.rung(step, LABELS, Severity.HIGH, NIGHT)
    assert at_night.told == (Told("lead", "email"), Told("boss", "sms"))
    assert at_night.remarks == ("lead: quiet hours, boss instead",)
    assert roster.rung(step, LABELS, Severity.CRITICAL, NIGHT).told == (Told("lead", "sms"),)
    assert roster.rung(step, LABELS, Severity.HIGH, NOON).told == (Told("lead", "sms"),)


def test_in_quiet_hours_the_end_comes_in_writing_but_a_pager_is_always_closed() -> None:
    sleeper = replace(ASLEEP, addresses={"email": "a@b", "pagerduty": "env:X", "sms": "+1", "phone": "+1"})
    heard: list[Channel] = ["phone", "pagerduty"]
    assert last_word(sleeper, heard, Severity.HIGH, NIGHT) == ("email", "pagerduty")
    assert last_word(sleeper, heard, Severity.HIGH, NOON) == ("pagerduty", "sms")
    assert last_word(sleeper, heard, Severity.CRITICAL, NIGHT) == ("pagerduty", "sms")
    assert last_word(sleeper, heard, Severity.HIGH, NOON, rings=False) == ("pagerduty",)
    assert last_word(sleeper, ["sms"], Severity.HIGH, NOON, usable=("email",)) == ()


def test_who_has_no_such_channel_is_told_by_another() -> None:
    step = Step(to=("manager",), by=("email",), wait=timedelta(0))
    assert ROSTER.rung(step, LABELS, Severity.HIGH, NOON).told == (Told("boss", "sms"),)


def test_a_channel_that_aegis_cannot_use_is_left_out() -> None:
    roster = replace(ROSTER, usable=("email",))
    step = Step(to=("everyone",), by=("phone",), wait=timedelta(0))
    rung = roster.rung(step, LABELS, Severity.HIGH, NOON)
    assert rung.told == (Told("lead", "email"), Told("cto", "email"))
    assert "boss: has no address that can be used" in rung.remarks


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("everyone", ("lead", "boss", "cto")),
        ("primary", ("lead", "boss")),
        ("secondary", ("cto",)),
        ("manager", ("boss",)),
        ("cto", ("cto",)),
        ("oncall", ("boss",)),
        ("oncall:soc:secondary", ("cto",)),
        ("oncall:nowhere", ()),
        ("team", ()),
        ("nobody", ()),
    ],
)
def test_a_word_of_a_step_names_people(word: str, names: tuple[str, ...]) -> None:
    soc = Rotation(name="soc", contacts=("boss", "cto"), begins=date(2026, 11, 16))
    assert replace(ROSTER, rotations={"soc": soc}).named(word, LABELS, NOON) == names


def test_a_role_means_those_of_the_incidents_team_where_there_are_some() -> None:
    ours = replace(LEAD, name="ours", teams=frozenset({"payments"}))
    roster = Roster(contacts={"theirs": replace(LEAD, name="theirs"), "ours": ours})
    assert roster.named("lead", {"team": frozenset({"payments"})}, NOON) == ("ours",)
    assert roster.named("lead", {"team": frozenset()}, NOON) == ("theirs", "ours")


def test_a_step_that_reaches_nobody_is_followed_at_once() -> None:
    lost = Step(to=("nobody",), by=("email",), wait=timedelta(minutes=30))
    chain = Chain(name="lost", when=CRITICAL.when, steps=(lost, CRITICAL.steps[0]))
    planned = simulate(ROSTER, chain, LABELS, Severity.HIGH, NOON)
    assert [(one.at, len(one.rung.told)) for one in planned] == [(NOON, 0), (NOON, 1)]


chains = st.builds(
    Chain,
    name=st.just("critical"),
    when=st.just(CRITICAL.when),
    steps=st.lists(
        st.builds(
            Step,
            to=st.sampled_from([("lead",), ("nobody",), ("everyone",)]),
            by=by.map(tuple),
            wait=st.integers(0, 120).map(lambda m: timedelta(minutes=m)),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
    again=st.integers(0, 3),
)


@given(chains)
def test_if_nobody_acts_every_step_is_fired_once_in_order_and_then_it_is_done(chain: Chain) -> None:
    planned = simulate(ROSTER, chain, LABELS, Severity.HIGH, NOON)
    assert [one.number for one in planned] == list(range(1, len(chain.steps) * (1 + chain.again) + 1))
    about, now, number = ABOUT, NOON, 1
    for one in planned:
        assert now == one.at
        state, rung = fired(ROSTER, chain, number, about, LABELS, now)
        assert rung == one.rung
        about, number = replace(about, escalation=state), number + 1
        now = state.next_at or now
    assert about.escalation is not None
    assert not about.escalation.running
    assert halted(about, "acknowledged") is about


def test_only_what_is_new_open_again_free_again_or_raised_begins_a_chain() -> None:
    state, _ = fired(ROSTER, CRITICAL, 1, ABOUT, LABELS, NOON)
    there = replace(ABOUT, escalation=state)
    assert begins(ROSTER, ABOUT, "opened", LABELS, NOON) is CRITICAL
    assert begins(ROSTER, there, "updated", LABELS, NOON) is None
    assert begins(ROSTER, there, "raised", LABELS, NOON) is None, "the same chain goes on"
    assert begins(ROSTER, halted(there, "held"), "updated", LABELS, NOON) is CRITICAL
    assert begins(ROSTER, halted(there, "acknowledged"), "updated", LABELS, NOON) is None
    assert begins(ROSTER, replace(there, status=Status.ACKNOWLEDGED), "raised", LABELS, NOON) is None
    other = replace(ROSTER, chains=(replace(CRITICAL, name="emergency"),))
    assert begins(other, there, "raised", LABELS, NOON) is other.chains[0]
