"""Grouping: what belongs together becomes one incident, nothing is lost, and nothing is ever made smaller."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.incidents.stage import NOON, Ids, detection

from aegis.core.incidents import Detection, Incident, Observable, Severity, Status
from aegis.incidents.draft import SAMPLES_MAX, SPEND
from aegis.incidents.grouping import Bounds, Folded, Grouping

ROOT, ALICE = Observable("user", "root"), Observable("user", "alice")
WEB, DB = Observable("host", "web-1"), Observable("host", "db-1")

entities = st.sampled_from([ALICE, ROOT, WEB, DB, *(Observable("ip", f"198.51.100.{n}") for n in range(3))])
any_detection = st.builds(
    detection,
    rule=st.sampled_from(["guess", "login", "sudo", "upload", "trail-off"]),
    severity=st.sampled_from(list(Severity)),
    entity=entities,
    at=st.integers(0, 400),
    observables=st.lists(entities, max_size=3),
    tactics=st.lists(st.sampled_from(["credential-access", "persistence", "exfiltration", "impact"]), max_size=2),
)
batches = st.lists(st.lists(any_detection, max_size=6), max_size=8)


def grown(*rounds: Sequence[Detection], bounds: Bounds | None = None) -> tuple[Grouping, list[Folded]]:
    """A grouping that has kept each round, and what each round changed."""
    grouping = Grouping(new_id=Ids(), bounds=bounds)
    folded = []
    for number, detections in enumerate(rounds):
        folded.append(grouping.fold(detections, now=NOON + timedelta(minutes=number)))
        grouping.keep(folded[-1].incidents)
    return grouping, folded


def state(folded: Sequence[Folded]) -> dict[str, Incident]:
    return {incident.id: incident for one in folded for incident in one.incidents}


def changes(folded: Folded) -> list[str]:
    return [emission.change for emission in folded.emissions]


# --- rules that always hold ------------------------------------------------------------------------------------


@given(batches)
def test_every_detection_is_counted_exactly_once(rounds: list[list[Detection]]) -> None:
    incidents = state(grown(*rounds)[1]).values()

    assert sum(incident.count for incident in incidents) == sum(map(len, rounds))
    assert all(sum(incident.repeats.values()) == incident.count for incident in incidents)


@given(batches)
def test_an_incident_never_becomes_milder_or_smaller(rounds: list[list[Detection]]) -> None:
    last: dict[str, Incident] = {}
    for folded in grown(*rounds)[1]:
        for incident in folded.incidents:
            if (before := last.get(incident.id)) is not None:
                assert incident.severity >= before.severity
                assert incident.count > before.count
                assert incident.risk >= before.risk
                assert incident.version == before.version + 1
            last[incident.id] = incident


@given(batches)
def test_an_incident_is_at_least_as_bad_as_its_worst_detection(rounds: list[list[Detection]]) -> None:
    for incident in state(grown(*rounds)[1]).values():
        assert incident.severity >= max(sample.severity for sample in incident.detections)


@given(st.lists(any_detection, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_arrival_inside_a_batch_loses_nothing(detections: list[Detection], chance: object) -> None:
    shuffled = list(detections)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    one, other = grown(detections)[1][0], grown(shuffled)[1][0]

    assert _fingerprints(one) == _fingerprints(other)
    assert max((i.severity for i in one.incidents), default=0) >= max((d.severity for d in detections), default=0)


def _fingerprints(folded: Folded) -> dict[str, int]:
    total: dict[str, int] = {}
    for incident in folded.incidents:
        for fingerprint, count in incident.repeats.items():
            total[fingerprint] = total.get(fingerprint, 0) + count
    return total


@given(batches, st.integers(0, 8))
def test_a_restart_at_any_point_changes_nothing(rounds: list[list[Detection]], stop: int) -> None:
    _, without = grown(*rounds)

    ids, kept = Ids(), dict[str, Incident]()
    grouping = Grouping(new_id=ids)
    for number, detections in enumerate(rounds):
        if number == stop:
            grouping = Grouping(new_id=ids)
            grouping.restore(kept.values())
        folded = grouping.fold(detections, now=NOON + timedelta(minutes=number))
        grouping.keep(folded.incidents)
        kept |= {incident.id: incident for incident in folded.incidents}

    assert kept == state(without)


@given(batches, st.lists(any_detection, max_size=6))
def test_planning_changes_nothing_until_it_is_kept(rounds: list[list[Detection]], more: list[Detection]) -> None:
    grouping, _ = grown(*rounds)
    held = dict(grouping._index.live)

    grouping.fold(more, now=NOON)

    assert grouping._index.live == held


@given(batches)
def test_samples_stay_bounded(rounds: list[list[Detection]]) -> None:
    for incident in state(grown(*rounds)[1]).values():
        assert len(incident.detections) <= SAMPLES_MAX
        assert incident.tactics == tuple(dict.fromkeys(incident.tactics))


# --- folding and linking ---------------------------------------------------------------------------------------


def test_the_same_rule_and_entity_is_folded() -> None:
    _, (first, second) = grown([detection()], [detection(at=3)])

    assert (changes(first), changes(second)) == (["opened"], [])
    assert second.incidents[0].count == 2
    assert second.incidents[0].last_seen == NOON + timedelta(minutes=3)


def test_a_shared_user_links_different_rules() -> None:
    grouping, (_, second) = grown(
        [detection("guess", observables=[ALICE])], [detection("sudo", entity=WEB, observables=[ALICE], at=20)]
    )

    assert len(grouping._index.live) == 1
    assert second.incidents[0].rules == ("guess", "sudo")


def test_a_name_that_every_machine_has_links_nothing() -> None:
    for shared in (ROOT, Observable("user", "NT AUTHORITY\\SYSTEM"), Observable("user", "WS-17$")):
        grouping, _ = grown([detection("a", observables=[shared])], [detection("b", entity=WEB, observables=[shared])])
        assert len(grouping._index.live) == 2
    loopback, cloud = Observable("ip", "127.0.0.1"), Observable("account", "210987654321")
    for shared in (loopback, cloud, Observable("technique", "T1110"), Observable("process", "cmd.exe")):
        grouping, _ = grown([detection("a", observables=[shared])], [detection("b", entity=WEB, observables=[shared])])
        assert len(grouping._index.live) == 2


def test_the_installations_own_hubs_link_nothing() -> None:
    scanner = Observable("ip", "10.0.0.5")
    grouping = Grouping(new_id=Ids(), hubs=["10.0.0.5"])
    folded = grouping.fold(
        [detection("a", observables=[scanner]), detection("b", entity=WEB, observables=[scanner])], now=NOON
    )

    assert len(folded.incidents) == 2


def test_an_entity_on_too_many_hosts_stops_linking() -> None:
    hosts = [Observable("host", f"ws-{n}") for n in range(30)]
    grouping, _ = grown([detection("a", entity=host, observables=[ALICE]) for host in hosts])

    sizes = sorted(incident.count for incident in grouping._index.live.values())

    assert sizes == [10, 20]


def test_an_hour_of_silence_ends_the_linking_but_not_the_folding() -> None:
    linked = detection("sudo", entity=WEB, observables=[ALICE], at=61)
    grouping, _ = grown([detection("guess", observables=[ALICE])], [linked])
    assert len(grouping._index.live) == 2

    grouping, _ = grown([detection("guess")], [detection("guess", at=6 * 60)])
    assert len(grouping._index.live) == 1


def test_the_gap_slides_but_a_day_is_the_most() -> None:
    rounds = [[detection(f"rule-{n}", entity=WEB, observables=[ALICE], at=n * 50)] for n in range(30)]
    grouping, _ = grown(*rounds)

    assert sorted(incident.count for incident in grouping._index.live.values()) == [1, 29]


def test_too_many_different_things_open_the_next_incident() -> None:
    rules = [detection(f"rule-{n}", observables=[ALICE]) for n in range(7)]
    grouping, _ = grown(rules, bounds=Bounds(fingerprints_max=5))

    assert sorted(incident.count for incident in grouping._index.live.values()) == [2, 5]


def test_a_late_detection_finds_its_incident() -> None:
    grouping, _ = grown([detection("guess", observables=[ALICE], at=60)], [detection("sudo", entity=ALICE, at=5)])

    (incident,) = grouping._index.live.values()
    assert incident.first_seen == NOON + timedelta(minutes=5)


def test_memory_is_bounded_and_the_longest_untouched_goes() -> None:
    rounds = [[detection(entity=f"10.0.0.{n}")] for n in range(12)]
    grouping, _ = grown(*rounds, bounds=Bounds(live_max=5))

    assert [incident.entity.value for incident in grouping._index.live.values()] == [
        f"10.0.0.{n}" for n in range(7, 12)
    ]
    assert len(grouping._index.by_entity) == len(grouping._index.by_fingerprint) == 5


# --- severity, risk and what is told ---------------------------------------------------------------------------


def test_three_tactics_by_three_rules_raise_by_one_level() -> None:
    steps = [
        detection(f"rule-{n}", severity=Severity.MEDIUM, tactics=[tactic], observables=[ALICE])
        for n, tactic in enumerate(("initial-access", "persistence", "exfiltration"))
    ]
    _, folded = grown(steps[:2], steps[2:])

    assert folded[1].incidents[0].severity is Severity.HIGH
    assert changes(folded[1]) == ["raised"]
    assert "3 tactics" in folded[1].incidents[0].timeline[-1].text


def test_many_different_medium_things_reach_high_by_risk() -> None:
    rules = [[detection(f"rule-{n}", severity=Severity.MEDIUM, observables=[ALICE])] for n in range(13)]
    _, folded = grown(*rules)

    assert folded[11].incidents[0].severity is Severity.MEDIUM
    assert (folded[12].incidents[0].severity, folded[12].incidents[0].risk) == (Severity.HIGH, 260)


def test_repetition_alone_never_raises() -> None:
    _, folded = grown([detection(severity=Severity.HIGH)], [detection(severity=Severity.HIGH)] * 5_000)

    assert folded[1].incidents[0].severity is Severity.HIGH
    assert folded[1].incidents[0].count == 5_001


def test_what_an_analysis_raised_no_detection_lowers() -> None:
    grouping, folded = grown([detection(severity=Severity.HIGH)])
    grouping.keep([replace(folded[0].incidents[0], severity=Severity.CRITICAL)])

    again = grouping.fold([detection("other", severity=Severity.LOW), detection()], now=NOON)

    assert again.incidents[0].severity is Severity.CRITICAL
    assert again.emissions == ()


def test_ten_and_a_hundred_times_are_told_and_nothing_between() -> None:
    _, folded = grown(*[[detection()] for _ in range(120)])

    assert [number for number, one in enumerate(folded, 1) if one.emissions] == [1, 10, 100]


def test_the_title_names_the_worst_thing_and_whom_it_is_about() -> None:
    mild = detection("guess", severity=Severity.LOW, observables=[ALICE])
    worse = detection("trail-off", title="Audit trail stopped", severity=Severity.HIGH, entity=ALICE)
    _, folded = grown([mild], [worse])

    assert folded[0].incidents[0].title == "Guess from 203.0.113.9"
    assert folded[1].incidents[0].title == "Audit trail stopped by alice"


def test_a_resolved_incident_is_reopened_by_a_repeat_but_not_by_a_link() -> None:
    grouping, folded = grown([detection("guess", observables=[ALICE])])
    grouping.keep([replace(folded[0].incidents[0], status=Status.RESOLVED)])

    again = grouping.fold([detection("guess", at=9)], now=NOON)
    other = grouping.fold([detection("sudo", entity=WEB, observables=[ALICE], at=9)], now=NOON)

    assert (changes(again), again.incidents[0].status) == (["reopened"], Status.OPEN)
    assert changes(other) == ["opened"]


def test_after_a_week_the_same_thing_is_a_new_incident() -> None:
    week = timedelta(days=7, minutes=1)
    grouping, _ = grown([detection(at=NOON)], [detection(at=NOON + week)])

    assert len(grouping._index.live) == 2


def test_a_budgets_crossing_links_to_nothing_and_is_new_in_the_next_window() -> None:
    budget = Observable("budget", "analysis")
    crossing = detection("budget:analysis:day:warning", entity=budget, source=SPEND, observables=[ALICE])
    tomorrow = detection("budget:analysis:day:warning", entity=budget, source=SPEND, at=24 * 60)
    grouping, _ = grown([crossing, detection("sudo", entity=ALICE)], [tomorrow])

    assert sorted(incident.kind for incident in grouping._index.live.values()) == ["security", "spend", "spend"]


def test_serious_news_of_a_known_incident_are_told_quietly() -> None:
    _, folded = grown(
        [detection("first", severity=Severity.CRITICAL)],
        [detection("second", at=1)],
        [detection("second", at=2)],
        [detection("third", severity=Severity.MEDIUM, at=3)],
    )

    assert [changes(one) for one in folded] == [["opened"], ["updated"], [], []]


def test_a_flood_of_different_serious_things_is_told_ever_more_rarely() -> None:
    _, folded = grown(*[[detection(f"rule-{number}", at=number // 10)] for number in range(200)])
    told = [change for one in folded for change in changes(one)]

    assert told[0] == "opened"
    assert 10 <= told.count("updated") <= 16
