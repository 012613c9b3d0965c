"""Analysis: a model when it is due and allowed, the offline analysis otherwise, the same schema always."""

from dataclasses import replace

import pytest
from tests.incidents.answers import good_answer
from tests.incidents.stage import FakeAnalyst, FakeGovernor, analysing, detection, incident

from aegis.core.calls import Priority
from aegis.core.errors import (
    BreakerOpen,
    BudgetExceeded,
    QueueFull,
    RateLimited,
    ServiceError,
    Stopped,
    StoreError,
    Throttled,
    UnknownPrice,
)
from aegis.core.incidents import AnalysisSource, Observable, Severity, Status

pytestmark = pytest.mark.anyio
OFFLINE, MODEL, CACHED = AnalysisSource.OFFLINE, AnalysisSource.MODEL, AnalysisSource.CACHED


def clean() -> FakeAnalyst:
    return FakeAnalyst(lambda _: good_answer())


async def test_the_call_names_its_purpose_its_models_and_its_worst_case() -> None:
    governor, analyst = FakeGovernor(), clean()
    about = incident(detection(severity=Severity.CRITICAL))

    analysed = await analysing(analyst, governor).analyse(about)

    (call,) = governor.calls
    assert call.models == ("claude-opus-5-5", "claude-sonnet-5-5")
    assert call.scope["purpose"] == "incident"
    assert call.scope["severity"] == "CRITICAL"
    assert call.priority is Priority.CRITICAL
    assert call.worst["output_tokens"] == 1_200
    assert call.worst["input_tokens"] >= len(analyst.requests[0].user)
    assert (analysed.analysis.source, analysed.analysis.model) == (MODEL, "claude-opus-5-5")
    assert analysed.analysis.cost == governor.admitted[0].cost > 0


@pytest.mark.parametrize("severity", [Severity.LOW, Severity.MEDIUM])
async def test_below_high_no_model_is_asked(severity: Severity) -> None:
    governor = FakeGovernor()

    analysed = await analysing(clean(), governor).analyse(incident(detection(severity=severity)))

    assert (analysed.analysis.source, governor.calls) == (OFFLINE, [])
    assert analysed.analysis.why_offline == "severity below HIGH"


async def test_without_a_model_it_is_offline_and_says_so() -> None:
    analysed = await analysing(None).analyse(incident())

    assert (analysed.analysis.source, analysed.analysis.why_offline) == (OFFLINE, "no model is configured")


@pytest.mark.parametrize(
    "error",
    [
        BudgetExceeded("no money", budget="b", line="l", limit=1, settled=1, held=0, need=1),
        RateLimited("too fast"),
        BreakerOpen("broken"),
        Throttled("slow down"),
        QueueFull("full"),
        Stopped("stopped"),
        UnknownPrice("no price"),
        StoreError("away"),
    ],
)
async def test_every_refusal_gives_an_offline_analysis_with_its_reason(error: Exception) -> None:
    analysed = await analysing(clean(), FakeGovernor(refuse=error)).analyse(incident())

    assert analysed.analysis.source is OFFLINE
    assert analysed.analysis.why_offline
    assert [entry.kind for entry in analysed.entries] == ["refused"]
    assert str(error) in analysed.entries[0].text
    assert analysed.analysis.actions


async def test_a_failing_service_gives_an_offline_analysis() -> None:
    analyst = FakeAnalyst(lambda _: "", error=ServiceError("anthropic", "answered 529", retryable=True))

    analysed = await analysing(analyst).analyse(incident())

    assert analysed.analysis.why_offline == "the model service failed"


@pytest.mark.parametrize("text", ["", "I am sorry", good_answer(severity="MINOR")])
async def test_a_bad_answer_is_paid_for_and_replaced(text: str) -> None:
    governor = FakeGovernor(caching=True)

    analysed = await analysing(FakeAnalyst(lambda _: text), governor).analyse(incident())

    assert analysed.analysis.source is OFFLINE
    assert analysed.analysis.cost == governor.admitted[0].cost > 0
    assert governor.answers == {}


async def test_an_answer_that_was_cut_off_is_not_used() -> None:
    analysed = await analysing(FakeAnalyst(lambda _: good_answer(), complete_answer=False)).analyse(incident())

    assert "cut off" in analysed.analysis.why_offline


