"""Money is exact, and what is not money is refused by name."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.money import MAX_NANOS, MoneyError, format_usd, show_usd, usd


@given(st.integers(-MAX_NANOS, MAX_NANOS))
def test_every_amount_survives_its_own_text(nanos: int) -> None:
    assert usd(format_usd(nanos)) == nanos


@pytest.mark.parametrize(("text", "nanos"), [("5.00", 5 * 10**9), ("0.000000001", 1), ("-0.015", -15_000_000)])
def test_dollars_are_exact_nano_dollars(text: str, nanos: int) -> None:
    assert usd(text) == usd(Decimal(text)) == nanos


@pytest.mark.parametrize("text", ["NaN", "inf", "five", "", "0.0000000001", "9300000000"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(MoneyError):
        usd(text)


def test_screens_round_and_json_does_not() -> None:
    assert (show_usd(1_234_567_890), format_usd(1_234_567_890)) == ("$1.23", "1.23456789")
    assert show_usd(-1_500_000_000) == "-$1.50"
