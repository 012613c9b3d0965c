"""The bound of a request is never below what any tokenizer that takes a byte or more can count."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import UnknownPrice
from aegis.library.bounds import IMAGE_TOKENS, has_key, request_tokens, text_tokens

texts = st.text(max_size=200)
values = st.recursive(
    texts | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def all_texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, part in value.items() for text in (key, *all_texts(part))]
    return [text for part in value for text in all_texts(part)] if isinstance(value, list) else []


@given(texts)
def test_a_text_has_no_more_tokens_than_bytes_in_either_form(text: str) -> None:
    assert text_tokens(text) >= len(text.encode())
    assert text_tokens(text) >= len(unicodedata.normalize("NFKC", text).encode())


@given(values)
def test_every_text_in_a_request_counts(value: Any) -> None:
    assert request_tokens(value) >= sum(map(text_tokens, all_texts(value)))


def test_a_ligature_counts_as_what_it_becomes() -> None:
    assert text_tokens("ﷺ") == len(unicodedata.normalize("NFKC", "ﷺ").encode()) > len("ﷺ".encode())


def test_a_picture_counts_even_where_only_its_address_is_sent() -> None:
    assert request_tokens([{"type": "image_url", "image_url": {"url": "https://example.com/1.png"}}]) >= IMAGE_TOKENS


@pytest.mark.parametrize(
    "source", [{"type": "url", "url": "https://example.com/1.pdf"}, {"type": "base64", "data": "JVBE"}]
)
def test_a_packed_or_distant_document_is_bounded_by_nothing(source: dict[str, str]) -> None:
    with pytest.raises(UnknownPrice):
        request_tokens([{"type": "document", "source": source}])
    assert request_tokens([{"type": "document", "source": {"type": "text", "data": "x" * 50}}]) >= 50


def test_absurd_nesting_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(UnknownPrice):
        request_tokens(deep)
    assert has_key(deep, "anything")
