"""Money is a whole number of nano-dollars (10^-9 USD) in a signed 64-bit integer; no float ever touches it.

The cheapest list prices are 20 to 50 nano-dollars a token, so a micro-dollar would round them away; 2^63 - 1
nano-dollars are 9.2 thousand million dollars. See docs/decisions/0001-nano-dollars.md.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TypeAlias

Nanos: TypeAlias = int
"""An amount of money in nano-dollars."""

USD: Nanos = 1_000_000_000
MAX_NANOS: Nanos = 2**63 - 1
CALL_MAX: Nanos = 1_000_000 * USD
"""A call that costs more than a million dollars is a broken report or price; nine thousand of them fit a sum."""


class MoneyError(ValueError):
    """A text or number that is no exact amount of money."""


def usd(amount: str | int | Decimal) -> Nanos:
    """Dollars (`"5.00"`, `5`, `Decimal("0.000000001")`) as exact nano-dollars.

    Raises `MoneyError` for anything that is not a finite decimal number, is finer than a nano-dollar, or does not
    fit 64 bits.
    """
    try:
        nanos = Decimal(amount) * USD
    except (InvalidOperation, TypeError, ValueError) as error:
        raise MoneyError(f"{amount!r} is not an amount in dollars, such as 5.00") from error
    if not nanos.is_finite():
        raise MoneyError(f"{amount!r} is not a finite amount in dollars")
    if nanos != nanos.to_integral_value():
        raise MoneyError(f"{amount!r} is finer than a nano-dollar (nine decimals)")
    if abs(nanos) > MAX_NANOS:
        raise MoneyError(f"{amount!r} is more than the largest amount, {format_usd(MAX_NANOS)} USD")
    return int(nanos)


def format_usd(nanos: Nanos) -> str:
    """The exact decimal text of an amount, at least two decimals: `"0.015"`, `"5.00"`. For JSON and exports."""
    sign = "-" if nanos < 0 else ""
    whole, rest = divmod(abs(nanos), USD)
    decimals = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{decimals}"


def show_usd(nanos: Nanos, *, decimals: int = 2) -> str:
    """The amount as people read it, rounded: `"$5.00"`. Only for screens; storage and JSON never round."""
    step = Decimal(1).scaleb(-decimals)
    rounded = (Decimal(nanos) / USD).quantize(step, rounding=ROUND_HALF_EVEN)
    return f"-${-rounded:,}" if rounded < 0 else f"${rounded:,}"
