"""Claims about `aegis price`: what is listed, where it comes from, and taking over a newer list."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.running import Place, data, place


@pytest.fixture
def here(tmp_path: Path) -> Place:
    found = place(tmp_path)
    found.write('prices: {"openai/house-model": {input_tokens: 1.50, output_tokens: 0}}\n')
    return found


def _published(here: Place, **prices: Any) -> str:
    """A price list as its project publishes it, with one model."""
    model = {"id": "claude-new", "match": {"equals": "claude-new"}, "prices": prices}
    provider = {"id": "anthropic", "name": "Anthropic", "api_pattern": "https://example\\.com", "models": [model]}
    file = here.folder / "data.json"
    file.write_text(json.dumps([provider]))
    return str(file)


def test_a_price_of_the_configuration_is_listed_and_wins(here: Place) -> None:
    row = data(here.run("price", "explain", "openai", "house-model", "--json"))

    assert row["rates"]["input_tokens"] == [{"above_input_tokens": 0, "per_million_usd": "1.50"}]
    assert row["source"] == "configuration"
    assert "house-model" in here.run("price", "list", "openai").stdout


def test_a_tier_of_service_is_shown_with_its_price(here: Place) -> None:
    row = data(here.run("price", "explain", "anthropic", "claude-sonnet-5-5", "--json"))
    assert row["rates"]["output_tokens"][0]["per_million_usd"] == "10.00"
    assert row["tiers"]["batch"]["output_tokens"][0]["per_million_usd"] == "5.00"
    assert "as batch: input_tokens 1.00" in here.run("price", "explain", "anthropic", "claude-sonnet-5-5").stdout


def test_a_free_service_says_so(here: Place) -> None:
    assert here.run("price", "explain", "slack").stdout == "slack: free\n  free\n"


def test_an_unknown_price_is_not_found_and_the_line_that_sets_it_is_told(here: Place) -> None:
    result = here.run("price", "explain", "openai", "never-heard-of-it")

    assert result.exit_code == 4
    assert 'prices: {"openai/never-heard-of-it"' in result.stderr
    assert here.run("price", "list", "nobody").exit_code == 4


def test_a_list_is_compared_before_it_is_taken_over_and_holds_after(here: Place) -> None:
    file = _published(here, input_mtok=3, output_mtok=15)

    changes = data(here.run("price", "diff", file, "--json"))["changes"]
    added = [change for change in changes if change["model"] == "claude-new"]
    assert [(one["meter"], one["before"], one["after"]) for one in added] == [
        ("input_tokens", "none", "3.00"), ("output_tokens", "none", "15.00"),
    ]  # fmt: skip
    assert here.run("price", "explain", "anthropic", "claude-new").exit_code == 4

    assert here.run("price", "update", file).exit_code == 0
    row = data(here.run("price", "explain", "anthropic", "claude-new", "--json"))
    assert row["rates"]["output_tokens"][0]["per_million_usd"] == "15.00"
    assert "data.json" in row["source"]
    assert data(here.run("price", "diff", file, "--json"))["changes"] == []
    assert data(here.run("price", "diff", "--json"))["changes"] != [], "it differs from the list that was shipped"


@pytest.mark.parametrize("text", ["", "{}", "[1]", "not json", '[{"id": "anthropic"}]', "[]"])
def test_what_is_no_price_list_changes_nothing(here: Place, text: str) -> None:
    file = here.folder / "data.json"
    file.write_text(text)

    assert here.run("price", "update", str(file)).exit_code == 2
    assert data(here.run("price", "diff", "--json"))["changes"] == []


def test_a_negative_price_is_refused(here: Place) -> None:
    assert here.run("price", "update", _published(here, input_mtok=-3)).exit_code == 2
    assert data(here.run("price", "diff", "--json"))["changes"] == []


def test_a_list_that_is_not_there_is_not_found(here: Place) -> None:
    assert here.run("price", "update", str(here.folder / "nothing.json")).exit_code == 4
    assert here.run("price", "update", "http://example.com/data.json").exit_code == 6, "https only"
