"""The written incident report, in Markdown, from the record alone: details, timeline, actions taken, and the parts that
people fill in at the review.

Policy: everything that came from outside is escaped, so that no text of an attacker becomes a link, an image or markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from aegis.core.incidents import Analysis, AnalysisSource, Incident
from aegis.core.markdown import plain, table
from aegis.core.money import show_usd
from aegis.core.notifications import Delivery, DeliveryState
from aegis.core.plaintext import fit, one_line
from aegis.core.telemetry import CallEnded
from aegis.core.wording import CHANGE_WORDS, when
from aegis.incidents.compose import FLAGS, named_techniques
from aegis.incidents.offline import analyse_offline, seen

TO_FILL = "_To be filled in at the review._"
EVIDENCE_CHARS = 400
OBSERVABLES_SHOWN = 40


def markdown(incident: Incident, *, calls: Sequence[CallEnded] = (), deliveries: Sequence[Delivery] = ()) -> str:
    """The report of one incident. `calls` and `deliveries` are those of the incident, in order of time."""
    analysis = incident.analysis or analyse_offline(incident, why="not analysed yet", at=incident.updated_at)
    parts = (
        [
            f"# Incident report: {plain(incident.title)}",
            f"{incident.severity.name} · {incident.status} · `{incident.id}`",
        ],
        _details(incident),
        _what_happened(incident, analysis),
        _evidence(incident),
        _timeline(incident),
        _actions_taken(incident, calls, deliveries),
        ["## Root Cause Analysis", TO_FILL],
        ["## Prevention Measures", TO_FILL],
        _follow_up(analysis),
        ["## Lessons Learned", TO_FILL],
    )
    return "\n\n".join(block for part in parts for block in part if block) + "\n"


def _details(incident: Incident) -> list[str]:
    entity = incident.entity
    titles = Counter(one_line(detection.title) for detection in incident.detections)
    rows = [
        ("Timestamp", when(incident.opened_at)),
        ("Triggered By", plain("; ".join(titles))),
        ("Severity", incident.severity.name),
        ("Status", str(incident.status)),
        ("About", f"{entity.kind.replace('_', ' ')} {plain(entity.value)}"),
        ("Seen", seen(incident)),
        ("Techniques", plain(", ".join(named_techniques(incident)))),
        ("Cost of Handling", show_usd(incident.cost, decimals=4)),
    ]
    return ["## Incident Details", "\n".join(f"- **{label}**: {value}" for label, value in rows if value)]


def _what_happened(incident: Incident, analysis: Analysis) -> list[str]:
    if analysis.source is AnalysisSource.OFFLINE:
        by = f"Written offline by Aegis ({plain(analysis.why_offline)})."
    else:
        reused = ", reused from an earlier identical case" if analysis.source is AnalysisSource.CACHED else ""
        by = f"Written by {plain(analysis.model)}{reused}; confidence {analysis.confidence}."
    warnings = "\n".join(f"> Warning: {FLAGS.get(flag, plain(flag))}." for flag in analysis.flags)
    blocks = ["## What Happened", plain(analysis.summary), plain(analysis.impact), warnings, f"_{by}_"]
    if incident.findings:
        rows = ((f.source, f.observable.value, f.verdict.value, f.title) for f in incident.findings)
        blocks += ["### Findings", table(("Source", "About", "Verdict", "What it says"), rows)]
    return blocks


def _evidence(incident: Incident) -> list[str]:
    rows = (
        (
            when(detection.at),
            detection.severity.name,
            detection.title,
            fit("; ".join(f"{name}={value}" for name, value in detection.evidence.items()), EVIDENCE_CHARS),
        )
        for detection in sorted(incident.detections, key=lambda detection: detection.at)
    )
    shown = incident.observables[:OBSERVABLES_SHOWN]
    named = plain(", ".join(f"{observable.kind} {observable.value}" for observable in shown))
    rest = len(incident.observables) - len(shown)
    samples = f"{len(incident.detections)} of {incident.count:,} detections are shown."
    return [
        "## Evidence",
        samples if incident.count > len(incident.detections) else "",
        table(("Time", "Severity", "Rule", "Fields"), rows),
        f"Observables: {named}{f' and {rest} more' if rest else ''}." if named else "",
    ]


def _timeline(incident: Incident) -> list[str]:
    rows = ((when(entry.at), entry.kind, entry.text) for entry in incident.timeline)
    return ["## Timeline", table(("Time", "What", "In words"), rows)]


def _actions_taken(incident: Incident, calls: Sequence[CallEnded], deliveries: Sequence[Delivery]) -> list[str]:
    return ["## Actions Taken", "\n".join(_acted(incident, calls, deliveries)) or "- None on record."]


_STATE_WORDS = {
    DeliveryState.DONE: "delivered to",
    DeliveryState.READY: "waiting for",
    DeliveryState.LEASED: "being sent to",
    DeliveryState.DEAD: "given up, kept as a dead letter for",
    DeliveryState.SUPERSEDED: "replaced by a newer one for",
}


def _acted(incident: Incident, calls: Sequence[CallEnded], deliveries: Sequence[Delivery]) -> Iterator[str]:
    by_step: dict[tuple[int, DeliveryState], list[Delivery]] = {}
    for delivery in deliveries:
        by_step.setdefault((delivery.notification.version, delivery.state), []).append(delivery)
    for (_, state), told in by_step.items():
        change = CHANGE_WORDS[told[0].notification.change].lower()
        yield f"- {when(told[0].created_at)}: {change}, {_STATE_WORDS[state]}: {', '.join(map(_told, told))}"
    for call in calls:
        who = plain(f"{call.service} {call.model}".strip())
        if call.outcome == "refused":
            yield f"- {when(call.at)}: {who} not asked, refused by {plain(call.refused)}; nothing was spent"
        elif call.outcome == "failed":
            yield f"- {when(call.at)}: {who} asked and failed, {show_usd(call.cost, decimals=4)}"
        else:
            how = "answered from the cache, free" if call.outcome == "cached" else show_usd(call.cost, decimals=4)
            yield f"- {when(call.at)}: {who} asked, {how}"
    for entry in incident.timeline:
        if entry.kind in ("acknowledged", "resolved", "reopened") and "by" in entry.attributes:
            yield f"- {when(entry.at)}: {plain(entry.text)}"


def _told(delivery: Delivery) -> str:
    """A service, and how hard it was to reach."""
    tries = f" (attempt {delivery.attempts})" if delivery.attempts > 1 else ""
    error = (
        f" ({plain(delivery.last_error, 200)})" if delivery.state is DeliveryState.DEAD and delivery.last_error else ""
    )
    return f"{plain(delivery.service)}{tries}{error}"


def _follow_up(analysis: Analysis) -> list[str]:
    own = (
        "Check that every step above was done and by whom",
        "Review the rules, budgets and routes that were involved",
    )
    steps = [*(plain(action) for action in analysis.actions), *own]
    return ["## Follow-up Actions", "\n".join(f"- [ ] {step}" for step in steps)]
