"""Claims about `aegis rule`: a rule is tried before it watches."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.running import Place, data, place

DOOR = """
title: The side door was opened
id: 6f0f3c2e-6f0a-4f3c-9d2f-8c1f2d1f5b11
name: side_door
status: test
level: high
tags: [attack.initial-access, attack.t1078]
logsource: {product: doors}
detection: {opened: {action: opened, door|startswith: side}, condition: opened}
"""
MATCH = "{logsource: {product: doors}, action: opened, door: side-2}"
IGNORE = "{logsource: {product: doors}, action: opened, door: main-1}"
EXAMPLES = DOOR + f"aegis: {{match: {MATCH}, ignore: {IGNORE}}}\n"
COUNTED = """
title: A side door opens and opens
id: 1c1c3c2e-6f0a-4f3c-9d2f-8c1f2d1f5b11
level: critical
correlation: {type: event_count, rules: [side_door], group-by: [door], timespan: 1m, condition: {gte: 3}}
"""
FILTER = """
title: Cleaners
id: 0a2c5a61-5d0e-4c39-8d22-5a2d9c7b9a10
logsource: {product: doors}
filter: {rules: [side_door], cleaners: {door: side-2}, condition: not cleaners}
"""


def opened(door: str, second: int = 0) -> str:
    fields = {"logsource": {"product": "doors"}, "action": "opened", "door": door}
    return json.dumps({**fields, "time": f"2026-03-03T23:45:{second:02}Z"}) + "\n"


def ruled(folder: Path, *, shipped: bool = False, **files: str) -> Place:
    """A place whose configuration has a folder with these rules."""
    here = place(folder)
    (here.folder / "rules").mkdir()
    for name, text in files.items():
        (here.folder / "rules" / f"{name}.yml").write_text(text)
    here.write(f"detection: {{rules: [{here.folder / 'rules'}], shipped: {str(shipped).lower()}}}\n")
    return here


def rule_file(here: Place, name: str = "door") -> str:
    return str(here.folder / "rules" / f"{name}.yml")


def log(here: Place, *lines: str, name: str = "doors.jsonl") -> str:
    (here.folder / name).write_text("".join(lines))
    return str(here.folder / name)


def tried(here: Place, *arguments: str) -> Any:
    result = here.run("rule", "test", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return data(result)


def test_the_list_has_ours_and_shipped_rules_and_at_the_end_what_is_broken(tmp_path: Path) -> None:
    here = ruled(tmp_path, shipped=True, door=DOOR, broken="title: [")

    listed = data(here.run("rule", "list", "--json"))
    shown = here.run("rule", "list")

    assert listed["schema"] == "aegis.rules/1"
    by_id = {row["id"]: row for row in listed["rules"]}
    own = by_id["6f0f3c2e-6f0a-4f3c-9d2f-8c1f2d1f5b11"]
    assert (own["level"], own["techniques"], own["from"]) == ("high", ["T1078"], "own")
    assert {row["from"] for row in listed["rules"] if row is not own} == {"shipped"}
    assert len(by_id) > 100
    assert [Path(one["file"]).name for one in listed["problems"]] == ["broken.yml"]
    assert "high          The side door was opened | 6f0f3c2e-6f0a-4f3c-9d2f-8c1f2d1f5b11 | T1078 | own" in shown.stdout
    assert "broken.yml" in shown.output.splitlines()[-1]


def test_a_copy_of_a_shipped_rule_is_ones_own_even_in_a_folder_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ruled(tmp_path, shipped=True)
    listed = data(here.run("rule", "list", "--json"))["rules"]
    ours = next(row for row in listed if row["kind"] == "rule")
    copied = here.folder / ours["file"].removeprefix("aegis:")
    copied.parent.mkdir(parents=True)
    copied.write_text(DOOR.replace("6f0f3c2e-6f0a-4f3c-9d2f-8c1f2d1f5b11", ours["id"]))
    monkeypatch.chdir(here.folder)
    here.write("detection: {rules: [rules]}\n")

    after = {row["id"]: row for row in data(here.run("rule", "list", "--json"))["rules"]}

    assert (after[ours["id"]]["title"], after[ours["id"]]["from"]) == ("The side door was opened", "own")


def test_the_shipped_rules_pass_their_own_examples(tmp_path: Path) -> None:
    result = place(tmp_path).run("rule", "check", "--json")

    checked = data(result)
    assert (result.exit_code, checked["ok"], checked["problems"]) == (0, True, [])
    assert checked["examples"] == 2 * checked["rules"] > 200


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("title: a\nlevel: [\n", 3, "not valid YAML"),
        (DOOR.replace("condition: opened", "condition: open"), 2, "the condition names 'open', which is not defined"),
        (DOOR.replace("door|startswith", "door|starts"), 2, "starts"),
        (COUNTED.replace("side_door", "no_such"), 2, "it refers to 'no_such', which is not there"),
        (FILTER.replace("side_door", "no_such"), 2, "it refers to 'no_such', which is not there"),
        (
            FILTER.replace("not cleaners", "not cleaner").replace("[side_door]", "any"),
            2,
            "the condition names 'cleaner', which is not defined",
        ),
        (f"{DOOR}---{DOOR}", 11, "the same id stands in"),
        (DOOR + f"aegis: {{match: {IGNORE}}}\n", 2, "it does not find its example `match`"),
        (DOOR + f"aegis: {{ignore: {MATCH}}}\n", 2, "it finds its example `ignore`, too"),
        (DOOR + "aegis: {match: no line of any log}\n", 2, "its example `match` cannot be used: not a line"),
        (DOOR + "aegis: {match: [{event: {a: 1}, times: 99999}]}\n", 2, "`times` of a step is a whole number"),
        (DOOR + "aegis: {match: [{a: 1}]}\n", 2, "a step of an example is"),
        (DOOR + "aegis: {entity: [door]}\n", 2, "`aegis.entity` is a list of {kind, field}"),
        ("# nothing\n", 0, "holds no Sigma document"),
    ],
    ids=[
        *("yaml", "condition", "modifier", "reference", "filter-reference", "filter-condition", "twice", "match"),
        *("ignore", "no-line", "too-many", "no-step", "entity", "empty"),
    ],
)
def test_a_problem_is_named_by_file_line_and_reason(tmp_path: Path, text: str, line: int, reason: str) -> None:
    here = ruled(tmp_path, mine=text)

    result = here.run("rule", "check", "--json", rule_file(here, "mine"))
    shown = here.run("rule", "check", rule_file(here, "mine"))

    (problem,) = data(result)["problems"]
    assert (result.exit_code, shown.exit_code) == (1, 1)
    assert (problem["file"], problem["line"]) == (rule_file(here, "mine"), line)
    assert reason in problem["reason"]
    assert f"{rule_file(here, 'mine')}{f':{line}' if line else ''}: " in shown.stdout


def test_a_rule_with_good_examples_passes_alone_in_its_folder_and_beside_what_it_counts(tmp_path: Path) -> None:
    steps = f"aegis: {{match: [{{event: {MATCH}, times: 3, every: 5}}], ignore: [{{event: {MATCH}, times: 2}}]}}\n"
    here = ruled(tmp_path, door=EXAMPLES)
    counted = here.folder / "counted.yml"
    counted.write_text(COUNTED + steps)

    for paths, rules in (((rule_file(here),), 1), ((str(here.folder / "rules"),), 1), ((str(counted),), 1), ((), 1)):
        result = here.run("rule", "check", "--json", *paths)
        assert (result.exit_code, data(result)["rules"], data(result)["examples"]) == (0, rules, 2), paths


def test_only_what_was_asked_about_is_told_but_also_what_it_breaks(tmp_path: Path) -> None:
    here = ruled(tmp_path, door=DOOR, broken="title: [")
    fine = here.folder / "fine.yml"
    fine.write_text(FILTER)

    assert here.run("rule", "check", str(fine)).exit_code == 0
    assert here.run("rule", "check").exit_code == 1

    fine.write_text(FILTER.replace("not cleaners", "not cleaner"))
    told = data(here.run("rule", "check", "--json", str(fine)))["problems"]
    assert {Path(one["file"]).name for one in told} == {"door.yml", "fine.yml"}


def test_matching_events_are_counted_and_the_first_are_shown_with_their_place(tmp_path: Path) -> None:
    here = ruled(tmp_path, door=DOOR)
    events = log(here, opened("side-1", 1), opened("main-1", 2), '{"cut": \n', opened("side-2", 3), opened("side-3", 4))

    found = tried(here, rule_file(here), events, "--limit", "2")
    shown = here.run("rule", "test", rule_file(here), events, "--limit", "2").stdout.splitlines()

    assert found["schema"] == "aegis.rule-test/1"
    assert (found["events"], found["rejected"], found["matched"]) == (4, 1, 3)
    assert [one["place"] for one in found["first"]] == ["doors.jsonl:1", "doors.jsonl:4"]
    assert found["rules"][0]["matches"] == 3
    assert shown[0] == "4 events read, 1 lines could not be read, 3 matched"
    assert shown[2].startswith("doors.jsonl:1 2026-03-03T23:45:01.000Z process ")
    assert shown[2].endswith(" | action=opened door=side-1")
    assert shown[-1] == "and 1 more"


def test_a_rule_in_force_is_tried_by_id_and_by_name_and_packed_files_are_read(tmp_path: Path) -> None:
    here = ruled(tmp_path, door=DOOR)
    packed = here.folder / "doors.jsonl.gz"
    packed.write_bytes(gzip.compress(opened("side-1").encode()))

    assert tried(here, "6f0f3c2e-6f0a-4f3c-9d2f-8c1f2d1f5b11", str(packed))["matched"] == 1
    assert tried(here, "side_door", str(packed), str(packed))["events"] == 1, "the same file twice is one file"


def test_rows_that_wrap_the_event_name_where_it_stands(tmp_path: Path) -> None:
    here = ruled(tmp_path, door=DOOR)
    rows = log(here, json.dumps({"event": json.loads(opened("side-1"))}) + "\n")

    assert tried(here, "side_door", rows)["matched"] == 0
    assert tried(here, "side_door", rows, "--at", "/event")["matched"] == 1


def test_a_correlation_counts_and_what_it_counts_is_tried_for_itself(tmp_path: Path) -> None:
    here = ruled(tmp_path, both=f"{DOOR}---{COUNTED}")
    events = log(here, *(opened("side-1", second) for second in (0, 5, 10)), opened("side-2", 15))

    found = tried(here, rule_file(here, "both"), events)

    assert found["matched"] == 4
    assert {row["kind"]: row["matches"] for row in found["rules"]} == {"rule": 4, "correlation": 1}
    alone = tried(here, "1c1c3c2e-6f0a-4f3c-9d2f-8c1f2d1f5b11", events)
    assert [one["place"] for one in alone["first"]] == ["doors.jsonl:3"]
    assert [(row["name"], row["matches"]) for row in alone["counts"]] == [("side_door", 4)], "why it did, or did not"


def test_a_filter_in_force_takes_away_as_it_will_in_earnest(tmp_path: Path) -> None:
    here = ruled(tmp_path, door=DOOR, cleaners=FILTER)
    events = log(here, opened("side-1"), opened("side-2"))

    assert [one["evidence"]["door"] for one in tried(here, "side_door", events)["first"]] == ["side-1"]


def test_a_rule_that_is_off_can_still_be_tried_by_its_file(tmp_path: Path) -> None:
    here = ruled(tmp_path, door=DOOR)
    here.write(f"detection: {{rules: [{here.folder / 'rules'}], shipped: false, off: [side_door]}}\n")
    events = log(here, opened("side-1"))

    assert here.run("rule", "test", "side_door", events).exit_code == 4
    assert tried(here, rule_file(here), events)["matched"] == 1


def test_where_nothing_matches_it_says_what_the_events_are_of(tmp_path: Path) -> None:
    here = ruled(tmp_path, door=DOOR)

    result = here.run(
        "rule", "test", "side_door", log(here, '{"logsource": {"product": "windows-of-doors"}, "a": 1}\n')
    )

    assert "Looked for in product doors; the events are of product windows-of-doors (1)" in result.stderr


def test_hostile_text_stays_on_its_line_and_keys_are_masked(tmp_path: Path) -> None:
    here = ruled(
        tmp_path, door=DOOR.replace("The side door", '"The \\e[2J side door').replace("opened\n", 'opened"\n', 1)
    )
    key = "sk-ant-api03-" + "A1b2C3d4" * 11
    result = here.run("rule", "test", "side_door", log(here, opened(f"side\n\x1b[31m\u202e{key}")))

    assert result.stdout.count("\n") == 3
    assert not {"\x1b", "\u202e"} & set(result.output)
    assert key not in result.output
    assert "\x1b" not in here.run("rule", "list").output


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (DOOR.replace("condition: opened", "condition: open"), 2, "names 'open'"),
        ("title: [", 2, "not valid YAML"),
        (FILTER, 2, "holds no rule that would be used"),
        (COUNTED, 2, "it refers to 'side_door', which is not there"),
        (DOOR.replace("status: test", "status: deprecated"), 2, "holds no rule that would be used"),
    ],
    ids=["condition", "yaml", "filter", "reference", "deprecated"],
)
def test_a_file_without_a_rule_to_try_says_why(tmp_path: Path, text: str, code: int, said: str) -> None:
    here = ruled(tmp_path)
    mine = here.folder / "mine.yml"
    mine.write_text(text)

    result = here.run("rule", "test", str(mine), log(here, opened("side-1")))

    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


def test_nothing_is_opened_kept_or_told(tmp_path: Path) -> None:
    here = ruled(tmp_path, door=EXAMPLES)
    events = log(here, opened("side-1"))
    for words in (("list",), ("check",), ("test", "side_door", events)):
        assert here.run("rule", *words).exit_code == 0

    assert not here.home.exists()
    assert sorted(file.name for file in here.folder.iterdir()) == ["aegis.yaml", "doors.jsonl", "rules"]
