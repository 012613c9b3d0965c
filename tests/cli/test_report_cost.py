"""Claims about `aegis report cost`: one true total, broken down, with what was avoided and how that was reckoned."""

import json
import shutil
import subprocess
from datetime import UTC, datetime
from decimal import Decimal
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
    await spend(here, 2, 1, scope={"key": "red", "incident": "inc_1", "purpose": "incident"}, prefix="a")
    await spend(here, 4, 9, scope={"key": "blue", "severity": "CRITICAL"}, prefix="b")


def test_every_breakdown_adds_up_to_the_total_that_aegis_spend_says(here: Place) -> None:
    report = data(here.run("report", "cost", "--format", "json"))

    total = data(here.run("spend", "--json"))["total_usd"]
    assert report["total_usd"] == total == "0.07"
    for name, rows in report["by"].items():
        assert sum(Decimal(row["cost_usd"]) for row in rows) == Decimal(total), name
    assert sum(Decimal(day["cost_usd"]) for day in report["days"]) == Decimal(total)


def test_the_document_has_the_keys_and_shapes_of_the_first_cost_analysis(here: Place) -> None:
    report = data(here.run("report", "cost", "--days", "3", "--format", "json"))

    today = datetime.now(UTC).date()
    assert report["schema"] == "aegis.cost_report/1"
    assert (report["analysis_period"], report["total_incidents"]) == ("3", 0)
    assert [day["TimePeriod"]["Start"] for day in report["aws_costs"]["ResultsByTime"]][-1] == str(today)
    assert [one["results"][0]["amount"] for one in report["openai_costs"]["data"]] == [
        {"value": 0.0, "currency": "usd"}
    ] * 3
    assert datetime.fromisoformat(report["generated_at"]).tzinfo is not None


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_jq_lines_of_the_first_cost_analysis_read_it(here: Place, tmp_path: Path) -> None:
    here.run("report", "cost", "--days", "2", "--out", str(tmp_path / "costs.json"))
    asked = ".aws_costs.ResultsByTime | max_by(.Total.BlendedCost.Amount | tonumber) | .TimePeriod.Start"

    said = subprocess.run(["jq", "-r", asked, tmp_path / "costs.json"], capture_output=True, text=True, check=True)

    assert datetime.fromisoformat(said.stdout.strip())


def test_a_refused_call_is_worth_what_those_like_it_cost_on_average(here: Place) -> None:
    report = data(here.run("report", "cost", "--format", "json"))

    avoided = {one["method"]: one for one in report["avoided"]}
    assert avoided["gate"]["events"] == 1
    assert Decimal(avoided["gate"]["avoided_usd"]) == Decimal("0.023333333")
    assert "mean cost of comparable calls" in avoided["gate"]["how"]


def test_the_baseline_is_named_and_worked_out(here: Place) -> None:
    saving = data(here.run("report", "cost", "--baseline", "per-incident", "--format", "json"))["saving"]

    assert (saving["baseline"], saving["analyses"], saving["mean_analysis_usd"]) == ("per-incident", 2, "0.015")
    assert (saving["would_be_analyses"], saving["saved_usd"]) == (0, "0.00")


def test_people_read_markdown_a_page_or_lines(here: Place, tmp_path: Path) -> None:
    here.run("report", "cost", "--out", str(tmp_path / "costs.html"))
    here.run("report", "cost", "--out", str(tmp_path / "costs.md"))

    page = (tmp_path / "costs.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "http" not in page
    assert "$0.0700" in page
    assert "<svg" in page
    assert "| red | 2 | 0 | 0 | $0.0300 |" in (tmp_path / "costs.md").read_text()
    assert "Most expensive day" in here.run("report", "cost").stdout


async def _hostile(here: Place) -> None:
    await spend(here, 1, scope={"key": "<img src=x onerror=alert(1)> [a](http://evil)", "team": "@everyone"})


def test_a_hostile_name_becomes_neither_markup_nor_a_link(tmp_path: Path) -> None:
    found = place(tmp_path)
    found.write(SETTINGS)
    anyio.run(_hostile, found)

    page = found.run("report", "cost", "--format", "html").stdout
    text = found.run("report", "cost", "--format", "markdown").stdout

    assert "<img" not in page
    assert "<img" not in text.replace("\\<img", "")
    assert "](http" not in text
    assert "@everyone" not in text


def test_an_unknown_name_is_refused_with_those_that_are_known(here: Place) -> None:
    result = here.run("report", "cost", "--by", "colour")

    assert result.exit_code == 2
    assert "known are service, model, key" in result.stderr


def test_json_numbers_of_money_are_text(here: Place) -> None:
    text = here.run("report", "cost", "--format", "json").stdout

    assert isinstance(json.loads(text)["total_usd"], str)
