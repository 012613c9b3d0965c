"""Claims about `aegis silence`, `contact`, `oncall`, `escalate` and `route`."""

from pathlib import Path

import pytest
from tests.cli.running import Place, data, place
from tests.cli.story import with_incident

PEOPLE = """
connectors:
  email: {host: 127.0.0.1, port: 9, security: none, sender: aegis@example.com, to: [soc@example.com]}
contacts:
  lead: {title: Team Lead, email: lead@example.com, phone: +1-555-0101, roles: [lead], quiet: "daily 22:00-07:00"}
  boss: {email: boss@example.com, roles: [manager]}
rotations:
  soc: {contacts: [lead, boss], begins: 2026-01-05, at: "09:00", zone: Europe/Berlin}
routes:
  - {when: {tag: T1110, time: "mon-fri 09:00-17:00 Europe/Berlin"}, to: [email], continue: false}
  - {to: [email]}
"""


def peopled(folder: Path) -> Place:
    here = place(folder)
    here.write(PEOPLE)
    return here


def test_a_silence_is_added_listed_explained_and_ended(tmp_path: Path) -> None:
    here = place(tmp_path)
    known = with_incident(here)
    made = data(
        here.run("silence", "add", "severity=*", "--for", "2h", "--reason", "deploy", "--owner", "ops", "--json")
    )
    assert (made["schema"], made["state"], made["owner"]) == ("aegis.silence/1", "open", "ops")
    (listed,) = data(here.run("silence", "list", "--json"))["silences"]
    assert listed["id"] == made["id"]
    explained = data(here.run("silence", "explain", known, "--json"))
    assert [one["id"] for one in explained["silences"]] == [made["id"]]
    assert here.run("silence", "expire", made["id"]).exit_code == 0
    assert here.run("silence", "expire", made["id"]).exit_code == 4
    assert data(here.run("silence", "list", "--json"))["silences"] == []
    assert data(here.run("silence", "list", "--all", "--json"))["silences"][0]["state"] == "over"


def test_what_comes_in_a_silence_is_held_back_and_says_so(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.run("silence", "add", "severity=*", "--for", "2h", "--reason", "deploy", "--owner", "ops")
    known = with_incident(here)
    explained = data(here.run("silence", "explain", known, "--json"))
    assert explained["held"]["kind"] == "silence"
    assert "Held back by silence" in here.run("incident", "show", known).stdout
    (listed,) = data(here.run("silence", "list", "--json"))["silences"]
    assert listed["messages_held"] >= 1
    by_silence = data(here.run("silence", "explain", listed["id"], "--json"))
    assert [one["id"] for one in by_silence["incidents"]] == [known]


@pytest.mark.parametrize(
    "wrong",
    [
        ("severity=*", "--reason", "x"),
        ("severity=*", "--reason", "x", "--for", "2h", "--until", "2099-01-01T00:00Z"),
        ("severity=*", "--reason", "x", "--for", "31d"),
        ("severity=*", "--reason", " ", "--for", "2h"),
        ("colour=red", "--reason", "x", "--for", "2h"),
        ("severity=*", "--reason", "x", "--until", "2026-12-01T06:00"),
        ("severity=*", "--reason", "x", "--for", "2h", "--every", "always"),
    ],
)
def test_a_silence_without_what_it_needs_is_refused(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    result = place(tmp_path).run("silence", "add", *wrong)
    assert (result.exit_code, result.stdout) == (2, "")


def test_contacts_and_who_is_on_call_are_shown(tmp_path: Path) -> None:
    here = peopled(tmp_path)
    lead, boss = data(here.run("contact", "list", "--json"))["contacts"]
    assert (lead["channels"], lead["unusable"]) == (["email"], ["sms", "phone"]), "no connector carries the others"
    assert boss["roles"] == ["manager"]
    (there,) = data(here.run("oncall", "--at", "2026-01-12T09:00+01:00", "--json"))["oncall"]
    assert (there["primary"], there["secondary"], there["until"]) == ("boss", "lead", "2026-01-19T08:00:00.000Z")
    assert "boss, then lead" in here.run("oncall", "--at", "2026-01-12T09:00+01:00").stdout


def test_a_test_that_does_not_arrive_ends_with_its_own_code(tmp_path: Path) -> None:
    here = peopled(tmp_path)
    result = here.run("contact", "test", "lead", "--by", "email", "--json")
    assert (result.exit_code, data(result)["sent"][0]["ok"]) == (6, False)
    assert here.run("contact", "test", "nobody").exit_code == 4


def test_the_whole_chain_is_shown_and_nothing_is_sent(tmp_path: Path) -> None:
    here = peopled(tmp_path)
    shown = data(here.run("escalate", "simulate", "--severity", "HIGH", "--at", "2026-11-20T12:00Z", "--json"))
    assert shown["chain"] == "critical"
    assert [step["at"] for step in shown["steps"]] == [
        "2026-11-20T12:00:00.000Z",
        "2026-11-20T12:00:00.000Z",
        "2026-11-20T12:15:00.000Z",
    ]
    assert shown["steps"][0]["tell"] == [{"contact": "lead", "by": "email"}]
    assert not here.home.exists(), "nothing was opened"
    assert "+00:15  step 3: lead by email, boss by email" in here.run("escalate", "simulate").stdout


def test_without_contacts_it_says_that_nobody_is_told_alone(tmp_path: Path) -> None:
    assert "no contacts" in place(tmp_path).run("escalate", "simulate").stdout


def test_every_route_says_why_it_is_taken_or_not(tmp_path: Path) -> None:
    here = peopled(tmp_path)
    monday = ("--at", "2026-11-23T10:00+01:00")
    at_work = data(here.run("route", "explain", "--severity", "LOW", "--tag", "T1110.001", *monday, "--json"))
    told = {row["service"]: row["why"] for row in at_work["services"] if row["told"]}
    assert told == {"email": ["route 1"]}
    assert len(at_work["routes"]) == 1, "the second was not looked at"
    sunday = here.run(
        "route", "explain", "--severity", "LOW", "--tag", "T1110", "--at", "2026-11-22T10:00+01:00"
    ).stdout
    assert "route 1 to email: does not fit: it is not mon,tue,wed,thu,fri 09:00-17:00 Europe/Berlin" in sunday
    assert "route 2 to email: fits" in sunday


@pytest.mark.parametrize(
    "wrong",
    [
        "contacts: {a: {title: nobody can reach this one}}",
        "contacts: {a: {email: a@example.com, stand_in: b}}",
        "contacts: {everyone: {email: a@example.com}}",
        "contacts: {a: {email: not-an-address}}",
        "contacts: {a: {phone: 555-0101}}",
        "contacts: {a: {email: a@example.com, quiet: at night}}",
        "rotations: {soc: {contacts: [a], begins: 2026-01-05}}",
        "contacts: {a: {email: a@example.com}}\nescalation: {chains: [{name: x, steps: [{to: b, by: email}]}]}",
        "inhibitions: [{name: x, source: colour=red, target: host=y}]",
        "teams: {x: [nothing]}",
        "heartbeat: {url: https://example.com/secret}",
    ],
)
def test_people_who_cannot_be_told_are_a_wrong_configuration(tmp_path: Path, wrong: str) -> None:
    here = place(tmp_path)
    here.write(wrong + "\n")
    assert here.run("check").exit_code == 3
