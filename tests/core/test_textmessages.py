"""Claims about text messages: what a text takes, and what is left of it when it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.textmessages import cheap, cut, is_gsm, places, segments


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("я" * 70, 1),
        ("я" * 71, 2),
        ("я" * 134, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("a" * 159 + "я", 3),
    ],
)
def test_segments_are_counted_as_the_networks_do(text: str, parts: int) -> None:
    assert segments(text) == parts


def test_one_foreign_letter_does_not_double_the_price() -> None:
    assert cheap("“Brute force” — naïve façade … 😀 ok") == '"Brute force" - naive facade ... ? ok'
    assert segments(cheap("x" * 150 + "…“”")) == 1


def test_a_text_in_another_script_stays_as_it_is() -> None:
    assert cheap("Подбор пароля root") == "Подбор пароля root"


@given(
    st.text(),
    st.integers(1, 4),
    st.sampled_from(["", "\nhttp://127.0.0.1:8787/incidents/inc_01JG0000000000000000000001"]),
)
def test_a_cut_text_fits_and_keeps_its_end(text: str, most: int, end: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    made = cut(text, most, end=end)
    assert segments(made) <= most
    assert made.endswith(end)
    if segments(text + end) <= most:
        assert made == text + end


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_making_a_text_cheap_never_makes_it_dearer(text: str) -> None:
    assert is_gsm(cheap(text)) or segments(cheap(text)) <= max(segments(text) * 3, 2)
    assert places(cheap("abc")) == 3
