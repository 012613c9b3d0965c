"""Claims about `aegis key`."""

from pathlib import Path

import pytest
from tests.cli.running import Place, data, place

from aegis.core.virtualkeys import key_id


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return place(tmp_path)


def test_a_key_is_shown_once_and_never_kept(here: Place) -> None:
    made = here.run("key", "create", "ci-bot", "--daily", "5.00", "--rate", "60/minute")
    key = made.stdout.strip()
    assert made.exit_code == 0
    assert key_id(key.encode()) is not None
    listed = here.run("key", "list", "--json")
    (row,) = data(listed)["keys"]
    assert (row["name"], row["budgets"]) == ("ci-bot", [{"window": "day", "limit_usd": "5.00"}])
    kept = b"".join(path.read_bytes() for path in here.home.rglob("*") if path.is_file())
    assert key.encode() not in kept
    assert key not in listed.output + here.run("key", "limits", "ci-bot").output


def test_a_name_has_one_key_until_it_is_rotated_or_revoked(here: Place) -> None:
    here.run("key", "create", "bot", "--team", "build")
    again = here.run("key", "create", "bot")
    assert again.exit_code != 0
    assert "rotate or revoke" in again.stderr
    rotated = data(here.run("key", "rotate", "bot", "--grace", "1h", "--json"))
    assert rotated["team"] == "build"
    assert len(data(here.run("key", "list", "--json"))["keys"]) == 2
    assert data(here.run("key", "revoke", "bot", "--json"))["ended"] == 2
    assert data(here.run("key", "list", "--json"))["keys"] == []
    assert here.run("key", "revoke", "bot").exit_code != 0


def test_limits_change_what_is_named_and_nothing_else(here: Place) -> None:
    here.run("key", "create", "bot", "--daily", "5.00", "--model", "gpt-*")
    (row,) = data(here.run("key", "limits", "bot", "--monthly", "50", "--parallel", "8", "--json"))["keys"]
    assert [budget["window"] for budget in row["budgets"]] == ["day", "month"]
    assert (row["models"], row["parallel"]) == (["gpt-*"], 8)
    (row,) = data(here.run("key", "limits", "bot", "--daily", "none", "--model", "none", "--json"))["keys"]
    assert ([budget["window"] for budget in row["budgets"]], row["models"]) == (["month"], [])


@pytest.mark.parametrize(
    "wrong",
    [("--daily", "much"), ("--from", "here"), ("--route", "fax"), ("--tag", "key=x"), ("--expires", "soon")],
)
def test_a_limit_that_cannot_be_is_refused_and_no_key_is_made(here: Place, wrong: tuple[str, str]) -> None:
    refused = here.run("key", "create", "bot", *wrong)
    assert refused.exit_code != 0
    assert data(here.run("key", "list", "--json"))["keys"] == []
