"""The written incident report, from the record alone: what it says, section by section, and its form in Markdown.

Policy: sections hold plain text; whoever writes a form escapes all of it, so that no text of an attacker becomes a link, an
image or markup in any form. The sections that people fill in are theirs and are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from aegis.core.incidents import Analysis, AnalysisSource, Incident
from aegis.core.markdown import plain, table
from aegis.core.money import show_usd
from aegis.core.notifications import Delivery, DeliveryState
from aegis.core.plaintext import fit, one_line
from aegis.core.telemetry import CallEnded
from aegis.core.wording import CHANGE_WORDS, when
from aegis.incidents.compose import FLAGS, named_techniques
from aegis.incidents.offline import analyse_offline, seen
from aegis.incidents.report_kept import marked
from aegis.incidents.report_record import SECTIONS, Report
from aegis.incidents.report_spend import Curve, avoided_rows, spend_blocks, stop_rows

TO_FILL: Final = "_To be filled in at the review._"
EVIDENCE_CHARS: Final = 400
OBSERVABLES_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph. `tone` is `soft` for what is beside the point, `warning` for what is not, `head` for a heading."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Bullets:
    """Lines; with `boxes` each can be ticked."""

    items: Sequence[str]
    boxes: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """What people wrote, or will, under one of the names in `SECTIONS`; `hint` is shown until they do."""

    name: str
    text: str
    hint: str = ""


Block: TypeAlias = Facts | Words | Table | Bullets | Kept | Curve


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands under it."""

    title: str
    blocks: Sequence[Block]


def sections(report: Report) -> Sequence[Section]:
    """The whole report, in plain text."""
    incident = report.incident
    analysis = incident.analysis or analyse_offline(incident, why="not analysed yet", at=incident.updated_at)
    cause = next((stop.root_cause for stop in report.stops if stop.root_cause), "")
    hints = {"root-cause": f"As it was given for the return: {cause}"} if cause else {}
    by_hand = {name: Kept(name, report.kept.get(name, ""), hints.get(name, "")) for name in SECTIONS}
    found = [
        Section("Incident Details", _details(incident)),
        Section("What Happened", _what_happened(incident, analysis)),
        Section("Evidence", _evidence(incident)),
        *([Section("Spend", spend_blocks(report, Words, Table))] if report.spend else []),
        Section("Timeline", _timeline(report)),
        Section("Actions Taken", [Bullets(_acted(report) or ["None on record."])]),
        *([Section("Avoided Cost", _avoided(report))] if report.avoided else []),
        Section(SECTIONS["root-cause"], [by_hand["root-cause"]]),
        Section(SECTIONS["prevention"], [by_hand["prevention"]]),
        Section("Follow-up Actions", [Bullets(list(_follow_up(report, analysis)), boxes=True)]),
        Section(SECTIONS["lessons"], [by_hand["lessons"]]),
    ]
    if report.elsewhere:
        said = Words("These lines stood outside of the marked sections of the file that this report replaced.", "soft")
        found.append(Section("Written by Hand Elsewhere", [said, Kept("elsewhere", "\n".join(report.elsewhere))]))
    return found


def headline(report: Report) -> tuple[str, str]:
    """The title, and the line below it."""
    incident = report.incident
    return f"Incident report: {incident.title}", f"{incident.severity.name} · {incident.status} · {incident.id}"


def markdown(incident: Incident, *, calls: Sequence[CallEnded] = (), deliveries: Sequence[Delivery] = ()) -> str:
    """The report of one incident without what was spent around it. `calls` and `deliveries` are those of the incident, in
    order of time.
    """
    return markdown_of(Report(incident=incident, calls=calls, deliveries=deliveries), marks=False)


def markdown_of(report: Report, *, marks: bool = True) -> str:
    """The report in Markdown; with `marks` the sections that people fill in stand between marks that are found again."""
    title, below = headline(report)
    status, _, known = below.rpartition(" · ")
    blocks = [f"# {plain(title)}", f"{status} · `{known}`"]
    for section in sections(report):
        blocks.append(f"## {section.title}")
        blocks += [_written(block, marks) for block in section.blocks]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _written(block: Block, marks: bool) -> str:
    match block:
        case Facts():
            return "\n".join(f"- **{name}**: {plain(value)}" for name, value in block.rows)
        case Words():
            text = plain(block.text)
            return {"head": f"### {text}", "soft": f"_{text}_", "warning": f"> Warning: {text}"}.get(block.tone, text)
        case Table():
            return table(block.heads, block.rows) if block.rows else ""
        case Bullets():
            return "\n".join(f"- {'[ ] ' if block.boxes else ''}{plain(item)}" for item in block.items)
        case Kept():
            hint = f"{plain(block.hint)}\n\n" if block.hint else ""
            text = block.text or f"{hint}{TO_FILL}"
            return marked(block.name, text) if marks else text
        case Curve():
            return plain(block.spoken)


def _details(incident: Incident) -> list[Block]:
    entity = incident.entity
    titles = Counter(one_line(detection.title) for detection in incident.detections)
    rows = [
        ("Timestamp", when(incident.opened_at)),
        ("Triggered By", "; ".join(titles)),
        ("Severity", incident.severity.name),
        ("Status", str(incident.status)),
        ("About", f"{entity.kind.replace('_', ' ')} {entity.value}"),
        ("Seen", seen(incident)),
        ("Techniques", ", ".join(named_techniques(incident))),
        ("Cost of Handling", show_usd(incident.cost, decimals=4)),
    ]
    return [Facts([(name, value) for name, value in rows if value])]


