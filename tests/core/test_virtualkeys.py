"""Virtual keys: garbage is told from a key without looking anything up, and nothing that is kept is a key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import BadInput
from aegis.core.keyshapes import mask_keys
from aegis.core.virtualkeys import RANDOM_BITS, check_tags, in_ranges, key_hash, key_id, make_key, networks

BITS = st.integers(0, (1 << RANDOM_BITS) - 1)


@given(BITS)
def test_a_key_is_known_by_its_checksum_and_masked_wherever_it_is_written(bits: int) -> None:
    name, secret = make_key(bits)
    assert key_id(secret.reveal().encode()) == name
    assert secret.reveal() not in mask_keys(f"the key {secret.reveal()} was used")


@given(BITS, st.integers(0, 56), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_one_wrong_letter_is_no_key(bits: int, at: int, letter: str) -> None:
    text = make_key(bits)[1].reveal()
    if text[at] != letter:
        assert key_id((text[:at] + letter + text[at + 1 :]).encode()) is None


@given(st.binary(max_size=200))
def test_garbage_is_no_key(garbage: bytes) -> None:
    assert key_id(garbage) is None


def test_the_hash_needs_the_pepper() -> None:
    key = make_key(1)[1].reveal().encode()
    assert key_hash(key, b"a" * 32) != key_hash(key, b"b" * 32)


def test_an_address_lies_in_its_ranges_and_a_text_in_none() -> None:
    ranges = networks(["10.0.0.0/8", "2001:db8::/32"])
    assert in_ranges("10.9.8.7", ranges)
    assert in_ranges("::ffff:10.9.8.7", ranges), "the same address, written as the newer kind"
    assert in_ranges("2001:db8::1", ranges)
    assert not in_ranges("11.0.0.1", ranges)
    assert not in_ranges("unix:", ranges)
    assert in_ranges("anything", ())


@pytest.mark.parametrize("tags", [{"key": "x"}, {"model": "x"}, {"a b": "x"}, {"purpose": "incident"}])
def test_a_tag_cannot_say_what_the_gateway_knows_better(tags: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        check_tags(tags)
