"""Claims about taking costs apart: shares add up exactly, days come to the ledger's total, nothing is made up."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from aegis.core.charges import EndedAttempt
from aegis.core.prices import Price, PriceBook
from aegis.finance.charges import FORGOTTEN, WHOLE, Charges, split

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PRICES = PriceBook(
    overrides={
        ("anthropic", "m"): Price(
            service="anthropic",
            model="m",
            rates={"input_tokens": ((0, 3_000_000_001),), "output_tokens": ((0, 15_000_000_000),)},
            source="test",
        )
    }
)
AMOUNTS = st.integers(0, 10**12)


def ended(number: int = 1, *, cost: int = 0, model: str = "m", state: str = "settled", **usage: int) -> EndedAttempt:
    return EndedAttempt(
        attempt=f"call-{number}/1",
        at=AT + timedelta(minutes=number),
        ended_at=AT + timedelta(minutes=number),
        state=state,
        service="anthropic",
        model=model,
        operation="messages",
        priority="HIGH",
        cost=cost,
        usage=usage,
    )


@given(AMOUNTS, st.dictionaries(st.sampled_from("abcdef"), AMOUNTS, max_size=6))
def test_shares_add_up_to_the_cost_whatever_the_parts(cost: int, parts: dict[str, int]) -> None:
    shares = split(cost, parts)

    assert sum(shares.values()) == cost
    assert all(share >= 0 for share in shares.values())


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_what_the_price_list_charges_is_what_its_parts_come_to(tokens: int, out: int) -> None:
    price = PRICES.price("anthropic", "m", AT.date())
    usage = {"input_tokens": tokens, "output_tokens": out}

    assert -(-sum(price.parts(usage).values()) // 1_000_000) == price.cost(usage)


def test_an_hour_of_one_meter_is_one_charge() -> None:
    charges = Charges(PRICES)
    charges.add([ended(n, cost=18_000, input_tokens=1, output_tokens=1) for n in (1, 2, 3)])

    assert [(c.key.meter, c.units, c.cost, c.calls) for c in charges.of()] == [
        ("input_tokens", 3, 9_000, 3),
        ("output_tokens", 3, 45_000, 3),
    ]


def test_the_ledger_is_right_where_the_price_list_changed_since() -> None:
    charges = Charges(PRICES)
    charges.add([ended(cost=1_000_000, input_tokens=10, output_tokens=10)])

    assert sum(charge.cost for charge in charges.of()) == 1_000_000


def test_a_model_that_nobody_prices_any_more_keeps_its_cost_and_its_units() -> None:
    charges = Charges(PRICES)
    charges.add([ended(cost=7, model="gone", input_tokens=5, output_tokens=2)])

    assert {c.key.meter: (c.units, c.cost) for c in charges.of()} == {
        WHOLE: (1, 7),
        "input_tokens": (5, 0),
        "output_tokens": (2, 0),
    }


def test_refusals_and_answers_from_the_cache_charge_nothing() -> None:
    charges = Charges(PRICES)
    charges.add([ended(1, state="refused", input_tokens=5), ended(2, state="cached", input_tokens=5)])

    assert sum(charge.cost for charge in charges.of()) == 0
    assert sum(charge.units for charge in charges.of() if charge.key.meter == "input_tokens") == 0


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_every_day_comes_to_the_ledgers_total(kept: int, forgotten: int) -> None:
    charges = Charges(PRICES)
    charges.add([ended(cost=kept, input_tokens=1)])
    charges.level({(date(2026, 3, 2), "anthropic"): kept + forgotten, (date(2026, 3, 1), "openai"): forgotten})

    found = charges.of()
    assert sum(charge.cost for charge in found) == kept + 2 * forgotten
    assert {c.key.price_source for c in found if c.key.meter == WHOLE} <= {FORGOTTEN}
