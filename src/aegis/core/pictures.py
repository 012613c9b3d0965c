"""Pictures as SVG text, drawn by our own code: the same in the dashboard, a report and a mail.

No script and no inline style: colours come from classes, so a strict content security policy holds and both themes
work; `<title>` speaks to screen readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

BAR_WIDTH, BAR_HEIGHT = 320, 18


def budget_bar(*, settled: int, held: int, limit: int, levels: Sequence[int], spoken: str) -> str:
    """A budget as a bar: settled, held and free, with a tick at each level below the limit.

    All amounts are in the line's own unit; `spoken` is the sentence that a screen reader says.
    """
    scale = max(limit, 1)
    wide = min(BAR_WIDTH, settled * BAR_WIDTH // scale)
    waiting = min(BAR_WIDTH - wide, held * BAR_WIDTH // scale)
    tone = "full" if settled >= limit else "near" if levels and settled >= min(levels) else "calm"
    parts = [
        f'<svg class="bar" viewBox="0 0 {BAR_WIDTH} {BAR_HEIGHT}" role="img" preserveAspectRatio="none">',
        f"<title>{escape(spoken)}</title>",
        f'<rect class="bar-free" width="{BAR_WIDTH}" height="{BAR_HEIGHT}" rx="3"/>',
        f'<rect class="bar-{tone}" width="{wide}" height="{BAR_HEIGHT}" rx="3"/>',
        f'<rect class="bar-held" x="{wide}" width="{waiting}" height="{BAR_HEIGHT}"/>',
    ]
    for level in sorted(levels):
        if level < limit:
            x = level * BAR_WIDTH // scale
            parts.append(f'<line class="bar-level" x1="{x}" x2="{x}" y1="0" y2="{BAR_HEIGHT}"/>')
    return "".join(parts) + "</svg>"


DAY_HEIGHT, DAY_GAP = 120, 2


def day_columns(values: Sequence[tuple[str, int, str]], *, spoken: str) -> str:
    """Columns in a row, one for each value: its label, its size, and the sentence that is said of it (shown by browsers
    when a pointer rests there). `spoken` is what a screen reader says of the whole.
    """
    highest = max([size for _, size, _ in values], default=0) or 1
    each = BAR_WIDTH * 2 // max(1, len(values))
    wide = max(1, each - DAY_GAP)
    parts = [
        f'<svg class="columns-picture" viewBox="0 0 {each * max(1, len(values))} {DAY_HEIGHT + 16}" role="img">',
        f"<title>{escape(spoken)}</title>",
    ]
    every = max(1, (len(values) + 7) // 8)  # eight labels are what a narrow screen has room for
    for number, (label, size, said) in enumerate(values):
        high = size * DAY_HEIGHT // highest
        x = number * each
        parts.append(
            f'<g><title>{escape(said)}</title><rect class="bar-free" x="{x}" width="{wide}" height="{DAY_HEIGHT}"/>'
            f'<rect class="bar-calm" x="{x}" y="{DAY_HEIGHT - high}" width="{wide}" height="{high}"/></g>'
        )
        if number % every == 0:
            parts.append(f'<text class="label" x="{x}" y="{DAY_HEIGHT + 13}">{escape(label)}</text>')
    return "".join(parts) + "</svg>"
