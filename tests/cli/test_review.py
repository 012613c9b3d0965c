"""`aegis review` and `aegis drill` on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aegis.cli.main import root
from aegis.cli.session import Session


def run(home: Path, *arguments: str) -> tuple[int, str]:
    home.mkdir(mode=0o700, exist_ok=True)
    done = CliRunner().invoke(root, list(arguments), obj=Session(env={"AEGIS_HOME": str(home)}, folder=home))
    return done.exit_code, done.stdout


def rows(home: Path, *arguments: str) -> Any:
    code, out = run(home, *arguments, "--json")
    assert code == 0
    return json.loads(out)


def test_a_review_is_listed_done_and_added(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert len(rows(home, "review", "list")["reviews"]) == 11
    done = rows(home, "review", "done", "update-contact-information", "--by", "grace")
    assert (done["schema"], done["done_by"], done["overdue"]) == ("aegis.review/1", "grace", False)

    rows(home, "review", "add", "Look at the routes", "--every", "quarter", "--owner", "ada", "--due", "2026-01-15")
    [late] = rows(home, "review", "list", "--overdue")["reviews"]
    assert (late["id"], late["owner"], late["due"]) == ("look-at-the-routes", "ada", "2026-01-15")
    code, out = run(home, "doctor")
    assert code == 75 or "overdue since 2026-01-15: Look at the routes (ada)" in out
    assert "overdue since 2026-01-15: Look at the routes (ada)" in out

    assert rows(home, "review", "add", "Look at the routes", "--owner", "grace")["due"] == "2026-01-15"
    assert run(home, "review", "done", "no-such-thing")[0] == 4
    assert run(home, "review", "add", "x", "--due", "tomorrow")[0] == 2
    assert [one["what"] for one in rows(home, "audit", "log")["entries"] if one["what"].startswith("review.")]


@pytest.mark.parametrize("arguments", [("drill", "list"), ("drill", "list", "--json")], ids=["text", "json"])
def test_without_a_drill_the_list_is_empty(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, out = run(tmp_path / "home", *arguments)
    assert code == 0
    assert "aegis drill budget" in out or '"drills": []' in out


def test_a_drill_that_was_never_run_cannot_be_shown(tmp_path: Path) -> None:
    assert run(tmp_path / "home", "drill", "show", "budget")[0] == 4
