"""Every rule of the starter pack finds its own example, leaves the other one alone, and says what it is about."""

from importlib.resources import files
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from aegis.core.incidents import Event, Severity
from aegis.core.techniques import TACTICS, TECHNIQUES
from aegis.incidents.detection import Detector
from aegis.incidents.rules.examples import events_of
from aegis.incidents.rules.pack import RulePack, load_pack
from aegis.sigma.reading import parse_rules
from aegis.sigma.rules import Correlation, Rule

FOLDER = Path(str(files("aegis.incidents.rules")))
PACK = load_pack()
ALONE = Detector(RulePack(rules=PACK.rules, entities=PACK.entities))


def whole(path: Path) -> Rule | Correlation:
    """The one rule of a file, with its examples."""
    parsed = parse_rules(path.read_text(), origin=path.name)
    both: tuple[Rule | Correlation, ...] = (*parsed.rules, *parsed.correlations)
    (rule,) = both
    return rule


WHOLE = {path.relative_to(FOLDER).with_suffix("").as_posix(): whole(path) for path in sorted(FOLDER.rglob("*.yml"))}
COUNTED = {name for rule in PACK.correlations for name in rule.rules}
ALERTS_OF_OTHERS = {WHOLE[f"alerts/{level}"].id for level in ("low", "medium", "high", "critical")}
PARAMETERS = [pytest.param(rule, id=name) for name, rule in WHOLE.items()]


def found(events: list[Event], rule: Rule | Correlation) -> bool:
    """Whether the rule matches; a rule that is only counted is tried without what counts it."""
    detector = ALONE if isinstance(rule, Rule) else Detector(PACK)
    return rule.id in {detection.rule_id for detection in detector.detect(events)}


@pytest.mark.parametrize("rule", PARAMETERS)
def test_the_rule_finds_its_example_and_not_the_other(rule: Rule | Correlation) -> None:
    assert found(events_of(rule.aegis["match"]), rule)
    assert not found(events_of(rule.aegis["ignore"]), rule)


@pytest.mark.parametrize("rule", PARAMETERS)
def test_the_rule_is_complete_and_in_the_words_of_attack(rule: Rule | Correlation) -> None:
    assert UUID(rule.id).version == 4
    assert rule.title
    assert rule.description.endswith(".")
    assert rule.falsepositives
    assert rule.level in {"informational", "low", "medium", "high", "critical"}
    assert PACK.entities[rule.id]
    if rule.id not in ALERTS_OF_OTHERS:  # those say nothing about how somebody got there
        assert rule.techniques
    assert set(rule.tactics) == {
        tactic
        for tactic in TACTICS
        if tactic in rule.tactics and any(tactic in TECHNIQUES[t].tactics for t in rule.techniques)
    }
    assert all(set(TECHNIQUES[technique].tactics) & set(rule.tactics) for technique in rule.techniques)


@pytest.mark.parametrize("rule", PARAMETERS)
def test_the_detection_is_about_something_in_the_example(rule: Rule | Correlation) -> None:
    events = events_of(rule.aegis["match"])
    detector = ALONE if isinstance(rule, Rule) else Detector(PACK)
    (first, *_) = [one for one in detector.detect(events) if one.rule_id == rule.id]
    kinds = [kind for _, kind in PACK.entities[rule.id]]
    assert first.entity.kind in kinds
    assert first.entity.value.rpartition("\\")[2] in orjson.dumps(events[-1].fields).decode().lower() + str(
        events[-1].fields
    )


CLOUDTRAIL = {
    "eventSource": "s3.amazonaws.com",
    "eventName": "PutBucketPolicy",
    "userIdentity": {"arn": "arn:aws:iam::1:user/a"},
}
OPEN = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}


