"""Claims about masking, up to fifty planted canaries that appear nowhere."""

import base64
import io
import json
import logging
import traceback
from collections.abc import Iterator
from random import Random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import ConfigError, ServiceError
from aegis.core.secret import Secret
from aegis.secrets.logs import LINE_CHARS_MAX, logger, set_up
from aegis.secrets.redaction import Redactor
from aegis.testing import START

ALPHABET = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
HARD = "+/=&%\"'\\<>é \n{}$"
CANARIES = 50


def _canaries() -> list[str]:
    """Fifty values no pattern knows; every third one with characters that are written differently on the way."""
    chance = Random(7)
    return [
        "".join(chance.choice(ALPHABET + (HARD if number % 3 == 0 else "")) for _ in range(chance.randint(12, 60)))
        for number in range(CANARIES)
    ]


def _watching(values: list[str]) -> Redactor:
    redactor = Redactor()
    for value in values:
        redactor.watch(Secret(value))
    return redactor


@pytest.fixture
def restored() -> Iterator[None]:
    """The standard logging as it was before the test."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], logging.raiseExceptions = before[0], before[2]
    root.setLevel(before[1])


def _hits(text: str, values: list[str]) -> list[str]:
    """The canaries that can be read from a text, in any of the ways they may have been written into it."""
    forms = {
        value: {
            value,
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            repr(value)[1:-1],
            quote(value, safe=""),
            base64.b64encode(value.encode()).decode(),
        }
        for value in values
    }
    return [value for value in values if any(form in text for form in forms[value])]


def _fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "lines"])
def test_fifty_planted_secrets_reach_no_log_error_repr_or_traceback(restored: None, as_json: bool) -> None:
    values, stream = _canaries(), io.StringIO()
    redactor = _watching(values)
    set_up(stream, redactor=redactor, now=lambda: START, as_json=as_json, level=logging.DEBUG)
    ours, theirs = logger("aegis.test"), logging.getLogger("library")

    for value in values:
        ours.info("sent %s", value, nested={"a": [value, {"b": (value,)}]}, secret=Secret(value), raw=value.encode())
        ours.info(f"in the sentence: {value}", url=f"https://x.example/{quote(value)}?q={quote(value, safe='')}")
        ours.info("basic", header=base64.b64encode(f"user:{value}".encode()).decode(), token=value)
        theirs.warning("library said %r to %s", value, {"password": value})
        theirs.error(json.dumps({"body": value}))
        try:
            _fail(ServiceError("slack", f"refused {value}", retryable=False))
        except ServiceError as error:
            ours.exception("failed", error=error, again=repr(error))
            theirs.exception("library failed")
        try:
            try:
                _fail(ValueError(value))
            except ValueError as inner:
                raise ConfigError(value) from inner
        except ConfigError:
            stream.write(redactor.text(traceback.format_exc()))

    written = stream.getvalue()
    assert written.count("Traceback") >= 3 * CANARIES
    assert _hits(written, values) == []


def test_without_watching_the_same_canaries_would_be_found(restored: None) -> None:
    values, stream = _canaries(), io.StringIO()
    set_up(stream, redactor=Redactor(), now=lambda: START)

    for value in values:
        logger("aegis.test").info("sent", text=value)

    assert len(_hits(stream.getvalue(), values)) == CANARIES


def test_a_record_is_one_json_object_with_its_time_level_and_fields(restored: None) -> None:
    stream = io.StringIO()
    set_up(stream, redactor=Redactor(), now=lambda: START)

    logger("aegis.outbox").warning("late\nline", service="slack", count=3)

    (line,) = stream.getvalue().splitlines()
    assert json.loads(line) == {
        "at": "2026-01-01T00:00:00.000Z", "logger": "aegis.outbox", "level": "warning", "event": "late\nline",
        "service": "slack", "count": 3,
    }  # fmt: skip


def test_for_people_a_hostile_line_stays_one_line(restored: None) -> None:
    stream = io.StringIO()
    set_up(stream, redactor=Redactor(), now=lambda: START, as_json=False)

    logger("aegis.intake").info("user\nERROR forged", host="a\r\nb")

    assert len(stream.getvalue().splitlines()) == 1


def test_a_record_has_a_bound(restored: None) -> None:
    stream = io.StringIO()
    set_up(stream, redactor=Redactor(), now=lambda: START)

    logger("aegis.intake").info("long", text="x" * 1_000_000)

    assert len(stream.getvalue()) <= LINE_CHARS_MAX + 1


def test_fields_named_like_secrets_are_masked_whatever_they_hold() -> None:
    value = {"api_key": "abc", "count": 3, "inner": {"password": 12345, "user": "eve"}, "token": None}

    assert Redactor().value(value) == {
        "api_key": "***",
        "count": 3,
        "inner": {"password": "***", "user": "eve"},
        "token": None,
    }


def test_a_password_inside_a_basic_header_is_found() -> None:
    redactor = _watching(["correct-horse-battery"])

    for user in ("a", "ab", "abc"):
        header = base64.b64encode(f"{user}:correct-horse-battery".encode()).decode()
        assert base64.b64encode(b"horse-batt").decode()[2:10] not in redactor.text(f"header={header}")


def test_each_line_of_a_long_secret_is_looked_for() -> None:
    lines = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"]
    redactor = _watching(["\n".join(lines)])

    assert redactor.text(f"1: {lines[1]}") == "1: ***"


def test_short_values_do_not_mask_words() -> None:
    assert _watching(["in", "admin"]).text("an admin came in") == "an admin came in"


def test_variables_named_like_secrets_are_watched() -> None:
    redactor = Redactor()
    redactor.watch_environment({"JIRA_API_TOKEN": "plain-looking-value", "LANG": "C.UTF-8"})

    assert redactor.text("plain-looking-value in C.UTF-8") == "*** in C.UTF-8"


@given(
    st.text(min_size=6, max_size=40).filter(lambda text: text.strip() == text and "*" not in text), st.text(), st.text()
)
def test_a_watched_value_never_survives_in_any_text(value: str, before: str, after: str) -> None:
    masked = _watching([value]).text(f"{before}{value}{after}")

    # What is left may only hold the value where it was put together anew from what stood around it.
    assert len(masked) < len(before) + len(value) + len(after) or value not in masked
