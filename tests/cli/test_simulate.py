"""Claims about `aegis simulate`: the same policy gives the same, a stricter one refuses, and nothing real changes."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.cli.running import Place, data, place
from tests.cli.spending import SETTINGS, spend

PRICES = 'prices: {"anthropic/m": {input_tokens: 10000.00}}\n'
STRICT = "budgets: {everything: {daily: {warning: 0.01, critical: 0.02, emergency: 0.03}}}\n" + PRICES
WIDE = "budgets: {everything: {daily: {warning: 5, critical: 8, emergency: 10}}}\n" + PRICES


@pytest.fixture
def here(tmp_path: Path) -> Place:
    found = place(tmp_path)
    found.write(SETTINGS + PRICES)
    anyio.run(_spend, found)
    return found


async def _spend(here: Place) -> None:
    await spend(here, 2, 1, scope={"key": "red", "purpose": "incident"}, prefix="a")
    await spend(here, 4, 9, scope={"key": "blue"}, prefix="b")


def simulated(here: Place, policy: str) -> Any:
    file = here.folder / "policy.yaml"
    file.write_text(policy)
    return data(here.run("simulate", "--policy", str(file), "--json"))


def test_the_same_policy_comes_to_the_same(here: Place) -> None:
    found = simulated(here, SETTINGS + PRICES)

    assert found["recorded_usd"] == "0.07"
    assert found["now"] == found["policy"]
    assert found["now"]["cost_usd"] == "0.07"
    assert found["difference"] == {
        "cost_usd": "0.00",
        "refused": 0,
        "wait_p95_ms": 0,
        "missed_analyses": 0,
        "messages": 0,
    }


def test_a_stricter_budget_refuses_what_it_would_have_refused(here: Place) -> None:
    found = simulated(here, STRICT)

    assert found["policy"]["refused"] == {"budget": 2}
    assert found["policy"]["cost_usd"] == "0.03"
    assert found["difference"]["cost_usd"] == "-0.04"


def test_what_was_refused_then_and_is_made_now_costs_what_those_like_it_did(here: Place) -> None:
    found = simulated(here, WIDE)

    assert found["policy"]["refused"] == {}
    assert found["policy"]["made"] == 4
    assert found["policy"]["cost_usd"] == "0.16"


def test_an_analysis_that_is_refused_counts_as_missed(here: Place) -> None:
    none = "budgets: {analysis: {scope: {purpose: incident}, daily: {emergency: 0.01}}}\n" + PRICES

    assert simulated(here, none)["difference"]["missed_analyses"] == 1


def test_the_real_ledger_is_as_it_was(here: Place) -> None:
    before = here.run("spend", "--by", "key", "--json").stdout
    simulated(here, STRICT)

    assert here.run("spend", "--by", "key", "--json").stdout == before


def test_people_read_both_beside_each_other(here: Place) -> None:
    file = here.folder / "policy.yaml"
    file.write_text(STRICT)
    said = here.run("simulate", "--policy", str(file)).stdout

    assert "now          policy      difference" in said
    assert "by budget" in said


def test_a_policy_that_is_wrong_is_told_with_its_place(here: Place) -> None:
    file = here.folder / "policy.yaml"
    file.write_text("budgets: {everything: {daily: {emergency: lots}}}\n")
    result = here.run("simulate", "--policy", str(file))

    assert result.exit_code == 3
    assert "policy.yaml:1:" in result.stderr
