"""The price table says what the vendors' pages say, in whole nano-dollars, and never calls the unknown free."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from aegis.core.errors import UnknownPrice
from aegis.core.money import usd
from aegis.core.prices import Price, PriceBook
from aegis.governor.pricing import load_prices

TODAY = date(2026, 11, 21)
MILLION = 1_000_000


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> PriceBook:
    return load_prices(tmp_path_factory.mktemp("state"))


@pytest.mark.parametrize(
    ("service", "model", "usage", "dollars"),
    [
        ("anthropic", "claude-sonnet-5-5", {"input_tokens": MILLION, "output_tokens": MILLION}, "12"),
        ("anthropic", "claude-sonnet-5-5-20260901", {"cache_read_tokens": MILLION}, "0.10"),
        ("anthropic", "claude-opus-5-5", {"cache_write_tokens": MILLION, "cache_write_1h_tokens": MILLION}, "13"),
        ("anthropic", "claude-haiku-5-5", {"input_tokens": 100_000, "output_tokens": 1_000}, "0.0105"),
        ("anthropic", "claude-haiku-5-5", {"input_tokens": 100_001, "output_tokens": 1_000}, "0.0525005"),
        ("bedrock", "global.anthropic.claude-sonnet-5-5", {"input_tokens": MILLION}, "2"),
        ("bedrock", "us.anthropic.claude-sonnet-5-5", {"input_tokens": MILLION}, "2.2"),
        ("openai", "gpt-5.4-mini", {"input_tokens": MILLION, "output_tokens": MILLION}, "5.25"),
        ("athena", "", {"bytes_scanned": 2**40}, "5.000578884"),
        ("virustotal", "", {"requests": 500}, "0"),
    ],
)
def test_a_usage_costs_what_the_list_says(
    book: PriceBook, service: str, model: str, usage: dict[str, int], dollars: str
) -> None:
    assert book.price(service, model, TODAY).cost(usage) == usd(dollars)


def test_the_price_of_the_day_is_used(book: PriceBook) -> None:
    long_prompt = {"input_tokens": 300_000}
    before, after = (book.price("anthropic", "claude-opus-4-6", day) for day in (date(2026, 3, 1), date(2026, 4, 1)))
    assert (before.cost(long_prompt), after.cost(long_prompt)) == (usd("3"), usd("1.5"))


def test_a_model_nobody_lists_is_not_free(book: PriceBook) -> None:
    with pytest.raises(UnknownPrice):
        book.price("openai", "gpt-of-next-year-maybe", TODAY)


def test_the_configuration_wins_and_zero_is_free(tmp_path: Path) -> None:
    own = Price(service="openai", model="local", rates={"input_tokens": ((0, 0),), "output_tokens": ((0, 0),)})
    book = load_prices(tmp_path, {("openai", "local"): own})
    assert book.price("openai", "local", TODAY).worst({"input_tokens": 10**9, "output_tokens": 10**9}) == 0


def test_a_damaged_table_is_compiled_again(tmp_path: Path) -> None:
    load_prices(tmp_path)
    [table] = tmp_path.glob("prices-*.json")
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])
    load_prices(tmp_path)
    assert table.read_bytes() == whole


@pytest.mark.parametrize(
    ("service", "model", "tier", "dollars"),
    [
        ("openai", "gpt-6.1-sol", "", "12"),
        ("openai", "gpt-6.1-sol", "flex", "6"),
        ("openai", "gpt-6.1-sol", "batch", "6"),
        ("openai", "gpt-6.1-sol", "priority", "24"),
        ("anthropic", "claude-sonnet-5-5", "batch", "6"),
        ("anthropic", "claude-sonnet-5-5", "flex", "12"),
    ],
)
def test_a_tier_of_service_has_its_own_price(
    book: PriceBook, service: str, model: str, tier: str, dollars: str
) -> None:
    price = book.price(service, model, TODAY).at(tier)
    short = {"input_tokens": 100_000, "output_tokens": 100_000}
    assert 10 * price.cost(short) == usd(dollars)


def test_a_dear_tier_that_nobody_priced_is_not_the_list_price(book: PriceBook) -> None:
    with pytest.raises(UnknownPrice, match="nobody knows what the tier 'priority' costs"):
        book.price("anthropic", "claude-sonnet-5-5", TODAY).at("priority")
    assert book.price("virustotal", "", TODAY).at("priority").cost({"requests": 1}) == 0
