"""The whole incident path on fakes: nothing lost, nothing doubled, the page first."""

from datetime import timedelta

import anyio
import pytest
from tests.incidents.answers import good_answer
from tests.incidents.stage import FakeAnalyst, FakeEnricher, FakeGovernor, Stage, detection, event

from aegis.core.errors import BadInput, BudgetExceeded, StoreError
from aegis.core.incidents import AnalysisSource, Observable, Severity, Status
from aegis.core.telemetry import DetectionMade

pytestmark = pytest.mark.anyio


async def test_an_incident_pages_before_any_model_is_asked() -> None:
    analyst = FakeAnalyst(lambda _: good_answer())
    stage = Stage(analyst=analyst)

    await stage.take(detection(severity=Severity.HIGH))

    assert stage.store.sent("pagerduty") == ["opened"]
    assert analyst.requests == []


async def test_the_analysis_follows_as_an_update_of_the_same_incident() -> None:
    stage = Stage(analyst=FakeAnalyst(lambda _: good_answer()))

    await stage.take(detection(severity=Severity.HIGH))
    await stage.pipeline.drain()

    assert stage.store.sent("slack") == ["opened", "analysed"]
    analysis = stage.only().analysis
    assert analysis is not None
    assert analysis.source is AnalysisSource.MODEL
    assert stage.only().cost == analysis.cost > 0


async def test_low_and_medium_incidents_open_and_are_analysed_offline_without_a_second_message() -> None:
    analyst = FakeAnalyst(lambda _: good_answer())
    stage = Stage(analyst=analyst)

    await stage.take(detection(severity=Severity.LOW), detection("other", severity=Severity.MEDIUM, entity="10.9.9.9"))
    await stage.pipeline.drain()

    assert {one.analysis.source for one in stage.store.incidents.values() if one.analysis} == {AnalysisSource.OFFLINE}
    assert stage.store.sent("slack") == ["opened", "opened"]
    assert (stage.store.sent("jira"), stage.store.sent("pagerduty")) == (["opened"], [])
    assert analyst.requests == []


async def test_a_malicious_finding_on_a_low_incident_is_told() -> None:
    stage = Stage(enrichers=[FakeEnricher()])

    await stage.take(detection(severity=Severity.LOW))
    await stage.pipeline.drain()

    assert stage.store.sent("slack") == ["opened", "analysed"]


async def test_a_hundred_repeats_ask_a_model_once() -> None:
    analyst = FakeAnalyst(lambda _: good_answer())
    stage = Stage(analyst=analyst)

    for minute in range(100):
        await stage.take(detection(at=minute % 50))
        await stage.pipeline.drain()

    assert len(analyst.requests) == 1
    assert stage.only().count == 100
    assert stage.store.sent("slack") == ["opened", "analysed", "updated", "updated"]


async def test_a_raise_asks_again() -> None:
    analyst = FakeAnalyst(lambda _: good_answer())
    stage = Stage(analyst=analyst)

    await stage.take(detection(severity=Severity.HIGH))
    await stage.pipeline.drain()
    await stage.take(detection("trail-stopped", severity=Severity.CRITICAL))
    await stage.pipeline.drain()

    assert [request.model for request in analyst.requests] == ["claude-sonnet-5-5", "claude-opus-5-5"]
    assert stage.store.sent("pagerduty") == ["opened", "analysed", "raised", "analysed"]


async def test_events_and_their_incidents_are_committed_together_or_not_at_all() -> None:
    stage = Stage()
    stage.store.down = True
    with pytest.raises(StoreError):
        await stage.take(detection())
    assert (stage.store.done, stage.store.incidents, stage.changes()) == ([], {}, [])

    stage.store.down = False
    await stage.pipeline.handle([event("event-0")])

    assert stage.store.done == ["event-0"]
    assert stage.only().count == 1
    assert stage.changes() == ["opened"]


async def test_the_same_events_after_a_crash_open_no_second_incident() -> None:
    before = Stage()
    await before.take(detection())

    after = Stage(store=before.store)
    after.ids.last = 500
    await after.pipeline.resume()
    await after.take(detection())

    assert len(after.store.incidents) == 1
    assert after.store.sent("pagerduty") == ["opened"]


async def test_after_a_crash_an_incident_without_an_analysis_is_picked_up() -> None:
    before = Stage()
    await before.take(detection())

    after = Stage(store=before.store, analyst=FakeAnalyst(lambda _: good_answer()))
    await after.pipeline.resume()
    await after.pipeline.drain()

    assert after.only().analysis is not None
    assert after.store.sent("slack") == ["opened", "analysed"]


async def test_without_budget_the_analysis_is_offline_and_says_why() -> None:
    refusal = BudgetExceeded("no money", budget="analysis", line="day", limit=1, settled=1, held=0, need=1)
    stage = Stage(analyst=FakeAnalyst(lambda _: good_answer()), governor=FakeGovernor(refuse=refusal))

    await stage.take(detection())
    await stage.pipeline.drain()

    analysis = stage.only().analysis
    assert analysis is not None
    assert (analysis.source, analysis.why_offline) == (AnalysisSource.OFFLINE, "its budget is used up")
    assert "refused" in {entry.kind for entry in stage.only().timeline}


