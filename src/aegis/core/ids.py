"""Identifiers: a prefix and a ULID, so that they sort by time, name their kind and cannot be guessed.

Source: https://github.com/ulid/spec (48 bits of milliseconds, 80 random bits, Crockford's base 32).
"""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no I, L, O or U, so that no letter is mistaken for a digit."""
TIME_BITS, RANDOM_BITS = 48, 80
CHARACTERS, TIME_CHARACTERS, RANDOM_CHARACTERS = 26, 10, 16
"""128 bits at 5 bits a character, the first one holding 3."""


def ulid(*, time_ms: int, random_bits: int) -> str:
    """26 characters from milliseconds since 1970 and 80 random bits, both given by the caller."""
    assert 0 <= time_ms < 1 << TIME_BITS, "the time of a ULID has 48 bits"
    assert 0 <= random_bits < 1 << RANDOM_BITS, "a ULID has 80 random bits"
    value = time_ms << RANDOM_BITS | random_bits
    return letters(value, CHARACTERS)


def letters(value: int, characters: int) -> str:
    """The lowest bits of a number, five to a character."""
    return "".join([ALPHABET[value >> shift & 31] for shift in range(5 * (characters - 1), -1, -5)])


def identifier(prefix: str, *, time_ms: int, random_bits: int) -> str:
    """`inc_01J...`: what kind of thing it names, then its ULID."""
    return f"{prefix}_{ulid(time_ms=time_ms, random_bits=random_bits)}"
