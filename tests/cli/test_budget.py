"""Claims about `aegis budget` and `aegis spend`: what the ledger says, and exit codes that cron can branch on."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.cli.outside import outside
from tests.cli.running import data, place
from tests.cli.story import with_incident


@pytest.mark.parametrize(
    ("daily", "code"),
    [
        ("{warning: 1, critical: 2, emergency: 3}", 0),
        ("{warning: 0.0001, critical: 2, emergency: 3}", 10),
        ("{warning: 0.0001, critical: 0.0002, emergency: 3}", 11),
        ("{warning: 0.0001, critical: 0.0002, emergency: 0.0003}", 12),
    ],
)
def test_the_worst_level_that_was_crossed_is_the_exit_code(tmp_path: Path, daily: str, code: int) -> None:
    here = place(tmp_path)
    with outside() as services:
        services.configure(here, budgets=f"budgets: {{everything: {{scope: all, daily: {daily}}}}}")
        with_incident(here)

    result = here.run("budget", "check", "--json")

    assert result.exit_code == code
    assert (data(result)["schema"], data(result)["exit"]) == ("aegis.budget-check/1", code)
    assert bool(data(result)["crossed"]) == (code > 0)
    assert here.run("budget", "check").exit_code == code


def test_spend_and_budget_agree_to_the_last_digit(tmp_path: Path) -> None:
    here = place(tmp_path)
    with outside() as services:
        services.configure(here, budgets="budgets: {everything: {scope: all, daily: {emergency: 3}}}")
        with_incident(here)

    spent = data(here.run("spend", "--json"))
    (budget,) = [one for one in data(here.run("budget", "list", "--json"))["budgets"] if one["name"] == "everything"]

    assert spent["schema"] == "aegis.spend/1"
    assert Decimal(spent["total_usd"]) == Decimal(budget["settled_usd"]) > 0
    (claude,) = [row for row in spent["services"] if row["service"] == "anthropic"]
    assert (claude["calls"], claude["cost_usd"]) == (1, spent["total_usd"])
    assert budget["limit_usd"] == "3.00"
    assert Decimal(budget["held_usd"]) == 0
    assert "anthropic" in here.run("spend").stdout
    assert "everything" in here.run("budget", "list").stdout
    assert data(here.run("spend", "--days", "1", "--json"))["total_usd"] == spent["total_usd"]


def test_without_a_store_there_is_nothing_to_sum_up(tmp_path: Path) -> None:
    here = place(tmp_path)

    for command in (("spend",), ("budget", "list"), ("budget", "check")):
        assert here.run(*command).exit_code == 4
    assert not here.home.exists()
