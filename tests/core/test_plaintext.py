"""Claims about hostile text made plain."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.plaintext import defang, fit, lines, one_line, size, web_link

ANY_TEXT = st.text(st.characters(), max_size=300)


@given(ANY_TEXT)
def test_a_line_holds_no_control_no_format_character_and_no_surrogate(text: str) -> None:
    shown = one_line(text)
    assert "\n" not in shown
    assert {unicodedata.category(letter) for letter in shown}.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
    shown.encode()


@given(ANY_TEXT)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert one_line(one_line(text)) == one_line(text)
    assert lines(lines(text)) == lines(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne"),
        ("\x1b[31mred\x1b[0m\x07\x00", "[31mred[0m"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("pass\u200bword\ufeff\u00ad", "password"),
        ("a\U000e0041\U000e007f", "a"),
        ("tab\there", "tab\there"),
        ("\ud800x", "x"),
    ],
)
def test_what_hides_reorders_or_forges_is_gone(text: str, shown: str) -> None:
    assert lines(text) == shown


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("https://evil.example/a?b=c.d", "hxxps[:]//evil[.]example/a?b=c.d"),
        ("HTTP://EVIL.EXAMPLE", "HxxP[:]//EVIL[.]EXAMPLE"),
        ("see www.evil.example.", "see www[.]evil[.]example."),
        ("from 203.0.113.9:22", "from 203.0.113[.]9:22"),
        ("ftp://a.b.example and mailto:x@evil.example", "ftp[:]//a.b[.]example and mailto[:]x@evil[.]example"),
        ("javascript:alert(1)", "javascript[:]alert(1)"),
        ("SMS:+15550100, \u017fms:+15550100", "SMS[:]+15550100, \u017fms[:]+15550100"),
        ("HtTp:evil", "Hxxp:evil"),
        ("evil。example", "evil[.]example"),
        ("cost $5.25, T1110.001, v2.0, 02:59 UTC. Next", "cost $5.25, T1110.001, v2.0, 02:59 UTC. Next"),
    ],
)
def test_addresses_are_broken_and_other_text_is_left(text: str, broken: str) -> None:
    assert defang(text) == broken


@given(ANY_TEXT)
def test_no_text_keeps_a_live_scheme(text: str) -> None:
    assert "://" not in defang(f"{text}http://{text}")


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


@given(ANY_TEXT, st.integers(2, 200))
def test_a_fitted_text_keeps_the_limit_counted_either_way(text: str, limit: int) -> None:
    fitted = fit(text, limit, escape)
    assert size(fitted) <= limit
    assert len(fitted) <= size(fitted)


@given(ANY_TEXT)
def test_a_text_within_the_limit_is_not_cut(text: str) -> None:
    assert fit(text, size(escape(text)) + 1, escape) == escape(text)


def test_no_escape_is_cut_in_two() -> None:
    for limit in range(2, 40):
        fitted = fit("<&" * 40, limit, escape).removesuffix("…")
        assert fitted.replace("&amp;", "").replace("&lt;", "") == ""


def test_a_cut_shows() -> None:
    assert fit("abcdef", 4) == "abc…"
    assert fit("abcd", 4) == "abcd"
    assert fit("😀😀😀", 4) == "😀…"


@pytest.mark.parametrize(
    ("link", "good"),
    [
        ("https://aegis.internal/incidents/1", True),
        ("http://127.0.0.1:8787/incidents/inc_1", True),
        ("javascript:alert(1)", False),
        ("https://a b", False),
        ("https://a\n", False),
        ("https://ä", False),
        ("https://" + "a" * 3000, False),
        ("", False),
    ],
)
def test_only_plain_web_addresses_become_buttons(link: str, good: bool) -> None:
    assert web_link(link) == (link if good else "")
