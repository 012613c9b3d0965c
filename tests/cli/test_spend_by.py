"""Claims about `aegis spend --by`: the journal added up by whom calls were made for."""

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
    await spend(here, 2, 1, scope={"key": "red", "incident": "inc_1"}, prefix="a")
    await spend(here, 4, 9, scope={"key": "blue", "severity": "CRITICAL"}, prefix="b")


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("key", {("blue",): (1, 1, "0.04"), ("red",): (2, 0, "0.03")}),
        ("severity", {("CRITICAL",): (1, 1, "0.04"), ("HIGH",): (2, 0, "0.03")}),
        ("incident", {("(none)",): (1, 1, "0.04"), ("inc_1",): (2, 0, "0.03")}),
        ("model,service", {("m", "anthropic"): (3, 1, "0.07")}),
    ],
)
def test_spending_adds_up_by_every_name(
    here: Place, by: str, expected: dict[tuple[str, ...], tuple[int, int, str]]
) -> None:
    document = data(here.run("spend", "--by", by, "--json"))

    names = by.split(",")
    rows = {
        tuple(row[name] for name in names): (row["calls"], row["refused"], row["cost_usd"]) for row in document["rows"]
    }
    assert rows == expected
    assert (document["schema"], document["total_usd"], document["by"]) == ("aegis.spend/1", "0.07", names)


def test_the_breakdown_and_the_totals_agree(here: Place) -> None:
    assert (
        data(here.run("spend", "--json"))["total_usd"] == data(here.run("spend", "--by", "key", "--json"))["total_usd"]
    )


def test_people_read_a_table(here: Place) -> None:
    lines = here.run("spend", "--by", "key,severity", "--days", "1").stdout.splitlines()

    assert lines[0].split() == ["key", "severity"]
    assert lines[1].split()[:2] == ["blue", "CRITICAL"]
    assert lines[-1] == "total $0.0700"


def test_an_unknown_name_is_refused_with_those_that_are_known(here: Place) -> None:
    result = here.run("spend", "--by", "colour")

    assert result.exit_code == 2
    assert "colour; known are service, model, key" in result.stderr
