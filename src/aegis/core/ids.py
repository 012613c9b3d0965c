"""Identifiers: a prefix and a ULID, so that they sort by time, name their kind and cannot be guessed.

Source: https://github.com/ulid/spec (48 bits of milliseconds, 80 random bits, Crockford's base 32).
"""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no I, L, O or U, so that no letter is mistaken for a digit."""
_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)
"""Two characters at a time: an identifier is made for every call."""
TIME_BITS, RANDOM_BITS = 48, 80
CHARACTERS = 26
"""128 bits at 5 bits a character, the first one holding 3."""


def ulid(*, time_ms: int, random_bits: int) -> str:
    """26 characters from milliseconds since 1970 and 80 random bits, both given by the caller."""
    assert 0 <= time_ms < 1 << TIME_BITS, "the time of a ULID has 48 bits"
    assert 0 <= random_bits < 1 << RANDOM_BITS, "a ULID has 80 random bits"
    value = time_ms << RANDOM_BITS | random_bits
    return "".join([_PAIRS[value >> shift & 1_023] for shift in range(5 * (CHARACTERS - 2), -1, -10)])


def identifier(prefix: str, *, time_ms: int, random_bits: int) -> str:
    """`inc_01J...`: what kind of thing it names, then its ULID."""
    return f"{prefix}_{ulid(time_ms=time_ms, random_bits=random_bits)}"
