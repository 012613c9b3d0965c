"""A drill's report as a page that people read."""

from __future__ import annotations

from collections.abc import Iterator

from aegis.core.markdown import plain
from aegis.rehearsal.drills.report import Line, Measure, Report, duration

MARKS = {"met": "met", "missed": "**MISSED**", "not rehearsed": "not rehearsed here"}


def markdown(report: Report) -> str:
    """The whole page."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# Drill: {report.title}"
    yield ""
    yield f"**Score {report.score} of 100**: {'passed' if report.passed else 'not passed'}."
    yield ""
    yield report.story
    yield ""
    yield f"* {report.size}"
    yield f"* seed {report.seed}{', fast' if report.fast else ''}; it lasted {_lasted(report)} of the story's time"
    if report.planted:
        yield f"* planted fault: {report.planted}"
    yield ""
    yield "| measure | value | target, at most | verdict | from what to what |"
    yield "|---|---|---|---|---|"
    yield from (_row(measure) for measure in report.measures)
    yield ""
    yield "## Looked at"
    yield ""
    yield from (f"* {'good' if one.good else '**BAD**'}: {one.name}: {plain(one.text)}" for one in report.looked)
    yield ""
    yield "## Kept to itself"
    yield ""
    yield from (f"* {plain(one)}" for one in report.secluded.sentences())
    yield ""
    yield "## What to improve"
    yield ""
    yield from (f"* {plain(one)}" for one in report.improve)
    yield ""
    yield "## Timeline"
    yield ""
    yield from (_moment(line) for line in report.timeline)


def _row(measure: Measure) -> str:
    target = "-" if measure.target is None else measure.shown(measure.target)
    return (
        f"| {measure.title} | {measure.shown(measure.value)} | {target} | {MARKS[measure.verdict]} | {measure.text} |"
    )


def _moment(line: Line) -> str:
    again = f" ({line.times} times, last {line.last:%H:%M:%S})" if line.times > 1 else ""
    return f"* `{line.at:%H:%M:%S}` {line.kind}: {plain(line.text)}{again}"


def _lasted(report: Report) -> str:
    return duration(round((report.ended - report.began).total_seconds()) * 1_000)