async def test_detections_that_come_while_the_model_thinks_are_not_lost() -> None:
    stage = Stage()

    class Slow(FakeAnalyst):
        async def complete(self, request):  # type: ignore[no-untyped-def]
            if not self.requests:
                await stage.take(detection(at=5), detection("web-shell", severity=Severity.CRITICAL, at=6))
            return await super().complete(request)

    stage.pipeline._analysis._analyst = Slow(lambda _: good_answer())
    await stage.take(detection())
    await stage.pipeline.drain()

    assert (stage.only().count, stage.only().severity) == (3, Severity.CRITICAL)
    assert stage.store.sent("pagerduty") == ["opened", "raised", "analysed", "analysed"]


async def test_worst_first() -> None:
    analyst = FakeAnalyst(lambda _: good_answer())
    stage = Stage(analyst=analyst)

    await stage.take(
        detection(severity=Severity.HIGH, entity="10.0.0.1"), detection(severity=Severity.CRITICAL, entity="10.0.0.2")
    )
    await stage.pipeline.step()

    assert [request.model for request in analyst.requests] == ["claude-opus-5-5"]


async def test_people_acknowledge_resolve_and_reopen_and_everybody_hears_of_it() -> None:
    stage = Stage(services=["slack"])
    await stage.take(detection())
    name = stage.only().id

    await stage.pipeline.acknowledge(name, by="ana")
    await stage.pipeline.acknowledge(name, by="ben")
    await stage.pipeline.resolve(name, by="ana")
    with pytest.raises(BadInput):
        await stage.pipeline.acknowledge(name, by="ben")
    await stage.pipeline.reopen(name, by="ben")
    await stage.pipeline.note(name, by="ben", text="it was the scanner")

    assert stage.store.sent("slack") == ["opened", "acknowledged", "resolved", "reopened", "noted"]
    assert [entry.text for entry in stage.only().timeline][-4:] == [
        "Acknowledged by ana",
        "Resolved by ana",
        "Reopened by ben",
        "it was the scanner",
    ]
    with pytest.raises(BadInput):
        await stage.pipeline.resolve("inc_none", by="ana")


async def test_a_repeat_reopens_a_resolved_incident() -> None:
    stage = Stage(services=["slack"])
    await stage.take(detection())
    await stage.pipeline.resolve(stage.only().id, by="ana")

    await stage.take(detection(at=30))

    assert stage.only().status is Status.OPEN
    assert stage.store.sent("slack") == ["opened", "resolved", "reopened"]


async def test_a_budget_crossing_is_an_incident_once_per_budget_window_and_level() -> None:
    analyst = FakeAnalyst(lambda _: good_answer())
    stage = Stage(analyst=analyst)
    budget = Observable("budget", "analysis")

    async def crossing(level: str, severity: Severity) -> None:
        facts = {"budget": "analysis", "window": "day", "level": level, "spent": "$1.00", "limit": "$1.00"}
        title = f"Budget analysis crossed {level}"
        await stage.pipeline.open_spend(title=title, severity=severity, entity=budget, facts=facts)

    await crossing("warning", Severity.MEDIUM)
    await crossing("emergency", Severity.CRITICAL)
    await crossing("emergency", Severity.CRITICAL)
    await stage.pipeline.drain()

    found = sorted(stage.store.incidents.values(), key=lambda one: one.severity)
    assert [(one.kind, one.severity.name, one.count) for one in found] == [
        ("spend", "MEDIUM", 1),
        ("spend", "CRITICAL", 2),
    ]
    assert stage.store.sent("pagerduty") == ["opened", "analysed"]
    assert analyst.requests == []


async def test_every_detection_is_told_to_the_observers() -> None:
    stage = Stage()

    await stage.take(detection(), detection(), detection("other"))

    assert sum(isinstance(one, DetectionMade) for one in stage.happened) == 3


async def test_the_background_work_survives_a_store_that_goes_away() -> None:
    stage = Stage(analyst=FakeAnalyst(lambda _: good_answer()))
    await stage.take(detection())
    stage.store.down = True

    class Patient(type(stage.clock)):  # type: ignore[misc]
        async def sleep_ms(self, milliseconds: int) -> None:
            await super().sleep_ms(milliseconds)
            stage.store.down = False

    stage.pipeline._clock = Patient()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.pipeline.work)
            while stage.only().analysis is None:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    assert stage.store.sent("slack") == ["opened", "analysed"]


async def test_serious_news_are_analysed_again_after_a_while_and_never_more_often() -> None:
    analyst = FakeAnalyst(lambda _: good_answer())
    stage = Stage(analyst=analyst)
    await stage.take(detection("first", severity=Severity.CRITICAL))
    await stage.pipeline.drain()

    for number in range(5):
        await stage.take(detection(f"more-{number}", at=number))
        await stage.pipeline.drain()
    await stage.pipeline.revisit()
    await stage.pipeline.drain()
    assert len(analyst.requests) == 1

    stage.clock.at += timedelta(minutes=15)
    for _ in range(3):
        await stage.pipeline.revisit()
        await stage.pipeline.drain()
    assert len(analyst.requests) == 2
    assert stage.store.sent("pagerduty")[-1] == "analysed"


async def test_outdated_analyses_are_remembered_over_a_restart() -> None:
    analyst = FakeAnalyst(lambda _: good_answer())
    stage = Stage(analyst=analyst)
    await stage.take(detection("first"))
    await stage.pipeline.drain()
    await stage.take(detection("second", at=1))

    again = Stage(analyst=analyst, store=stage.store)
    await again.pipeline.resume()
    again.clock.at = stage.clock.at + timedelta(minutes=16)
    await again.pipeline.revisit()
    await again.pipeline.drain()

    assert len(analyst.requests) == 2