@pytest.mark.parametrize(
    ("statements", "public"),
    [
        ([OPEN], True),
        ([{**OPEN, "Principal": {"AWS": ["*"]}}], True),
        ([{**OPEN, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}], False),
        ([{**OPEN, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, OPEN], True),
        ([{**OPEN, "Effect": "Deny"}, {**OPEN, "Principal": {"Service": "x"}}], False),
    ],
)  # fmt: skip
def test_a_bucket_is_public_by_the_statement_not_by_its_neighbours(
    statements: list[dict[str, object]], public: bool
) -> None:
    event = {**CLOUDTRAIL, "requestParameters": {"bucketName": "b", "bucketPolicy": {"Statement": statements}}}
    assert found(events_of(event), WHOLE["aws/bucket_public"]) is public


@pytest.mark.parametrize(
    ("command", "matches"),
    [
        ("reg save HKLM\\SAM sam.hiv", True),
        ('reg.exe export "HKLM\\SYSTEM" x', True),
        ("reg export HKLM\\SYSTEM\\CurrentControlSet\\Services x", False),
        ("wbadmin delete backup -deleteOldest", False),
        ("wbadmin delete systemstatebackup -keepVersions:0", True),
    ],
)
def test_maintenance_is_not_theft(command: str, matches: bool) -> None:
    event = {
        "EventID": 4688,
        "Channel": "Security",
        "Computer": "WS7",
        "NewProcessName": "C:\\x.exe",
        "CommandLine": command,
    }
    assert bool(ALONE.detect(events_of(event))) is matches


def test_the_pack_loads_without_a_problem_and_is_large_enough() -> None:
    assert PACK.problems == ()
    assert len(PACK.rules) + len(PACK.correlations) == len(WHOLE) >= 45
    areas = [name.partition("/")[0] for name in WHOLE]
    assert {area: areas.count(area) for area in set(areas)}.keys() == {
        "alerts",
        "aws",
        "linux",
        "windows",
        "web",
        "models",
    }


def test_what_is_only_counted_is_named_by_a_correlation_and_stays_silent() -> None:
    detector = Detector(PACK)
    for rule in WHOLE.values():
        if rule.level == "informational":
            assert rule.name in COUNTED
            assert rule.id not in {one.rule_id for one in detector.detect(events_of(rule.aegis["match"]))}


def test_only_a_minority_wakes_people() -> None:
    loud = [rule for rule in WHOLE.values() if Severity.from_level(rule.level) >= Severity.HIGH]
    assert len(loud) < len(WHOLE) / 2


def test_no_technique_is_listed_that_no_rule_names() -> None:
    assert set(TECHNIQUES) == {technique for rule in WHOLE.values() for technique in rule.techniques}


MINE = "title: Mine\nid: {id}\nstatus: {status}\nlevel: low\nlogsource: {{product: x}}\ndetection: {{a: {{b: c}}, condition: a}}\n"


def test_a_users_rule_replaces_ours_and_can_switch_it_off(tmp_path: Path) -> None:
    first, second = PACK.rules[0], PACK.rules[1]
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "a.yml").write_text(MINE.format(id=first.id, status="test"))
    (tmp_path / "b.yaml").write_text(MINE.format(id=second.id, status="deprecated"))
    pack = load_pack([tmp_path])
    assert pack.problems == ()
    assert [rule.title for rule in pack.rules if rule.id == first.id] == ["Mine"]
    assert second.id not in {rule.id for rule in pack.rules}
    assert first.id not in pack.entities


def test_ours_can_be_left_out_and_single_rules_switched_off() -> None:
    assert load_pack(shipped=False).rules == ()
    smaller = load_pack(off=frozenset({PACK.rules[0].id, "ssh_brute_force"}))
    assert len(smaller.rules) + len(smaller.correlations) == len(WHOLE) - 2


def test_a_broken_file_is_named_and_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "1.yml").write_text("title: [")
    (tmp_path / "2.yml").write_bytes(b"\xff\xfe")
    (tmp_path / "3.yml").write_text(MINE.format(id="same", status="test"))
    (tmp_path / "4.yml").write_text(MINE.format(id="same", status="test"))
    (tmp_path / "5.yml").write_text("x" * (1 << 20) + "y")
    (tmp_path / "6.yml").write_text(MINE.format(id="odd", status="test") + "aegis: {entity: [source_ip]}\n")
    (tmp_path / "notes.txt").write_text("not a rule")
    pack = load_pack([tmp_path, tmp_path / "absent"])
    places = [problem.origin.rpartition("/")[2] for problem in pack.problems]
    assert places == ["1.yml", "2.yml", "4.yml", "5.yml", "absent", "6.yml"]
    assert len(pack.rules) == len(PACK.rules) + 2
