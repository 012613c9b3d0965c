"""The engine as a whole: log sources, formats, evidence, filters, placeholders, and what it reports."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from tests.sigma.rulebook import engine_of, item_rule, one_rule

from aegis.core.incidents import LogSource
from aegis.sigma import Engine, Filter, Match, parse_rules

SYSMON = "Microsoft-Windows-Sysmon/Operational"


def source_rule(rule_id: str, line: dict[str, Any], **logsource: str) -> Any:
    return one_rule({"selection": line, "condition": "selection"}, rule_id=rule_id, logsource=logsource)


def evtx(channel: str, number: Any, **data: Any) -> dict[str, Any]:
    return {
        "Event": {
            "#attributes": {"xmlns": "x"},
            "System": {
                "Provider": {"#attributes": {"Name": "Some-Provider", "Guid": "g"}},
                "EventID": number,
                "Channel": channel,
                "Computer": "HOST",
                "TimeCreated": {"#attributes": {"SystemTime": "2026-11-21T10:00:00Z"}},
            },
            "EventData": data,
        }
    }


def ids(found: tuple[Match, ...]) -> list[str]:
    return [match.rule.id for match in found]


@pytest.mark.parametrize(
    ("channel", "number", "source"),
    [
        (SYSMON, 1, {"product": "windows", "category": "process_creation"}),
        (SYSMON, "1", {"product": "windows", "service": "sysmon"}),
        (SYSMON.upper(), 13, {"product": "windows", "category": "registry_set"}),
        (SYSMON, 13, {"product": "windows", "category": "registry_event"}),
        (SYSMON, 12, {"product": "windows", "category": "registry_delete"}),
        (SYSMON, 26, {"product": "windows", "category": "file_delete"}),
        (SYSMON, {"#text": 1, "#attributes": {"Qualifiers": ""}}, {"category": "process_creation"}),
        ("Security", 4688, {"product": "windows", "category": "process_creation"}),
        ("security", 4624, {"product": "windows", "service": "security"}),
        ("PowerShellCore/Operational", 4104, {"product": "windows", "category": "ps_script"}),
        ("Windows PowerShell", 400, {"product": "windows", "category": "ps_classic_start"}),
        ("Some/Unheard-Of", 7, {"product": "windows"}),
    ],
)
def test_a_windows_event_shows_its_log_source(channel: str, number: Any, source: dict[str, str]) -> None:
    engine = engine_of(source_rule("r", {"f": "x"}, **source))
    assert ids(engine.match(evtx(channel, number, f="x"))) == ["r"]
    assert ids(engine.naive_match(evtx(channel, number, f="x"))) == ["r"]
    if not isinstance(number, dict):
        winlog = {"channel": channel, "event_id": number, "event_data": {"f": "x"}}
        assert ids(engine.match({"winlog": winlog})) == ["r"]
        assert ids(engine.match({"Channel": channel, "EventID": number, "f": "x"})) == ["r"]


@pytest.mark.parametrize(
    "source",
    [
        {"product": "linux"},
        {"product": "windows", "category": "file_event"},
        {"product": "windows", "service": "security"},
        {"product": "windows", "category": "process_creation", "service": "security"},
    ],
)
def test_a_rule_for_another_log_source_does_not_look(source: dict[str, str]) -> None:
    engine = engine_of(source_rule("r", {"f": "x"}, **source))
    assert engine.match({"Channel": SYSMON, "EventID": 1, "f": "x"}) == ()


def test_the_caller_adds_what_the_event_does_not_show() -> None:
    engine = engine_of(source_rule("r", {"f": "x"}, product="linux", service="sshd"))
    assert engine.match({"f": "x"}) == ()
    assert ids(engine.match({"f": "x"}, LogSource(product="linux", service="sshd"))) == ["r"]
    assert engine.match({"f": "x"}, LogSource(product="linux")) == ()


def test_a_rule_that_asks_for_nothing_looks_at_everything() -> None:
    engine = engine_of(source_rule("r", {"f": "x"}, definition="none"))
    assert ids(engine.match({"f": "x"})) == ["r"]
    assert ids(engine.match({"Channel": "Security", "EventID": 1, "f": "x"})) == ["r"]


def test_the_audited_process_answers_to_the_names_of_sysmon() -> None:
    line = {"Image|endswith": "\\cmd.exe", "ParentImage|endswith": "\\word.exe"}
    engine = engine_of(source_rule("r", line, product="windows", category="process_creation"))
    event = evtx("Security", 4688, NewProcessName="C:\\cmd.exe", ParentProcessName="C:\\word.exe")
    found = engine.match(event)
    assert ids(found) == ["r"]
    assert found[0].evidence == {"Image": "C:\\cmd.exe", "ParentImage": "C:\\word.exe"}
    assert engine.match(evtx("System", 4688, NewProcessName="C:\\cmd.exe", ParentProcessName="C:\\word.exe")) == ()
    assert engine.match(evtx("Security", 4689, NewProcessName="C:\\cmd.exe", ParentProcessName="C:\\word.exe")) == ()


def test_the_channel_of_the_payload_does_not_redirect_an_event() -> None:
    engine = engine_of(source_rule("r", {"EventID": 104}, product="windows", service="system"))
    event = evtx("System", 104)
    event["Event"]["UserData"] = {"LogFileCleared": {"Channel": "Security", "EventID": 1}}
    assert ids(engine.match(event)) == ["r"]


def test_spaces_in_field_names_are_left_out() -> None:
    engine = engine_of(source_rule("r", {"NewValue|contains": "x"}, product="windows", service="windefend"))
    channel = "Microsoft-Windows-Windows Defender/Operational"
    assert ids(engine.match(evtx(channel, 5007, **{"New Value": "axb"}))) == ["r"]
    assert ids(engine.match({"Channel": channel, "EventID": 5007, "New Value": "axb"})) == ["r"]


def test_two_spellings_of_a_field_are_two_fields() -> None:
    engine = engine_of(source_rule("r", {"IpAddress": "-"}, product="windows"))
    assert engine.match({"Channel": "Security", "EventID": 4624, "IPAddress": "-", "IpAddress": "::1"}) == ()


def test_an_empty_element_of_a_windows_event_is_null_and_empty() -> None:
    null = source_rule("null", {"f": None}, product="windows")
    empty = source_rule("empty", {"f": ""}, product="windows")
    engine = engine_of(null, empty)
    assert ids(engine.match(evtx("Security", 1, f=""))) == ["null", "empty"]
    assert ids(engine.match(evtx("Security", 1))) == ["null"]
    assert ids(engine.naive_match(evtx("Security", 1, f=""))) == ["null", "empty"]


def test_a_cloudtrail_record_is_known_by_its_fields() -> None:
    line = {"eventName": "ConsoleLogin", "userIdentity.type": "Root", "responseElements.ConsoleLogin": "Success"}
    engine = engine_of(source_rule("r", line, product="aws", service="cloudtrail"))
    record = {
        "eventSource": "signin.amazonaws.com",
        "eventName": "ConsoleLogin",
        "userIdentity": {"type": "Root"},
        "responseElements": {"ConsoleLogin": "Success"},
    }
    found = engine.match(record)
    assert ids(found) == ["r"]
    assert found[0].evidence["userIdentity.type"] == "Root"
    assert engine.match({**record, "eventName": "DescribeInstances"}) == ()
    assert engine.match({**record, "eventName": ["ConsoleLogin", "x"]}) == engine.naive_match(
        {**record, "eventName": ["ConsoleLogin", "x"]}
    )


def test_a_web_log_is_known_by_its_fields() -> None:
    engine = engine_of(source_rule("r", {"cs-uri-query|contains": "../"}, category="webserver"))
    assert ids(engine.match({"cs-method": "GET", "cs-uri-query": "a=../../etc"})) == ["r"]


def test_no_value_of_a_class_field_is_taken_for_another() -> None:
    one = source_rule("one", {"EventID": 1}, product="windows")
    true = source_rule("true", {"EventID": "true"}, product="windows")
    engine = engine_of(one, true)
    for number, expected in ((1, ["one"]), (True, ["true"]), (1.0, ["one"]), ("1", ["one"]), (2, [])):
        assert ids(engine.match({"Channel": "x", "EventID": number})) == expected


def test_evidence_is_what_the_rule_looks_at_and_no_more() -> None:
    rule = one_rule({"a": {"f|contains": "x", "g": None}, "b": {"h": "z"}, "condition": "a and not b"})
    engine = engine_of(rule)
    (match,) = engine.match({"f": "x" * 2_000, "h": ["p", 2], "secret": "s"}, LogSource(product="app"))
    assert set(match.evidence) == {"f", "h"}
    assert len(match.evidence["f"]) == 512
    assert match.evidence["h"] == "p, 2"


def test_the_evidence_of_a_keyword_is_the_field_that_holds_it() -> None:
    engine = engine_of(one_rule({"words": ["evil", "bad"], "condition": "words"}))
    (match,) = engine.match({"a": "good", "b": "an Evil thing"}, LogSource(product="app"))
    assert match.evidence == {"b": "an Evil thing"}


def filter_text(condition: str, rules: str = "[rule]") -> str:
    return f"""
