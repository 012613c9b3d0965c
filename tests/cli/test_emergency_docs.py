"""docs/emergency.md is true: every command that it shows runs, in its order, and its tables name what there is."""

import re
import shlex
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
