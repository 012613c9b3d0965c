"""`aegis status` and `aegis top`, and that docs/dashboard.md is true: its settings hold, its pictures stand there."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from tests.cli.running import data, place

from aegis.cli.status import lines, screen

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "dashboard.md").read_text(encoding="utf-8")
FOUND = {
    "schema": "aegis.status/1",
    "version": "1",
    "at": "2026-11-21T00:00:00Z",
    "running": True,
    "health": "ready",
    "failing": {},
    "stopped": [{"scope": "team build", "reason": "a loop", "grade": "G1", "percent": 0}],
    "budgets": [
        {"name": "everything", "window": "day", "settled": "$1", "limit": "$2", "state": "calm", "tone": "good"}
    ],
    "services": [
        {
            "name": "slack",
            "state": "ok",
            "tone": "good",
            "done": 3,
            "waiting": 0,
            "gates": {"breaker": "closed", "throttle": "none", "room": 1, "rate": 4},
        }
    ],
    "queue": 0,
    "deliveries_waiting": 2,
    "incidents_open": 1,
    "incidents_urgent": 1,
    "incidents": [{"id": "inc_1", "severity": "HIGH", "status": "open", "title": "[bold]x[/bold]", "count": 3}],
}


@pytest.mark.parametrize("command", ["status", "top"])
def test_where_no_aegis_runs_the_store_is_read_and_top_prints_once(tmp_path: Path, command: str) -> None:
    here = place(tmp_path)
    here.write("budgets: {everything: {scope: all, daily: {emergency: 5.00}}}")
    assert here.run("key", "create", "ci-bot").exit_code == 0, "makes the store"
    assert here.run("stop", "--scope", "key=ci-bot", "--reason", "stolen").exit_code == 0
    result = here.run(command)
    assert result.exit_code == 0, result.output
    for words in ("not running", "STOPPED: key ci-bot", "0 open", "everything"):
        assert words in result.stdout


def test_a_program_gets_the_same_as_one_object(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write("{}")
    assert here.run("key", "create", "ci-bot").exit_code == 0
    found = data(here.run("status", "--json"))
    assert (next(iter(found)), found["schema"], found["running"]) == ("schema", "aegis.status/1", False)


def test_what_is_stopped_and_who_needs_somebody_is_on_the_first_lines() -> None:
    told = lines(FOUND)
    assert told[1] == "calls      STOPPED: team build (G1: a loop)"
    assert told[2] == "incidents  1 open, 1 of them HIGH or CRITICAL"
    assert any("breaker closed, 1 of 4 free" in line for line in told)
    assert told[-1].endswith("[bold]x[/bold]  inc_1"), "titles are text"


def test_the_live_screen_says_the_same_and_reads_no_markup_in_titles() -> None:
    console = Console(width=120, record=True, file=io.StringIO(), force_terminal=False)
    console.print(screen(FOUND))
    shown = console.export_text()
    for words in ("STOPPED: team build", "[bold]x[/bold]", "everything", "slack"):
        assert words in shown


def test_every_picture_of_the_page_stands_there() -> None:
    pictures = re.findall(r"\]\((pictures/[^)]+)\)", TEXT)
    assert len(pictures) >= 12
    for picture in pictures:
        assert (ROOT / "docs" / picture).is_file(), picture


@pytest.mark.parametrize("number", [0, 1])
def test_the_settings_that_are_shown_hold(tmp_path: Path, number: int) -> None:
    shown = re.findall(r"```yaml\n(.+?)```", TEXT, re.DOTALL)[number]
    here = place(tmp_path)
    here.write(shown)
    result = here.run("config", "show", "--json")
    assert result.exit_code == 0, result.output
    assert "roles" in json.dumps(data(result))
