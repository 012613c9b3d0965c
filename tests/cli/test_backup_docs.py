"""docs/backup.md and docs/audit.md are true: every configuration loads, every command runs."""

import re
import shlex
from pathlib import Path

import pytest
from tests.cli.running import Place, data, place

DOCS = Path(__file__).parents[2] / "docs"
BUDGETS = "budgets: {everything: {scope: all, daily: {emergency: 10.00}}}\n"


def ready(folder: Path, page: str) -> tuple[Place, str]:
    here, text = place(folder), (DOCS / page).read_text(encoding="utf-8")
    here.write(BUDGETS + "".join(re.findall(r"```yaml\n(.+?)```", text, re.DOTALL)))
    here.env["AEGIS_BACKUP_PASSPHRASE"] = "correct horse battery"
    assert here.run("budget", "set", "everything", "daily", "emergency", "9.00").exit_code == 0
    return here, text


@pytest.mark.parametrize("page", ["backup.md", "audit.md"])
def test_every_command_that_is_shown_runs(tmp_path: Path, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here, text = ready(tmp_path, page)
    monkeypatch.chdir(here.folder)
    shown = re.findall(r"^\$ aegis (.+)$", text, re.MULTILINE)
    assert len(shown) >= 5
    made = ""
    for line in shown:
        expected = int(code[1]) if (code := re.search(r"# exits (\d+)$", line)) else 0
        result = here.run(*[made if word == "BACKUP" else word for word in shlex.split(line, comments=True)])
        assert result.exit_code == expected, (line, result.output)
        if line == "db backup":
            made = result.stdout.strip()


def test_a_restore_is_refused_while_an_aegis_works_there(tmp_path: Path) -> None:
    from aegis.cli.opened import alone

    here, _ = ready(tmp_path, "backup.md")
    made = data(here.run("db", "backup", "--json"))["file"]
    before = (here.home / "aegis.db").read_bytes()
    with alone(here.home):
        refused = here.run("db", "restore", made, "--yes")
    assert refused.exit_code == 3
    assert "another Aegis works on" in refused.stderr
    assert (here.home / "aegis.db").read_bytes() == before


def test_a_restore_is_on_the_audit_log_which_goes_on(tmp_path: Path) -> None:
    here, _ = ready(tmp_path, "backup.md")
    made = data(here.run("db", "backup", "--json"))["file"]
    here.run("budget", "set", "everything", "daily", "emergency", "8.00")
    done = data(here.run("db", "restore", made, "--yes", "--json"))
    assert done["ledger"] == "taken over"
    entries = data(here.run("audit", "log", "--json"))["entries"]
    assert [one["what"] for one in entries] == ["store.restored", *["budget.set", "budget.setting"] * 2]
    assert here.run("audit", "verify").exit_code == 0
    assert data(here.run("budget", "overrides", "--json"))["overrides"][-1]["amount"] == "9.00", (
        "limits are the backup's"
    )


def test_another_passphrase_opens_nothing(tmp_path: Path) -> None:
    here, _ = ready(tmp_path, "backup.md")
    made = data(here.run("db", "backup", "--json"))["file"]
    here.env["AEGIS_BACKUP_PASSPHRASE"] = "another horse battery"
    refused = here.run("db", "verify", made)
    assert refused.exit_code == 2
    assert "was locked with another" in refused.stderr


def test_a_changed_entry_is_named_and_exits_1(tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    here, _ = ready(tmp_path, "audit.md")
    with closing(sqlite3.connect(here.home / "aegis.db")) as connection, connection:
        connection.execute("UPDATE audit_entries SET who = 'somebody else' WHERE seq = 1")
    result = here.run("audit", "verify", "--json")
    assert result.exit_code == 1
    assert data(result)["broken"] == ["entry 1 was changed after it was written"]
