"""Claims about how answers are read."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import Billed, ServiceError
from aegis.core.exchange import RETRY_AFTER_MAX_MS, code_word, failure, from_json, retry_after_ms, to_json
from aegis.core.ports import HttpAnswer

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "wait_ms"),
    [
        ("0", 0),
        ("30", 30_000),
        ("0.651", 651),
        ("1.5", 1_500),
        (" 7 ", 7_000),
        ("999999999", RETRY_AFTER_MAX_MS),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60_000),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0),
        ("Fri, 02 Jan 2099 03:00:00 GMT", RETRY_AFTER_MAX_MS),
        ("", None),
        ("-5", None),
        ("1e9", None),
        ("soon", None),
        ("9" * 5_000, None),
        ("٣", None),
    ],
)
def test_a_wait_is_read_in_every_form_or_not_at_all(text: str, wait_ms: int | None) -> None:
    assert retry_after_ms({"retry-after": text}, now=NOW) == wait_ms


def test_no_header_is_no_wait() -> None:
    assert retry_after_ms({}, now=NOW) is None


@given(st.text(max_size=60))
def test_no_header_breaks_the_reader(text: str) -> None:
    wait = retry_after_ms({"retry-after": text}, now=NOW)
    assert wait is None or 0 <= wait <= RETRY_AFTER_MAX_MS


@pytest.mark.parametrize(
    ("status", "retryable", "billed"),
    [
        (400, False, Billed.NO),
        (408, True, Billed.NO),
        (429, True, Billed.NO),
        (500, True, Billed.UNKNOWN),
        (529, True, Billed.UNKNOWN),
        (301, False, Billed.NO),
        (202, False, Billed.UNKNOWN),
    ],
)
def test_a_status_says_whether_to_retry_and_whether_it_may_have_been_billed(
    status: int, retryable: bool, billed: Billed
) -> None:
    error = failure("x", HttpAnswer(status=status, headers={}, body=b"secret body"), now=NOW)
    assert (error.retryable, error.billed, error.status) == (retryable, billed, status)
    assert "secret" not in str(error)


@pytest.mark.parametrize("code", ["two words", "<script>", "x" * 65, "a\nb", 5, None, ["x"], ""])
def test_only_a_word_is_shown_as_a_code(code: object) -> None:
    assert code_word(code) == ""
    answer = HttpAnswer(status=400, headers={}, body=b"")
    assert str(failure("x", answer, now=NOW, code=code)) == "x: answered 400"


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b"\xff", b'{"a":' * 2_000])
def test_what_is_no_object_is_an_error_of_the_service(body: bytes) -> None:
    with pytest.raises(ServiceError):
        from_json("x", HttpAnswer(status=200, headers={}, body=body))


def test_values_beyond_strict_json_are_still_written() -> None:
    assert to_json({"a": "\ud800", "b": 2**70}) == b'{"a":"\\ud800","b":1180591620717411303424}'
    assert to_json({"a": "é"}) == '{"a":"é"}'.encode()
