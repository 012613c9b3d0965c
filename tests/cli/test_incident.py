"""Claims about `aegis incident`."""

from pathlib import Path

import pytest
from tests.cli.running import data, place
from tests.cli.story import listed, with_incident


def test_before_the_first_event_it_says_how_to_begin(tmp_path: Path) -> None:
    result = place(tmp_path).run("incident", "list")

    assert (result.exit_code, result.stdout) == (4, "")
    assert "aegis event import" in result.stderr


def test_an_incident_is_listed_and_shown_to_people_and_programs(tmp_path: Path) -> None:
    here = place(tmp_path)
    known = with_incident(here)

    (row,) = listed(here)
    assert (row["id"], row["severity"], row["status"]) == (known, "HIGH", "open")
    assert known in here.run("incident", "list").stdout
    document = data(here.run("incident", "show", known, "--json"))
    assert (document["schema"], document["id"]) == ("aegis.incident/1", known)
    assert "203.0.113.66" in here.run("incident", "show", known).stdout


def test_an_incident_is_acknowledged_resolved_and_reopened(tmp_path: Path) -> None:
    here = place(tmp_path)
    known = with_incident(here)

    for change, status in (("acknowledge", "acknowledged"), ("resolve", "resolved"), ("reopen", "open")):
        answer = data(here.run("incident", change, known, "--json"))
        assert (answer["schema"], answer["status"]) == ("aegis.incident-changed/1", status)
        assert listed(here)[0]["status"] == status


def test_what_is_resolved_cannot_be_acknowledged(tmp_path: Path) -> None:
    here = place(tmp_path)
    known = with_incident(here)
    here.run("incident", "resolve", known)

    result = here.run("incident", "acknowledge", known)

    assert result.exit_code == 2
    assert "reopen it first" in result.stderr


def test_a_note_and_a_name_stand_on_the_incident_with_who_wrote_them(tmp_path: Path) -> None:
    here = place(tmp_path)
    known = with_incident(here)

    assert here.run("incident", "note", known, "the scanner is ours").stdout == f"{known}: noted\n"
    assert data(here.run("incident", "assign", known, "ben", "--json"))["assignee"] == "ben"
    assert here.run("incident", "ack", known, "--reason", "on it").exit_code == 0

    shown = here.run("incident", "show", known).stdout
    assert "the scanner is ours" in shown
    assert ": on it" in shown


@pytest.mark.parametrize("command", ["show", "acknowledge", "resolve", "reopen"])
def test_an_unknown_incident_has_its_own_exit_code(tmp_path: Path, command: str) -> None:
    here = place(tmp_path)
    with_incident(here)

    result = here.run("incident", command, "inc_none")

    assert (result.exit_code, result.stdout) == (4, "")
    assert "no incident" in result.stderr