def _what_happened(incident: Incident, analysis: Analysis) -> list[Block]:
    if analysis.source is AnalysisSource.OFFLINE:
        by = f"Written offline by Aegis ({analysis.why_offline})."
    else:
        reused = ", reused from an earlier identical case" if analysis.source is AnalysisSource.CACHED else ""
        by = f"Written by {analysis.model}{reused}; confidence {analysis.confidence}."
    blocks: list[Block] = [Words(analysis.summary), Words(analysis.impact)]
    blocks += [Words(f"{FLAGS.get(flag, flag)}.", "warning") for flag in analysis.flags]
    blocks.append(Words(by, "soft"))
    if incident.findings:
        rows = [(f.source, f.observable.value, f.verdict.value, f.title) for f in incident.findings]
        blocks += [Words("Findings", "head"), Table(("Source", "About", "Verdict", "What it says"), rows)]
    return blocks


def _evidence(incident: Incident) -> list[Block]:
    rows = [
        (
            when(detection.at),
            detection.severity.name,
            detection.title,
            fit("; ".join(f"{name}={value}" for name, value in detection.evidence.items()), EVIDENCE_CHARS),
        )
        for detection in sorted(incident.detections, key=lambda detection: detection.at)
    ]
    shown = incident.observables[:OBSERVABLES_SHOWN]
    named = ", ".join(f"{observable.kind} {observable.value}" for observable in shown)
    rest = len(incident.observables) - len(shown)
    samples = f"{len(incident.detections)} of {incident.count:,} detections are shown."
    return [
        Words(samples if incident.count > len(incident.detections) else ""),
        Table(("Time", "Severity", "Rule", "Fields"), rows),
        Words(f"Observables: {named}{f' and {rest} more' if rest else ''}." if named else ""),
    ]


def _timeline(report: Report) -> list[Block]:
    entries = [(entry.at, entry.kind, entry.text) for entry in report.incident.timeline]
    rows = sorted([*entries, *stop_rows(report)], key=lambda row: row[0])
    return [Table(("Time", "What", "In words"), [(when(at), kind, text) for at, kind, text in rows])]


_STATE_WORDS: Final = {
    DeliveryState.DONE: "delivered to",
    DeliveryState.READY: "waiting for",
    DeliveryState.LEASED: "being sent to",
    DeliveryState.DEAD: "given up, kept as a dead letter for",
    DeliveryState.SUPERSEDED: "replaced by a newer one for",
}


def _acted(report: Report) -> Sequence[str]:
    """What was done and when, in order."""
    return [f"{when(at)}: {text}" for at, text in sorted(_deeds(report), key=lambda deed: deed[0])]


def _deeds(report: Report) -> Iterator[tuple[datetime, str]]:
    by_step: dict[tuple[int, DeliveryState], list[Delivery]] = {}
    for delivery in report.deliveries:
        by_step.setdefault((delivery.notification.version, delivery.state), []).append(delivery)
    for (_, state), told in by_step.items():
        change = CHANGE_WORDS[told[0].notification.change].lower()
        yield told[0].notification.at, f"{change}, {_STATE_WORDS[state]}: {', '.join(map(_told, told))}"
    for call in report.calls:
        yield call.at, f"{f'{call.service} {call.model}'.strip()} {_asked(call)}"
    for entry in report.incident.timeline:
        if entry.kind in ("acknowledged", "resolved", "reopened") and "by" in entry.attributes:
            yield entry.at, entry.text
    stops = {words for stop in report.stops for _, words in stop.said}
    for entry in report.incident.timeline:
        if entry.text in stops:
            yield entry.at, entry.text
    for at, _, text in stop_rows(report):
        yield at, text


def _asked(call: CallEnded) -> str:
    if call.outcome == "refused":
        return f"not asked, refused by {call.refused}; nothing was spent"
    if call.outcome == "failed":
        return f"asked and failed, {show_usd(call.cost, decimals=4)}"
    how = "answered from the cache, free" if call.outcome == "cached" else show_usd(call.cost, decimals=4)
    return f"asked, {how}"


def _told(delivery: Delivery) -> str:
    """A service, and how hard it was to reach."""
    tries = f" (attempt {delivery.attempts})" if delivery.attempts > 1 else ""
    dead = delivery.state is DeliveryState.DEAD and delivery.last_error
    return f"{delivery.service}{tries}{f' ({delivery.last_error[:200]})' if dead else ''}"


def _avoided(report: Report) -> list[Block]:
    rows, total = avoided_rows(report)
    said = Words(f"{total} by estimate: nobody knows how it would have gone on. Each figure says how it was made.")
    return [said, Table(("Avoided", "How it was reckoned"), rows)]


def _follow_up(report: Report, analysis: Analysis) -> Iterator[str]:
    yield from analysis.actions
    for stop in report.stops:
        for name, why in stop.failed.items():
            yield f"See to {name.removeprefix('target ')} by hand: {why}"
        if stop.state != "returned":
            yield f"Give back what {stop.id} stopped: aegis recover --stop {stop.id}"
    yield "Check that every step above was done and by whom"
    yield "Review the rules, budgets and routes that were involved"
