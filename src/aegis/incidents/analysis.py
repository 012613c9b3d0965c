"""Analysis: HIGH and CRITICAL incidents ask a model through the governor; everything else, and every refusal, failure
or bad answer, gets the offline analysis of the same schema.

Policy: the model has no tools and no say: it explains, and may raise the severity. An answer that shows signs of
manipulation is thrown away, flagged, and raises the incident by one level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from aegis.core.calls import Call, Priority, Usage
from aegis.core.errors import BadInput, Refused, ServiceError, StoreError
from aegis.core.incidents import Analysis, AnalysisSource, Incident, Severity, TimelineEntry
from aegis.core.money import Nanos
from aegis.core.plaintext import one_line
from aegis.core.ports import Admitted, Analyst, Clock, Governs, ModelRequest, NewId
from aegis.incidents.answer import SCHEMA, Answer, BadAnswer, read_answer
from aegis.incidents.enrichment import scope_of
from aegis.incidents.offline import analyse_offline
from aegis.incidents.prompt import Question, question
from aegis.incidents.pseudonyms import Pseudonyms

WHY_REFUSED = {
    "budget": "its budget is used up",
    "bucket": "its rate is used up for now",
    "breaker": "the model service keeps failing",
    "throttle": "its quota is nearly used up",
    "queue": "too many calls wait",
    "stop": "the emergency stop is on",
    "price": "nobody knows the price of the model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which models may be asked, in order of preference, and how. A severity without models is analysed offline."""

    models: Mapping[Severity, tuple[str, ...]]
    output_tokens_max: int = 1_200
    """A full answer has about 500 tokens; the rest is room for long names, held and then given back."""
    wait_ms: Mapping[Severity, int] = field(default_factory=lambda: {Severity.HIGH: 5_000, Severity.CRITICAL: 20_000})
    """How long a question may queue: the first page has left already, the explanation can be a little late."""
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Analysed:
    """An analysis, and what happened on the way to it."""

    analysis: Analysis
    entries: tuple[TimelineEntry, ...] = ()


