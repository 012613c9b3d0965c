"""Claims about `aegis check`."""

import sqlite3
from pathlib import Path

import anyio
import pytest
from tests.cli.running import Place, data, place

from aegis.stores.database import Database

CLAUDE = "sk-ant-api03-abcdefghijklmnop"


def _messages(here: Place) -> list[str]:
    return [f"{p['where']} {p['path']} {p['message']}".strip() for p in data(here.run("check", "--json"))["problems"]]


def test_nothing_at_all_is_fine_and_nothing_is_made(tmp_path: Path) -> None:
    here = place(tmp_path)

    result = here.run("check")

    assert (result.exit_code, result.stdout) == (0, "ok\n")
    assert not here.home.exists()


def test_a_wrong_file_is_told_with_its_line_and_exit_code_3(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write("budgets:\n  all:\n    monthly:\n      emergency: five\n")

    result = here.run("check")

    assert result.exit_code == 3
    assert result.stdout == ""
    assert 'aegis.yaml:4:7 budgets.all.monthly.emergency - must be an amount such as 5.00 (got "five")' in result.stderr
    assert "    4 |       emergency: five" in result.stderr


def test_json_has_every_problem_with_its_place(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write("servr: {}\nrouts: []\n")

    result = here.run("check", "--json")

    assert (result.exit_code, result.stderr) == (3, "")
    assert data(result)["schema"] == "aegis.check/1"
    assert data(result)["ok"] is False
    assert [problem["path"] for problem in data(result)["problems"]] == ["servr", "routs"]
    assert [problem["where"].rpartition("/")[2] for problem in data(result)["problems"]] == [
        "aegis.yaml:1:1",
        "aegis.yaml:2:1",
    ]


def test_every_secret_that_cannot_be_found_is_told_where_it_is_asked_for(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write("services: {anthropic: {key: env:CLAUDE}}\nconnectors: {teams: {webhook: secret:teams}}\n")

    assert [message.rpartition("/")[2] for message in _messages(here)] == [
        "aegis.yaml:1:24 services.anthropic.key env:CLAUDE is not set in the environment or .env",
        "aegis.yaml:2:22 connectors.teams.webhook secret:teams is not in the encrypted store; set it with: aegis secrets set teams",
    ]


def test_a_key_in_dotenv_counts_if_nobody_else_can_read_it(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write("services: {anthropic: {key: env:CLAUDE}}\n")
    (here.folder / ".env").write_text(f"CLAUDE={CLAUDE}\n")
    (here.folder / ".env").chmod(0o600)

    assert here.run("check").exit_code == 0

    (here.folder / ".env").chmod(0o644)
    for flags in ((), ("--json",)):
        result = here.run("check", *flags)
        assert result.exit_code == 3
        assert "chmod 600 .env" in result.output
        assert CLAUDE not in result.output


def test_a_connector_says_when_it_cannot_use_its_secret(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.env["ROUTING"] = "too-short"
    here.write("connectors: {pagerduty: {routing_key: env:ROUTING}}\n")

    (message,) = _messages(here)

    assert message.endswith("connectors.pagerduty pagerduty: routing_key must have 32 characters")
    assert "too-short" not in here.run("check").output


def test_a_rule_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write("detection: {rules: [/nowhere/rules]}\n")

    assert _messages(here)[0].endswith("detection.rules /nowhere/rules is no folder")


def test_a_store_of_ours_passes_and_is_not_changed(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.home.mkdir(mode=0o700)
    path = here.home / "aegis.db"

    async def make() -> None:
        await (await Database.open(path)).close()

    anyio.run(make)
    before = path.read_bytes()

    assert here.run("check").exit_code == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "said"),
    [("foreign", "belongs to another program"), ("text", "cannot be read"), ("newer", "written by a newer Aegis")],
)
def test_a_store_that_cannot_be_used_is_told(tmp_path: Path, kind: str, said: str) -> None:
    here = place(tmp_path)
    here.home.mkdir(mode=0o700)
    path = here.home / "aegis.db"
    if kind == "text":
        path.write_text("this is no database, whatever its name says\n" * 50)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE schema_versions (version INTEGER)")
            if kind == "newer":
                connection.execute("INSERT INTO schema_versions VALUES (9999)")
                connection.execute(f"PRAGMA application_id = {0x41454749}")
        connection.close()

    (message,) = _messages(here)
    assert said in message


def test_a_state_folder_that_others_can_read_is_told(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.home.mkdir()
    here.home.chmod(0o755)

    assert "chmod 700" in _messages(here)[0]


def test_warnings_do_not_fail_and_quiet_says_nothing(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write("routes: [{to: jira}]\n")

    result = here.run("check")
    assert result.exit_code == 0
    assert "warning: routes - jira is told by a route" in result.stderr
    assert here.run("check", "--quiet").output == ""


def test_a_rule_that_cannot_be_used_is_a_warning_that_names_its_file(tmp_path: Path) -> None:
    here = place(tmp_path)
    rules = here.folder / "rules"
    rules.mkdir()
    (rules / "broken.yml").write_text("title: [unfinished\n")
    (rules / "unknown.yml").write_text(
        "title: Asks for what is not there\nid: 5f0c1d2e-0000-4000-8000-000000000001\nlevel: high\n"
        "logsource: {product: linux}\ndetection: {a: {user|nosuch: x}, condition: a}\n"
    )
    here.write(f"detection: {{rules: [{rules}]}}\n")

    result = here.run("check", "--json")

    assert (result.exit_code, data(result)["ok"]) == (0, True)
    assert len(data(result)["warnings"]) == 2
    assert all(any(name in warning for warning in data(result)["warnings"]) for name in ("broken.yml", "unknown.yml"))
    assert "warning: " in here.run("check").stderr
