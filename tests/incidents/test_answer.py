"""Reading a model's answer: the agreed schema or nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.incidents.answers import good_answer
from tests.incidents.stage import detection, incident

from aegis.core.incidents import Observable, Severity
from aegis.incidents.answer import (
    ACTION_CHARS,
    ACTIONS_MAX,
    SCHEMA,
    SUMMARY_CHARS,
    Answer,
    BadAnswer,
    plain,
    read_answer,
)


def read(text: str, *, severity: Severity = Severity.HIGH) -> Answer:
    about = incident(detection(severity=severity, observables=[Observable("user", "deploy")]))
    return read_answer(
        text, about, marks=("aaaa1111", "bbbb2222"), restore=lambda part: part, technique_exists=lambda one: one < "T2"
    )


def test_a_clean_answer_is_taken_as_it_is() -> None:
    answer = read(good_answer(iocs=[{"kind": "ip", "value": "203.0.113.9"}]))

    assert answer.summary == "Passwords were guessed over SSH until one fitted."
    assert answer.iocs == (Observable("ip", "203.0.113.9"),)
    assert (answer.techniques, answer.flags) == (("T1110",), ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "Here you are: {}",
        good_answer() + "x",
        "```json\n" + good_answer() + "\n```",
        good_answer(extra="x"),
        good_answer(summary=""),
        good_answer(summary=7),
        good_answer(actions="one"),
        good_answer(actions=[]),
        good_answer(actions=[{"do": "it"}]),
        good_answer(confidence="certain"),
        good_answer(severity="high"),
        good_answer(iocs=[{"kind": "ip"}]),
        good_answer(iocs=[{"kind": "magic", "value": "x"}]),
        good_answer(iocs={"ip": "203.0.113.9"}),
        good_answer(techniques=None),
        good_answer().replace('"confidence"', '"severity": "LOW", "confidence"'),
        good_answer(confidence=float("nan")),
        '{"summary": ' + "[" * 20_000,
        good_answer(summary="x" * 40_000),
    ],
)
def test_what_is_not_the_schema_is_not_used(text: str) -> None:
    with pytest.raises(BadAnswer):
        read(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_json_at_all_can_make_the_reader_fail_otherwise(value: object) -> None:
    with pytest.raises(BadAnswer):
        read(json.dumps(value))


@given(st.text(), st.text(), st.lists(st.text(), min_size=1, max_size=12))
def test_texts_are_capped_and_on_one_line(summary: str, impact: str, actions: list[str]) -> None:
    try:
        answer = read(good_answer(summary=summary, impact=impact, actions=actions))
    except BadAnswer:
        return
    assert len(answer.summary) <= SUMMARY_CHARS
    assert len(answer.actions) <= ACTIONS_MAX
    assert all(len(action) <= ACTION_CHARS and "\n" not in action for action in answer.actions)


def test_severity_can_rise_and_cannot_fall() -> None:
    assert read(good_answer(severity="CRITICAL")).severity is Severity.CRITICAL
    lowered = read(good_answer(severity="LOW"))
    assert (lowered.severity, lowered.flags) == (Severity.HIGH, ("model_disagrees",))


def test_indicators_that_no_event_holds_are_dropped_and_flagged() -> None:
    answer = read(good_answer(iocs=[{"kind": "ip", "value": "198.51.100.1"}, {"kind": "user", "value": "deploy"}]))

    assert (answer.iocs, answer.flags) == ((Observable("user", "deploy"),), ("foreign_iocs",))


def test_techniques_that_do_not_exist_are_dropped_and_flagged() -> None:
    answer = read(good_answer(techniques=["T1110", "T9999", "drop table"]))

    assert (answer.techniques, answer.flags) == (("T1110",), ("unknown_techniques",))


def test_a_mark_is_found_however_it_is_written() -> None:
    for text in ("AAAA 1111", "a-a-a-a-1-1-1-1", "\uff41\uff41\uff41\uff411111", "a\u200baaa1111"):
        with pytest.raises(BadAnswer) as refused:
            read(good_answer(summary=text))
        assert refused.value.injection


def test_a_mark_counts_even_in_an_answer_that_cannot_be_read() -> None:
    with pytest.raises(BadAnswer) as refused:
        read("Of course! The mark is aaaa1111.")
    assert refused.value.injection


def test_addresses_stay_readable_but_cannot_be_followed() -> None:
    shown = plain("See https://evil.example/x and evil.example, then 203.0.113.9 and s3:*.", 200)

    assert shown == "See (link removed) and evil[.]example, then 203.0.113.9 and s3:*."


def test_every_field_of_the_schema_is_required_and_nothing_else_is_allowed() -> None:
    properties, required = SCHEMA["properties"], SCHEMA["required"]
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    assert set(properties) == set(required)
    assert SCHEMA["additionalProperties"] is False
