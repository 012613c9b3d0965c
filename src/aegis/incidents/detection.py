"""Detection: events in, detections out. The Sigma engine says which rules match, correlations what they mean together.

Policy: what only serves a correlation stays silent. An event that comes again (its work could not be committed, or a
feed repeats it) gives what it gave before and is counted once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

from aegis.core.incidents import Detection, Event, Observable, Severity
from aegis.incidents.formats.logsources import UNKNOWN
from aegis.incidents.links import HUB_NAMES
from aegis.incidents.observables import entity_candidates, lookup, observables_of, read
from aegis.incidents.rules.pack import Entity, RulePack
from aegis.sigma.correlator import Correlator
from aegis.sigma.engine import Engine
from aegis.sigma.rules import Correlation, Rule
from aegis.sigma.trackers import CorrelationBounds

BOUNDS = CorrelationBounds(entries=100_000)
"""Thirty megabytes at most, of the hundred that the service may use."""
REMEMBERED = 20_000
"""Events whose answers are kept: many times the largest batch that is worked at once."""
EVENT_IDS_MAX = 50
"""Events that a correlation names: enough to read, few enough for a page."""
EVIDENCE_MAX = 16
EVIDENCE_CHARS = 512
DESCRIPTION_CHARS = 2_000
"""Our own rules say it in 300; a user's folder may hold anything."""

ALERTS = "alerts"
"""The log service of what other systems raise, whatever product they are."""
_CONTEXT: Mapping[str, Sequence[str]] = {
    "linux": ("host", "program", "user", "source_ip", "auth_method", "message"),
    "windows": ("Computer", "Channel", "EventID", "User", "SubjectUserName", "TargetUserName", "IpAddress", "Image", "CommandLine"),
    "aws": ("eventSource", "eventName", "awsRegion", "userIdentity.arn", "sourceIPAddress", "userAgent", "recipientAccountId"),
    "aegis": ("key_id", "team", "model", "source_ip", "country", "requests", "output_tokens", "cost_usd", "user_agent"),
    "alerts": ("product", "name", "summary", "description", "host", "link", "labels.environment", "labels.cluster", "labels.namespace", "labels.team"),
    "webserver": ("c-ip", "cs-host", "cs-method", "cs-uri-stem", "cs-uri-query", "sc-status", "cs-user-agent"),
}  # fmt: skip
"""What a reader of a detection asks first, whatever the rule looked at."""


class Detector:
    """The detection step of the incident path. Not safe for several threads at once.

    `problems` names every rule that is not used, and why.
    """

    def __init__(self, pack: RulePack) -> None:
        self._engine = Engine(pack.rules, pack.filters)
        self._correlator = Correlator(pack.correlations, pack.rules, bounds=BOUNDS)
        self._entities = pack.entities
        self._silent = self._silent_rules(pack)
        self._answers: dict[str, tuple[Detection, ...]] = {}
        self.problems = (*pack.problems, *self._engine.problems, *self._correlator.problems)

    def detect(self, events: Sequence[Event]) -> list[Detection]:
        """What the rules find in events, in order of arrival."""
        return [found for event in events for found in self._answer(event)]

    def warm(self, events: Sequence[Event]) -> None:
        """Let correlations know events that were worked before a restart; nothing is reported again."""
        for event in events:
            self._answer(event)

    def expire(self, now: datetime) -> None:
        """Forget what no correlation can still use at this time. Worth calling now and then; memory is bounded anyway."""
        self._correlator.expire(now)

    def _silent_rules(self, pack: RulePack) -> frozenset[str]:
        """Ids of rules that only serve correlations: those that none of their correlations lets report (`generate`),
        and every `informational` one, because one login is no incident even where its sequence also reports.
        """
        served = {name for correlation in pack.correlations for name in correlation.rules}
        both: tuple[Rule | Correlation, ...] = (*pack.rules, *pack.correlations)
        return frozenset(
            rule.id
            for rule in both
            if self._correlator.quiet(rule)
            or (rule.level == "informational" and not served.isdisjoint((rule.id, rule.name)))
        )

    def _answer(self, event: Event) -> tuple[Detection, ...]:
        answer = self._answers.get(event.id)
        if answer is None:
            answer = self._answers[event.id] = tuple(self._found(event))
            if len(self._answers) > REMEMBERED:
                del self._answers[next(iter(self._answers))]
        return answer

    def _found(self, event: Event) -> Iterator[Detection]:
        logsource = None if event.logsource == UNKNOWN else event.logsource
        for match in self._engine.match(event.fields, logsource):
            if match.rule.id not in self._silent:
                yield self._detection(match.rule, event, evidence=match.evidence)
            for summed in self._correlator.feed(match, event.at, event.id, event.fields):
                if summed.rule.id not in self._silent:
                    figures = {**summed.group, "events": str(summed.count), "since": summed.first.isoformat()}
                    ids = dict.fromkeys((*summed.event_ids[: EVENT_IDS_MAX - 1], event.id))
                    yield self._detection(summed.rule, event, evidence=figures, at=summed.at, event_ids=tuple(ids))

    def _detection(
        self,
        rule: Rule | Correlation,
        event: Event,
        *,
        evidence: Mapping[str, str],
        at: datetime | None = None,
        event_ids: tuple[str, ...] = (),
    ) -> Detection:
        seen = observables_of(event.fields, event.logsource)
        entity = _entity(self._entities.get(rule.id, ()), event)
        return Detection(
            rule_id=rule.id,
            title=clipped(rule.title),
            severity=Severity.from_level(rule.level),
            at=at or event.at,
            entity=entity,
            observables=tuple(one for one in seen if one != entity),
            techniques=rule.techniques,
            tactics=rule.tactics,
            event_ids=event_ids or (event.id,),
            source=event.source,
            description=clipped(rule.description, most=DESCRIPTION_CHARS),
            evidence=_evidence(evidence, event),
        )


def _entity(choices: Entity, event: Event) -> Observable:
    """What the detection is about: the first choice of the rule that the event has, else the first of its log source;
    a name that every host has only when there is nothing better, the source of the event when there is nothing.
    """
    second_best: Observable | None = None
    for name, kind in (*choices, *entity_candidates(event.logsource)):
        for found in read(event.fields, name, kind):
            if found.value.lower().rpartition("\\")[2] not in HUB_NAMES:
                return found
            second_best = second_best or found
    return second_best or Observable("process", event.source or "unknown")


def _evidence(matched: Mapping[str, str], event: Event) -> dict[str, str]:
    """The fields the rule looked at, then those that a reader asks for first; clipped, printable and few."""
    found = {name: clipped(text) for name, text in matched.items()}
    source = event.logsource
    kind = ALERTS if source.service == ALERTS else source.product or source.category
    for name in _CONTEXT.get(kind, ()):
        if name not in found and isinstance(value := lookup(event.fields, name), str | int) and value != "":
            found[name] = clipped(str(value))
    return dict(islice(found.items(), EVIDENCE_MAX))


def clipped(text: str, *, most: int = EVIDENCE_CHARS) -> str:
    """Hostile text on one line, at most so long, control characters as blanks."""
    shown = text[:most] if len(text) <= most else text[: most - 1] + "…"
    return shown if shown.isprintable() else "".join(char if char.isprintable() else " " for char in shown)
