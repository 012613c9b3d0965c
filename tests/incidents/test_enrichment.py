"""Look-ups: governed, few, once a day, and never in the way."""

from datetime import timedelta

import pytest
from tests.incidents.stage import FakeClock, FakeEnricher, FakeGovernor, Ids, detection, incident

from aegis.core.calls import Priority
from aegis.core.errors import BudgetExceeded, RateLimited, ServiceError, StoreError
from aegis.core.incidents import Observable, Severity, Verdict
from aegis.incidents.enrichment import LOOKUPS_MAX, Enrichment, read_finding, write_finding

pytestmark = pytest.mark.anyio
HASH = Observable("file_hash", "ab" * 32)


def enrichment(*enrichers: FakeEnricher, governor: FakeGovernor, clock: FakeClock | None = None) -> Enrichment:
    return Enrichment(enrichers, governor=governor, clock=clock or FakeClock(), new_id=Ids())


async def test_every_look_up_is_a_governed_call_in_the_incidents_name() -> None:
    governor = FakeGovernor()
    about = incident(detection(severity=Severity.HIGH))

    found = await enrichment(FakeEnricher(), governor=governor).enrich(about)

    (call,) = governor.calls
    assert (call.service, call.operation, call.worst) == ("virustotal", "lookup", {"requests": 1})
    assert call.scope == {"purpose": "incident", "incident": about.id, "severity": "HIGH", "source": "auth.log"}
    assert call.priority is Priority.HIGH
    assert governor.admitted[0].settled[0][0] == {"requests": 1}
    assert [finding.verdict for finding in found.findings] == [Verdict.MALICIOUS]
    assert found.cost == governor.admitted[0].cost


async def test_a_source_is_only_asked_about_what_it_accepts_and_attack_about_techniques() -> None:
    governor, scanner = FakeGovernor(), FakeEnricher(kinds=("file_hash",))
    attack = FakeEnricher(name="attack", kinds=("technique",), verdict=Verdict.UNKNOWN)
    about = incident(detection(observables=[HASH, Observable("user", "deploy")]))

    await enrichment(scanner, attack, governor=governor).enrich(about)

    assert scanner.asked == [HASH]
    assert attack.asked == [Observable("technique", "T1110")]


async def test_a_milder_incident_gets_fewer_look_ups_and_the_telling_ones_first() -> None:
    addresses = [Observable("ip", f"203.0.113.{n}") for n in range(100, 140)]
    for severity, most in LOOKUPS_MAX.items():
        enricher = FakeEnricher()
        about = incident(detection(severity=severity, observables=[*addresses, HASH]))
        await enrichment(enricher, governor=FakeGovernor()).enrich(about)
        assert len(enricher.asked) == most
        assert enricher.asked[0] == HASH


async def test_the_same_observable_is_asked_once_a_day() -> None:
    governor, enricher, clock = FakeGovernor(caching=True), FakeEnricher(), FakeClock()
    lookups = enrichment(enricher, governor=governor, clock=clock)

    first = await lookups.enrich(incident())
    again = await lookups.enrich(incident())
    clock.at += timedelta(days=1)
    await lookups.enrich(incident())

    assert len(enricher.asked) == 2
    assert (again.findings, again.cost) == (first.findings, 0)


async def test_what_the_incident_knows_already_is_not_asked_again() -> None:
    governor, enricher = FakeGovernor(), FakeEnricher()
    lookups = enrichment(enricher, governor=governor)
    about = incident()

    about = (await lookups.enrich(about)).applied_to(about)
    await lookups.enrich(about)

    assert len(enricher.asked) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        RateLimited("4 a minute are used"),
        BudgetExceeded("quota", budget="vt", line="day", limit=1, settled=1, held=0, need=1),
        StoreError("the ledger is away"),
    ],
)
async def test_a_refusal_is_one_line_in_the_timeline_and_the_rest_is_not_asked(refusal: Exception) -> None:
    governor = FakeGovernor(refuse=refusal)
    about = incident(detection(observables=[HASH]))

    found = await enrichment(FakeEnricher(), governor=governor).enrich(about)

    assert len(governor.calls) == 1
    assert found.findings == ()
    assert [(entry.kind, "2 observables" in entry.text) for entry in found.entries] == [("refused", True)]


async def test_a_failing_source_stops_nothing() -> None:
    broken = FakeEnricher(error=ServiceError("virustotal", "answered 500", retryable=True))
    attack = FakeEnricher(name="attack", kinds=("technique",))

    found = await enrichment(broken, attack, governor=FakeGovernor()).enrich(incident(detection(observables=[HASH])))

    assert [entry.kind for entry in found.entries] == ["failed"]
    assert [finding.source for finding in found.findings] == ["attack"]


async def test_a_finding_survives_the_cache_and_rubbish_does_not() -> None:
    finding = (await FakeEnricher().enrich(HASH)).finding

    assert read_finding("virustotal", write_finding(finding)) == finding
    for rubbish in (b"", b"{}", b"[]", b"null", b'{"source":1}', b"\xff"):
        with pytest.raises(ServiceError):
            read_finding("virustotal", rubbish)
