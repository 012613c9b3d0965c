"""docs/emergency.md is true: every command that it shows runs, in its order, and its tables name what there is."""

import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.running import data, place

from aegis.core.stops import Grade

TEXT = (Path(__file__).parents[2] / "docs" / "emergency.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^\$ aegis (.+)$", TEXT, re.MULTILINE)
SETTINGS = re.search(r"```yaml\n(.+?)```", TEXT, re.DOTALL)[1]  # type: ignore[index]


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_every_command_that_is_shown_runs(tmp_path: Path, *, as_json: bool) -> None:
    here = place(tmp_path)
    here.write(SETTINGS)
    assert here.run("key", "create", "ci-bot").exit_code == 0
    plan = ""
    assert len(SHOWN) >= 10
    for shown in SHOWN:
        words = [plan if word == "PLAN" else word for word in shlex.split(shown, comments=True)]
        result = here.run(*words, *(["--json"] if as_json else []))
        assert result.exit_code == 0, f"aegis {shown}: {result.output}"
        assert result.stdout, f"aegis {shown} says something"
        assert not as_json or data(result)["schema"].startswith("aegis."), shown
        plan = found[0] if (found := re.findall(r"stp_\w{26}", result.stdout)) else plan


def test_every_grade_is_explained() -> None:
    assert re.findall(r"^\| (G\d) \|", TEXT, re.MULTILINE) == [grade.name for grade in Grade]


def test_a_dry_run_keeps_and_touches_nothing(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.run("key", "create", "ci-bot")
    shown = data(here.run("stop", "--grade", "2", "--all", "--reason", "x", "--dry-run", "--json"))

    assert shown["kept"] is False
    assert [target["name"] for target in shown["targets"]] == ["ci-bot"]
    assert here.run("stop", "apply", shown["id"]).exit_code == 4
    assert data(here.run("stop", "--json"))["stopped"] == []
    assert data(here.run("key", "list", "--json"))["keys"][0]["live"]


def test_a_plan_is_applied_once_and_only_by_recover_given_back(tmp_path: Path) -> None:
    here = place(tmp_path)
    made = data(here.run("stop", "--grade", "2", "--all", "--reason", "x", "--yes", "--json"))
    assert made["state"] == "stopped"

    assert "applied already" in here.run("stop", "apply", made["id"]).stderr
    assert "recover" in here.run("resume", "--all").stderr
    assert len(data(here.run("stop", "--json"))["stopped"]) == 1
    refused = here.run("recover", "--approver", "grace")
    assert refused.exit_code != 0
    assert "--root-cause" in refused.stderr


def test_a_plan_says_what_it_touches_who_has_to_agree_and_what_doing_nothing_costs(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.run("key", "create", "ci-bot")
    plan = ("stop", "--grade", "2", "--all", "--reason", "x", "--dry-run")
    shown = here.run(*plan, "--pool", "2.00", "--for", "2h").stdout
    for words in (
        "G2 on everything: no call is admitted, what processes were lent is taken back, virtual keys are held",
        "exempt   CRITICAL calls, up to $2.00",
        "doing nothing costs $0.00 an hour (what it came to in the last one)",
        "ci-bot  (pre-authorised)",
    ):
        assert words in shown, words
    assert data(here.run(*plan, "--json"))["doing_nothing_costs_usd"] == "0.00"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('UPDATE stops SET body = replace(body, \'"reason":"x"\', \'"reason":"y"\')', "is not what was planned"),
        ("UPDATE stops SET body = replace(body, '\"at_ms\":1', '\"at_ms\":2')", "is not what was planned"),
    ],
    ids=["reason", "time"],
)
def test_a_plan_that_was_changed_in_the_store_is_refused_and_nothing_is_stopped(
    tmp_path: Path, change: str, words: str
) -> None:
    here = place(tmp_path)
    made = data(here.run("stop", "--grade", "1", "--all", "--reason", "x", "--json"))
    with closing(sqlite3.connect(here.home / "aegis.db")) as connection, connection:
        assert connection.execute(change).rowcount == 1
    refused = here.run("stop", "apply", made["id"])
    assert (refused.exit_code, words in refused.stderr) == (2, True), refused.output
    assert data(here.run("stop", "--json"))["stopped"] == []


def test_only_what_failed_is_tried_again(tmp_path: Path) -> None:
    here = place(tmp_path)
    made = data(here.run("stop", "--grade", "1", "--all", "--reason", "x", "--yes", "--json"))
    refused = here.run("stop", "retry", made["id"])
    assert (refused.exit_code, "nothing of it waits to be tried again" in refused.stderr) == (2, True)