class Analysing:
    """Analyses incidents. Without an `analyst` every analysis is offline. `token` gives a fresh random text of at
    least 128 bits; `technique_exists` knows the ATT&CK release in use.
    """

    def __init__(
        self,
        analyst: Analyst | None,
        *,
        governor: Governs,
        policy: Policy,
        pseudonyms: Pseudonyms,
        technique_exists: Callable[[str], bool],
        token: Callable[[], str],
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._analyst, self._governor, self._policy = analyst, governor, policy
        self._pseudonyms, self._technique_exists = pseudonyms, technique_exists
        self._token, self._clock, self._new_id = token, clock, new_id

    async def analyse(self, incident: Incident) -> Analysed:
        """The analysis of an incident, never below its severity. Never raises for a service."""
        models = self._policy.models.get(incident.severity, ())
        if incident.kind == "spend":
            return self._offline(incident, "about money, no model needed")
        if incident.severity < Severity.HIGH:
            return self._offline(incident, "severity below HIGH")
        if self._analyst is None or not models:
            return self._offline(incident, "no model is configured")
        try:
            return await self._ask(self._analyst, incident, models)
        except Refused as refused:
            why = WHY_REFUSED.get(refused.gate, f"refused by {refused.gate}")
            return self._offline(incident, why, f"{self._analyst.name} not asked: {one_line(str(refused))}")
        except StoreError as error:
            return self._offline(
                incident, "the ledger cannot answer", f"{self._analyst.name} not asked: {one_line(str(error))}"
            )
        except (ServiceError, BadInput) as error:  # BadInput: a usage that cannot be true
            return self._offline(incident, "the model service failed", one_line(str(error)))

    async def _ask(self, analyst: Analyst, incident: Incident, models: tuple[str, ...]) -> Analysed:
        users = [one.value for one in (incident.entity, *incident.observables) if one.kind in ("user", "account")]
        asked = question(
            incident,
            veil=self._pseudonyms.veil(users=users),
            boundary=self._token(),
            canary=self._token(),
            tenant=self._policy.tenant,
            models=models,
        )
        request = ModelRequest(
            model=models[0],
            system=asked.system,
            user=asked.user,
            schema=SCHEMA,
            output_tokens_max=self._policy.output_tokens_max,
        )
        async with self._governor.admit(self._call(analyst, incident, models, request, asked)) as admitted:
            answer, source = await self._answer(analyst, incident, request, asked, admitted)
        if isinstance(answer, BadAnswer):
            return self._bad(incident, answer, admitted.model, admitted.cost)
        return Analysed(
            Analysis(
                source=source,
                model=admitted.model,
                summary=answer.summary,
                impact=answer.impact,
                actions=answer.actions,
                confidence=answer.confidence,
                severity=answer.severity,
                techniques=answer.techniques,
                iocs=answer.iocs,
                flags=answer.flags,
                cost=admitted.cost,
                at=self._clock.now(),
            )
        )

    async def _answer(
        self, analyst: Analyst, incident: Incident, request: ModelRequest, asked: Question, admitted: Admitted
    ) -> tuple[Answer | BadAnswer, AnalysisSource]:
        """The checked answer, from the cache or from the model. Only a clean and confident one is kept for reuse."""
        if admitted.cached is not None:
            return self._read(admitted.cached.decode(errors="replace"), incident, asked), AnalysisSource.CACHED
        given = await analyst.complete(replace(request, model=admitted.model))
        answer = self._read(given.text, incident, asked) if given.complete else BadAnswer("it was cut off")
        good = isinstance(answer, Answer) and not answer.flags and answer.confidence != "low"
        admitted.settle(given.usage, answer=given.text.encode() if good else b"")
        return answer, AnalysisSource.MODEL

    def _read(self, text: str, incident: Incident, asked: Question) -> Answer | BadAnswer:
        try:
            return read_answer(
                text,
                incident,
                marks=(asked.canary, asked.boundary),
                restore=asked.veil.restore,
                technique_exists=self._technique_exists,
            )
        except BadAnswer as bad:
            return bad

    def _call(
        self, analyst: Analyst, incident: Incident, models: tuple[str, ...], request: ModelRequest, asked: Question
    ) -> Call:
        worst: dict[str, int] = {}
        for model in models:  # whichever the governor takes, the reservation has to cover it
            usage: Usage = analyst.worst(replace(request, model=model))
            worst = {meter: max(worst.get(meter, 0), usage.get(meter, 0)) for meter in {*worst, *usage}}
        return Call(
            id=self._new_id("call"),
            service=analyst.name,
            operation="analyse",
            worst=worst,
            models=models,
            scope=scope_of(incident),
            priority=Priority(incident.severity),
            wait_ms=self._policy.wait_ms.get(incident.severity, 0),
            cache_key=asked.cache_key,
        )

    def _bad(self, incident: Incident, bad: BadAnswer, model: str, cost: Nanos) -> Analysed:
        """A bad answer was still paid for. A manipulated one makes the incident worse, not better."""
        if not bad.injection:
            made = self._offline(incident, f"the answer of {model} was not usable: {bad}")
            return replace(made, analysis=replace(made.analysis, cost=cost))
        raised = Severity(min(incident.severity + 1, Severity.CRITICAL))
        made = self._offline(
            replace(incident, severity=raised),
            f"the answer of {model} was thrown away",
            "The answer shows that text in the events tried to steer the analysis; raised by one level",
            flags=("injection_suspected",),
        )
        return replace(made, analysis=replace(made.analysis, cost=cost))

    def _offline(self, incident: Incident, why: str, event: str = "", *, flags: tuple[str, ...] = ()) -> Analysed:
        now = self._clock.now()
        entries = (TimelineEntry(at=now, kind="refused", text=event),) if event else ()
        return Analysed(analyse_offline(incident, why=why, at=now, flags=flags), entries)