async def test_the_same_evidence_is_answered_from_the_cache_free() -> None:
    governor, analyst = FakeGovernor(caching=True), clean()
    first = incident(detection(evidence={"message": "sshd[4411]: Failed password for root port 40022"}))
    repeat = incident(detection(at=30, evidence={"message": "sshd[9120]: Failed password for root port 51000"}))
    analysis = analysing(analyst, governor)

    await analysis.analyse(first)
    again = await analysis.analyse(repeat)

    assert len(analyst.requests) == 1
    assert (again.analysis.source, again.analysis.cost) == (CACHED, 0)


@pytest.mark.parametrize(
    "changed",
    [
        detection(evidence={"message": "Failed password for admin"}),
        detection(entity="203.0.113.10"),
        detection("other-rule"),
        detection("other-rule", title="Ssh brute force"),
        detection(severity=Severity.CRITICAL),
        detection(observables=[Observable("user", "deploy")]),
        detection(techniques=["T1078"]),
    ],
)
async def test_other_evidence_is_another_question(changed: object) -> None:
    governor = FakeGovernor(caching=True)
    analysis = analysing(clean(), governor)

    await analysis.analyse(incident(detection()))
    await analysis.analyse(incident(changed))  # type: ignore[arg-type]

    keys = [call.cache_key for call in governor.calls]
    assert len(set(keys)) == 2


async def test_a_critical_incident_reuses_only_an_exact_match() -> None:
    governor = FakeGovernor(caching=True)
    analysis = analysing(clean(), governor)
    for port in ("40022", "51000"):
        evidence = {"message": f"Accepted password for root port {port}"}
        await analysis.analyse(incident(detection(severity=Severity.CRITICAL, evidence=evidence)))

    assert len({call.cache_key for call in governor.calls}) == 2


@pytest.mark.parametrize("doubtful", [{"confidence": "low"}, {"severity": "LOW"}, {"techniques": ["T9999"]}])
async def test_a_doubtful_answer_is_used_but_not_kept(doubtful: dict[str, object]) -> None:
    governor = FakeGovernor(caching=True)

    analysed = await analysing(FakeAnalyst(lambda _: good_answer(**doubtful)), governor).analyse(incident())

    assert analysed.analysis.source is MODEL
    assert governor.answers == {}


async def test_personal_data_stays_here_and_comes_back_in_the_answer() -> None:
    analyst = FakeAnalyst(lambda request: good_answer(summary=request.user[request.user.index("EMAIL_") :][:16]))
    about = incident(
        detection(entity=Observable("email", "anna.berg@example.org"), evidence={"message": "Anna failed"})
    )

    analysed = await analysing(analyst).analyse(about)

    assert "example.org" not in analyst.requests[0].user
    assert "Anna" not in analyst.requests[0].user
    assert analysed.analysis.summary == "anna[.]berg(at)example[.]org"


async def test_a_hidden_indicator_is_still_recognised() -> None:
    def pointing(request: object) -> str:
        user = request.user  # type: ignore[attr-defined]
        return good_answer(iocs=[{"kind": "email", "value": user[user.index("EMAIL_") :][:16]}])

    mailbox = Observable("email", "anna.berg@example.org")
    analysed = await analysing(FakeAnalyst(pointing)).analyse(incident(detection(entity=mailbox)))

    assert analysed.analysis.iocs == (mailbox,)


async def test_the_prompt_is_bounded_whatever_the_evidence() -> None:
    analyst = clean()
    huge = {f"field-{n}": "A" * 100_000 for n in range(100)}
    about = incident(*[detection(f"rule-{n}", evidence=huge) for n in range(20)])

    await analysing(analyst).analyse(about)

    assert len(analyst.requests[0].user) < 40_000


async def test_every_call_has_its_own_boundary_and_mark() -> None:
    analyst = clean()
    analysis = analysing(analyst)

    await analysis.analyse(incident())
    await analysis.analyse(incident())

    one, other = analyst.requests
    assert one.user.split("\n")[3] != other.user.split("\n")[3]
    assert one.system != other.system
    assert one.user.split("\n")[4] == other.user.split("\n")[4]


async def test_money_incidents_ask_nobody() -> None:
    governor = FakeGovernor()
    about = replace(incident(detection(severity=Severity.CRITICAL)), kind="spend", status=Status.OPEN)

    analysed = await analysing(clean(), governor).analyse(about)

    assert (analysed.analysis.source, governor.calls) == (OFFLINE, [])
