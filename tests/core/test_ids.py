"""Identifiers: the ULID specification, letter by letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.ids import ALPHABET, identifier, ulid

TIMES, RANDOM = st.integers(0, 2**48 - 1), st.integers(0, 2**80 - 1)


def test_the_ends_of_the_range_are_those_of_the_specification() -> None:
    assert ulid(time_ms=0, random_bits=0) == "0" * 26
    assert ulid(time_ms=2**48 - 1, random_bits=2**80 - 1) == "7" + "Z" * 25
    assert ulid(time_ms=1_469_918_176_385, random_bits=0)[:10] == "01ARYZ6S41"


@given(TIMES, RANDOM)
def test_nothing_is_lost_in_writing(time_ms: int, random_bits: int) -> None:
    value = 0
    for character in ulid(time_ms=time_ms, random_bits=random_bits):
        value = value * 32 + ALPHABET.index(character)

    assert value == time_ms << 80 | random_bits


@given(st.tuples(TIMES, RANDOM), st.tuples(TIMES, RANDOM))
def test_identifiers_sort_as_time_does(one: tuple[int, int], other: tuple[int, int]) -> None:
    first, second = (identifier("inc", time_ms=time_ms, random_bits=bits) for time_ms, bits in (one, other))

    assert (first < second) == (one < other)


@pytest.mark.parametrize(("time_ms", "random_bits"), [(-1, 0), (2**48, 0), (0, -1), (0, 2**80)])
def test_what_does_not_fit_is_a_mistake(time_ms: int, random_bits: int) -> None:
    with pytest.raises(AssertionError):
        ulid(time_ms=time_ms, random_bits=random_bits)