title: Known administrators
logsource: {{product: app}}
filter:
  rules: {rules}
  selection: {{user|startswith: adm_}}
  condition: {condition}
"""


@pytest.mark.parametrize("condition", ["selection", "not selection"])
@pytest.mark.parametrize("rules", ["[rule]", "any", "[other, rule]"])
def test_a_filter_takes_matches_away_however_it_is_written(condition: str, rules: str) -> None:
    filters = parse_rules(filter_text(condition, rules), origin="f.yml").filters
    engine = engine_of(item_rule({"f": "x"}), filters=filters)
    app = LogSource(product="app")
    assert ids(engine.match({"f": "x", "user": "eve"}, app)) == ["rule"]
    assert engine.match({"f": "x", "user": "adm_bob"}, app) == ()


@pytest.mark.parametrize("change", [{"rules": ("other",)}, {"logsource": LogSource(product="app", service="s")}])
def test_a_filter_leaves_other_rules_alone(change: dict[str, Any]) -> None:
    (one,) = parse_rules(filter_text("selection"), origin="f.yml").filters
    values = {name: getattr(one, name) for name in one.__slots__} | change
    engine = engine_of(item_rule({"f": "x"}), filters=[Filter(**values)])
    assert ids(engine.match({"f": "x", "user": "adm_bob"}, LogSource(product="app"))) == ["rule"]


def test_placeholders_stand_for_lists() -> None:
    rule = item_rule({"user|expand": "%admins%"})
    engine = engine_of(rule, placeholders={"admins": ["bob", "al*"]})
    app = LogSource(product="app")
    assert [bool(engine.match({"user": user}, app)) for user in ("bob", "alice", "eve", "%admins%")] == [
        True,
        True,
        False,
        False,
    ]
    (problem,) = Engine([rule]).problems
    assert "%admins%" in problem.reason


@pytest.mark.parametrize(
    ("detection", "reason"),
    [
        ({"s": {"f|nope": "x"}, "condition": "s"}, "nope"),
        ({"s": {"f|i": "x"}, "condition": "s"}, "misplaced"),
        ({"s": {"f|re|contains": "x"}, "condition": "s"}, "contains"),
        ({"s": {"f|re": "("}, "condition": "s"}, "regular expression"),
        ({"s": {"f|re": "(a+)+(?=b)"}, "condition": "s"}, "bounded time"),
        ({"s": {"f|re": r"(a)\1*$"}, "condition": "s"}, "bounded time"),
        ({"s": {"f|cidr": "10.0.0.0/99"}, "condition": "s"}, "network"),
        ({"s": {"f|gt": "many"}, "condition": "s"}, "number"),
        ({"s": {"f|exists": "perhaps"}, "condition": "s"}, "exists"),
        ({"s": {"f|base64": "a*b"}, "condition": "s"}, "wildcards"),
        ({"s": {"f|contains": None}, "condition": "s"}, "null"),
        ({"s": {"f": []}, "condition": "s"}, "no values"),
        ({"s": {"f": {"g": "x"}}, "condition": "s"}, "mapping"),
        ({"s": {}, "condition": "s"}, "empty"),
        ({"s": {"f|windash": " -a -b -c -d -e -f"}, "condition": "s"}, "windash"),
        ({"s": {"f": "x"}, "condition": "t"}, "'t'"),
        ({"s": {"f": "x"}, "condition": "s and"}, "ends"),
        ({"s": {"f": "x"}, "condition": "(s"}, "bracket"),
        ({"s": {"f": "x"}, "condition": "s s"}, "should end"),
        ({"s": {"f": "x"}, "condition": "1 of t*"}, "selects nothing"),
        ({"s": {"f": "x"}, "condition": "s | count() > 5"}, "pipe"),
        ({"s": {"f": "x"}, "condition": "(" * 100 + "s" + ")" * 100}, "deeper"),
        ({"s": {"f": "x"}, "condition": "s or not s"}, None),
    ],
)
def test_a_rule_that_cannot_be_used_is_named_and_the_rest_works(detection: dict[str, Any], reason: str | None) -> None:
    engine = Engine([one_rule(detection, rule_id="broken"), item_rule({"f": "x"}, rule_id="sound")])
    assert ids(engine.match({"f": "x"}, LogSource(product="app")))[-1] == "sound"
    if reason is None:
        assert engine.problems == ()
    else:
        (problem,) = engine.problems
        assert problem.rule.startswith("broken")
        assert reason in problem.reason


def test_the_second_rule_of_an_id_is_refused() -> None:
    engine = Engine([item_rule({"f": "x"}), item_rule({"f": "y"})])
    assert [problem.rule for problem in engine.problems] == ["rule rule"]
    assert engine.match({"f": "y"}, LogSource(product="app")) == ()


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        ("a and b or c", lambda a, b, c: (a and b) or c),
        ("a or b and c", lambda a, b, c: a or (b and c)),
        ("not a and b", lambda a, b, c: not a and b),
        ("not (a and b)", lambda a, b, c: not (a and b)),
        ("not not a", lambda a, b, c: a),
        ("a and not (b or c)", lambda a, b, c: a and not (b or c)),
        ("1 of them", lambda a, b, c: a or b or c),
        ("any of them", lambda a, b, c: a or b or c),
        ("all of them", lambda a, b, c: a and b and c),
        ("all of * and not c", lambda a, b, c: False),
        ("a AND NOT b", lambda a, b, c: a and not b),
        ("1 of a* or all of _x*", lambda a, b, c: a),
        ("((a))", lambda a, b, c: a),
    ],
)
def test_a_condition_binds_as_the_specification_says(condition: str, truth: Any) -> None:
    selections = {"a": {"f|contains": "1"}, "b": {"f|contains": "2"}, "c": {"f|contains": "3"}, "_x": {"f": "never"}}
    engine = engine_of(one_rule({**selections, "condition": condition}))
    for text in ("-", "1", "2", "3", "12", "13", "23", "123"):
        expected = truth("1" in text, "2" in text, "3" in text)
        assert bool(engine.match({"f": text}, LogSource(product="app"))) == expected, text


LATE = {"early": {"f|contains": "x"}, "late": {"g|re": "^a"}, "ref": {"g|fieldref": "h"}}


@pytest.mark.parametrize(
    "condition",
    [
        "early or late",
        "early and late",
        "late and not early",
        "early and not late",
        "not early or not late",
        "early or ref",
        "ref and not early",
        "not (early and late) or ref",
        "1 of *",
        "all of *",
        "(early or late) and not (early and ref)",
    ],
)
def test_what_is_asked_late_changes_no_answer(condition: str) -> None:
    rules = [
        one_rule({**LATE, "condition": condition}),
        one_rule({**LATE, "late": {"g|re": "abc.*d"}, "condition": condition}, rule_id="gated"),
    ]
    engine, afresh = engine_of(*rules), engine_of(*rules, caches=None)
    app = LogSource(product="app")
    for f, g, h in product(("x", "y", None), ("abcd", "ABCD", "b", None), ("abcd", "b", None)):
        event = {"f": f, "g": g, "h": h}
        assert engine.match(event, app) == engine.naive_match(event, app) == afresh.match(event, app), event


def test_a_list_of_conditions_is_any_of_them() -> None:
    engine = engine_of(one_rule({"a": {"f": "1"}, "b": {"f": "2"}, "condition": ["a", "b"]}))
    assert [bool(engine.match({"f": text}, LogSource(product="app"))) for text in "123"] == [True, True, False]
