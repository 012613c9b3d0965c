"""Claims about `aegis forecast`: amounts with a band, and honest about little history."""

from pathlib import Path

import anyio
import pytest
from tests.cli.running import Place, data, place
from tests.cli.spending import SETTINGS, spend


@pytest.fixture
def here(tmp_path: Path) -> Place:
    found = place(tmp_path)
    found.write(SETTINGS)
    anyio.run(_spend, found)
    return found


async def _spend(here: Place) -> None:
    await spend(here, 2, 1, scope={"key": "red"}, prefix="a")


def test_a_budget_is_forecast_with_a_band_and_little_history_is_said(here: Place) -> None:
    document = data(here.run("forecast", "--days", "7", "--json"))

    one, total = document["forecasts"][0], document["forecasts"][-1]
    assert document["schema"] == "aegis.forecast/1"
    assert (one["budget"], one["spent_usd"], one["confidence"], one["back_test"]) == ("everything", "0.03", "low", None)
    assert float(one["band"]["low_usd"]) <= float(one["forecast_usd"]) <= float(one["band"]["high_usd"])
    assert float(total["band"]["high_usd"]) >= 3 * float(total["forecast_usd"]) - 0.000001
    assert total["last_24h_usd"] == "0.03"


def test_people_read_the_pace_and_what_is_not_known(here: Place) -> None:
    shown = here.run("forecast").stdout

    assert "at the pace of the last 24 hours" in shown
    assert "low confidence: 0 whole days of history" in shown
    assert "not known yet: too little history to try" in shown


def test_a_budget_that_there_is_not_is_refused_with_those_there_are(here: Place) -> None:
    result = here.run("forecast", "--budget", "nothing")

    assert result.exit_code != 0
    assert "the budgets are everything" in result.stderr
