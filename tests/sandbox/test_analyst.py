"""The rule-made answers follow any schema they are given and name only what the question named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aegis.sandbox.analyst import fill, write_text
from aegis.sandbox.facts import read_facts

FACTS = json.dumps({"severity": "CRITICAL", "detections": 14, "first_seen": "2026-03-03T23:42:00Z"})
EVIDENCE = json.dumps(
    {
        "about": {"kind": "ip", "value": "203.0.113.66"},
        "observables": [{"kind": "user", "value": "deploy"}],
        "techniques": ["T1110", "T1078"],
        "detections": [{"rule": "Many failed logins", "severity": "HIGH"}, {"rule": "Login after failures"}],
    }
)
QUESTION = f"Facts:\n{FACTS}\nEvidence:\n-----x-----\n{EVIDENCE}\n-----x-----"


def test_facts_are_read_from_json_lines() -> None:
    facts = read_facts(QUESTION)
    assert facts.titles == ("Many failed logins", "Login after failures")
    assert (facts.severity, facts.count, facts.techniques) == ("CRITICAL", 14, ("T1110", "T1078"))
    assert facts.indicators == (("ip", "203.0.113.66"), ("user", "deploy"))


def test_the_words_name_who_is_meant() -> None:
    said = write_text(QUESTION)
    assert "Many failed logins" in said
    assert "Block 203.0.113.66 and reset the passwords of deploy" in said


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        {"type": ["string", "null"], "maxLength": 10},
        {"type": "integer", "minimum": 5, "maximum": 9},
        {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
        {"const": "x"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"enum": ["one", "two"]}}},
        {
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"type": "array", "items": {"enum": ["x"]}, "minItems": 2}},
        },
        {"type": "string", "minLength": 400},
    ],
)
@pytest.mark.parametrize("text", [QUESTION, "", "hello"])
def test_a_schema_is_followed(schema: dict[str, Any], text: str) -> None:
    assert list(Draft202012Validator(schema).iter_errors(fill(schema, text))) == []


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    loop = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"inner": {"$ref": "#/$defs/a"}}}}}
    assert fill(loop, QUESTION) is not None
    assert fill({"$ref": "#"}, QUESTION) is None


@given(st.text(max_size=300))
def test_any_text_gives_an_answer(text: str) -> None:
    assert write_text(text)
    assert fill({"type": "object", "properties": {"summary": {"type": "string"}}}, text)["summary"]
