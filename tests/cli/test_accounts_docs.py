"""docs/accounts.md is true: the configuration loads, every command runs, two persons are two persons."""

import re
import shlex
from pathlib import Path

from tests.cli.running import Place, data, place

PAGE = (Path(__file__).parents[2] / "docs" / "accounts.md").read_text(encoding="utf-8")
PASSWORD = "correct horse battery\n"
BUDGETS = "budgets: {everything: {scope: all, daily: {emergency: 10.00}}}\n"


def ready(folder: Path) -> Place:
    here = place(folder)
    here.write(BUDGETS + "".join(re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)))
    return here


def test_every_command_that_is_shown_runs(tmp_path: Path) -> None:
    here = ready(tmp_path)
    shown = re.findall(r"^\$ aegis (.+)$", PAGE, re.MULTILINE)
    assert len(shown) >= 10
    for line in shown:
        expected = int(code[1]) if (code := re.search(r"# exits (\d+)$", line)) else 0
        words = shlex.split(line.replace("< password.txt", ""), comments=True)
        result = here.run(*words, stdin=PASSWORD)
        assert result.exit_code == expected, (line, result.output)


def token(here: Place, name: str, role: str) -> str:
    assert here.run("account", "add", name, "--role", role, stdin=PASSWORD).exit_code == 0
    return str(data(here.run("token", "create", name, "--json"))["token"])


def limit(here: Place) -> str:
    return str(data(here.run("budget", "list", "--json"))["budgets"][0]["limit"])


SET = ("budget", "set", "everything", "daily", "emergency")


def test_a_high_budget_waits_for_a_second_person(tmp_path: Path) -> None:
    here = ready(tmp_path)
    ann, bo, eve = token(here, "ann", "admin"), token(here, "bo", "budget-admin"), token(here, "eve", "operator")
    here.env["AEGIS_TOKEN"] = ann
    asked = data(here.run(*SET, "500.00", "--json"))["id"]
    assert "10" in limit(here), "nothing was set yet"
    assert here.run("approve", asked).exit_code == 2, "who asked does not agree"
    for nobody in (eve, "", "aegt_0123456789ab_x"):
        here.env["AEGIS_TOKEN"] = nobody
        assert here.run("approve", asked).exit_code == 2
    here.env["AEGIS_TOKEN"] = bo
    assert data(here.run("approve", asked, "--json"))["by"] == "bo"
    assert "500" in limit(here)
    assert here.run("approve", asked).exit_code == 2, "once"
    whats = [one["what"] for one in data(here.run("audit", "log", "--json"))["entries"]]
    assert whats[:3] == ["budget.approved", "budget.approving", "budget.asked"]


def test_up_to_the_amount_and_downwards_one_person_is_enough(tmp_path: Path) -> None:
    here = ready(tmp_path)
    assert here.run(*SET, "100.00").exit_code == 0
    assert "100" in limit(here)
    here.write((here.folder / "aegis.yaml").read_text().replace("emergency: 10.00", "emergency: 900.00"))
    assert here.run(*SET, "800.00").exit_code == 0, "lower than what is written"
    waits = data(here.run(*SET, "default", "--json"))
    assert waits["schema"] == "aegis.approval/1", "taking it back raises it to 900"


def test_without_accounts_a_variable_is_no_second_person(tmp_path: Path) -> None:
    here = ready(tmp_path)
    asked = data(here.run(*SET, "500.00", "--json"))["id"]
    here.env["USER"] = "somebody-else"
    refused = here.run("approve", asked)
    assert refused.exit_code == 2
    assert "a second person has to agree" in refused.stderr


def test_the_first_account_is_an_admin_and_the_last_stays_one(tmp_path: Path) -> None:
    here = ready(tmp_path)
    assert here.run("account", "add", "bo", "--role", "viewer", stdin=PASSWORD).exit_code == 2
    assert here.run("account", "add", "ann", "--role", "admin", stdin="short\n").exit_code == 2
    assert here.run("account", "add", "ann", "--role", "admin", stdin=PASSWORD).exit_code == 0
    assert here.run("account", "role", "ann", "viewer").exit_code == 2


def test_other_machines_are_served_only_with_accounts_and_https(tmp_path: Path) -> None:
    here = ready(tmp_path)
    refused = here.run("up", "--set", "server.listen=0.0.0.0:0")
    assert (refused.exit_code, "without accounts" in refused.stderr) == (3, True)
    here.run("account", "add", "ann", "--role", "admin", stdin=PASSWORD)
    refused = here.run("up", "--set", "server.listen=0.0.0.0:0")
    assert (refused.exit_code, "https://" in refused.stderr) == (3, True)
