"""The parts of a report about money and stops: the curve of what was spent, where it went, what was avoided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final

from aegis.core.charts import BurnUp, burn_up
from aegis.core.money import show_usd
from aegis.core.plaintext import defang, one_line
from aegis.core.wording import when
from aegis.incidents.report_record import Report, Spend

NAMES: Final = {"source": "Sources", "key": "Keys", "model": "Models", "service": "Services"}
"""What a report breaks spending down by, and the head of each table."""
ROWS_MAX: Final = 12
"""Rows of the curve in words: who cannot see the picture reads these."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A picture: SVG text of our own, and the sentence that says the same."""

    svg: str
    spoken: str


def spend_blocks(report: Report, words: Any, table: Any) -> list[Any]:
    """The section about money; `words` and `table` make its blocks."""
    spend = report.spend
    if spend is None or not (spend.calls or spend.refused):
        about = spend.about if spend else "it"
        return [words(f"No governed call was made for {about} in this time.")]
    blocks = [curve(report, spend)]
    blocks.append(table(("Until", "Spent", "In all"), _in_words(spend)))
    if spend.cut:
        blocks.append(
            words("Only the newest calls of this time were read: there were more than anybody counts here.", "soft")
        )
    for name, head in NAMES.items():
        rows = [(one.value, f"{one.calls:,}", show_usd(one.cost, decimals=4)) for one in spend.top.get(name, ())]
        if rows:
            blocks += [words(f"Top {head}", "head"), table((head.removesuffix("s"), "Calls", "Cost"), rows)]
    return blocks


def curve(report: Report, spend: Spend) -> Curve:
    """What was spent, added up over time, with the moments of the incident and its stops below."""
    sums = list(accumulate(cost for _, cost in spend.points))
    points = [(spend.since_ms, 0), *((at_ms, total) for (at_ms, _), total in zip(spend.points, sums, strict=True))]
    spoken = (
        f"Spent by {defang(one_line(spend.about))} from {when(moment(spend.since_ms))} to {when(moment(spend.until_ms))}: "
        f"{show_usd(spend.total)} in {spend.calls:,} calls; {spend.refused:,} calls were refused"
    )
    shown = BurnUp(
        starts_ms=spend.since_ms,
        ends_ms=spend.until_ms,
        now_ms=spend.until_ms,
        points=points,
        marks={"total": spend.total} if spend.total else {},
    )
    said = {"total": show_usd(spend.total)}
    svg = burn_up(shown, title="What was spent", spoken=spoken, ticks=_ticks(report, spend), said=said)
    return Curve(svg, f"{spoken}.")


def _ticks(report: Report, spend: Spend) -> list[tuple[int, str]]:
    opened = int(report.incident.opened_at.timestamp() * 1_000)
    moments = [(opened, "opened")]
    for stop in report.stops:
        moments += [(stop.applied_ms, "stopped")] if stop.applied_ms else []
        moments += [(stop.said[-1][0], "returned")] if stop.state == "returned" and stop.said else []
    shown: list[tuple[int, str]] = []
    room = (spend.until_ms - spend.since_ms) // 9  # a word needs a ninth of the width
    for at_ms, word in sorted(moments):
        if not spend.since_ms <= at_ms <= spend.until_ms:
            continue
        if not shown or at_ms - shown[-1][0] >= room:
            shown.append((at_ms, f"{moment(at_ms):%H:%M} {word}"))
        elif word not in shown[-1][1]:
            shown[-1] = (shown[-1][0], f"{shown[-1][1]}, {word}")
    return shown


def _in_words(spend: Spend) -> list[tuple[str, str, str]]:
    """The curve as rows: every few parts added up."""
    each = -(-len(spend.points) // ROWS_MAX)
    rows, total = [], 0
    for first in range(0, len(spend.points), each):
        part = spend.points[first : first + each]
        cost = sum(one for _, one in part)
        total += cost
        rows.append((when(moment(part[-1][0])), show_usd(cost, decimals=4), show_usd(total, decimals=4)))
    return rows


def avoided_rows(report: Report) -> tuple[Sequence[tuple[str, str]], str]:
    """What was avoided, one row for each way, and the sum."""
    total = sum(one.amount for one in report.avoided)
    return [(show_usd(one.amount), one.how) for one in report.avoided], show_usd(total)


def stop_rows(report: Report) -> list[tuple[datetime, str, str]]:
    """The history of the incident's stops as rows of a timeline, without what stands in the incident's own already."""
    noted = {entry.text for entry in report.incident.timeline}
    rows = [(moment(at_ms), "stop", words) for stop in report.stops for at_ms, words in stop.said]
    return [row for row in rows if row[2] not in noted]


def moment(at_ms: int) -> datetime:
    """A moment of a record."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
