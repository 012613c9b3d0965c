"""Claims about `aegis outbox`: what a service refused for good can be sent again or given up."""

from pathlib import Path
from typing import Any

from tests.cli.outside import outside
from tests.cli.running import Place, data, place
from tests.cli.story import with_incident


def _outbox(here: Place) -> tuple[Any, list[str]]:
    listed = data(here.run("outbox", "list", "--json"))
    assert listed["schema"] == "aegis.outbox/1"
    return listed["counts"], [letter["id"] for letter in listed["dead"]]


def test_a_dead_letter_is_replayed_and_arrives_once(tmp_path: Path) -> None:
    here = place(tmp_path)
    with outside() as services:
        services.configure(here)
        services.fault("pagerduty", "401")
        known = with_incident(here)
        counts, dead = _outbox(here)
        assert dead
        assert all(one.startswith(known) for one in dead)
        assert "dead: " in here.run("outbox", "list").stdout

        services.fault("pagerduty", "ok")
        assert here.run("outbox", "replay", dead[0]).exit_code == 0
        for older in dead[1:]:
            overtaken = here.run("outbox", "replay", older)
            assert (overtaken.exit_code, "a newer message" in overtaken.stderr) == (4, True)
        with_incident(here)  # the same file again: no new event, but what waits is sent

        counts, dead = _outbox(here)
        assert dead == []
        assert set(counts["pagerduty"]) <= {"done", "superseded"}
        assert len(services.world.documents("pagerduty", "incident")) == 1


def test_a_dead_letter_that_is_dropped_is_never_sent(tmp_path: Path) -> None:
    here = place(tmp_path)
    with outside() as services:
        services.configure(here)
        services.fault("pagerduty", "401")
        with_incident(here)
        services.fault("pagerduty", "ok")
        _, dead = _outbox(here)

        assert [here.run("outbox", "drop", one).exit_code for one in dead] == [0] * len(dead)
        with_incident(here)

        assert _outbox(here)[1] == []
        assert services.world.documents("pagerduty", "incident") == []


def test_what_is_no_dead_letter_has_its_own_exit_code(tmp_path: Path) -> None:
    here = place(tmp_path)
    with_incident(here)

    for verb in ("replay", "drop"):
        assert here.run("outbox", verb, "inc_none:slack:1").exit_code == 4


def test_all_of_one_service_is_replayed_after_its_outage(tmp_path: Path) -> None:
    here = place(tmp_path)
    with outside() as services:
        services.configure(here)
        services.fault("pagerduty", "401")
        with_incident(here)
        services.fault("pagerduty", "ok")
        assert _outbox(here)[1]

        again = here.run("outbox", "replay", "--service", "pagerduty")
        with_incident(here)

        assert (again.exit_code, "sent again" in again.stderr) == (0, True)
        assert _outbox(here)[1] == []
        assert here.run("outbox", "replay", "--service", "pagerduty").exit_code == 4
        assert here.run("outbox", "replay").exit_code == 2
