"""Charts as SVG text, drawn by our own code: spending against a limit, the ATT&CK map, bars of a day, a return's steps.

No script and no inline style: colours and sizes come from classes. Every chart has a title and a description that say in
words what it shows. All coordinates are whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 30
"""Room around a chart: amounts on the left, times below."""
LABEL_HEIGHT = 14
"""Two amounts nearer than this would be printed over each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnUp:
    """What a burn-up shows. Times are milliseconds, amounts are in the budget's unit: `points` are times with what was
    spent up to them; `band` is what is expected at the end (low, middle, high), `pace` the plain amount at the pace of
    the last day; `marks` name amounts (the limit, levels).
    """

    starts_ms: int
    ends_ms: int
    now_ms: int
    points: Sequence[tuple[int, int]]
    marks: Mapping[str, int]
    band: tuple[int, int, int] | None = None
    pace: int | None = None


def burn_up(
    shown: BurnUp, *, title: str, spoken: str, ticks: Sequence[tuple[int, str]], said: Mapping[str, str]
) -> str:
    """Spending so far as a line, what is expected as a cone, levels as dashed lines. `ticks` are times with their words;
    `said` are the marks' amounts as people read them.
    """
    spent = shown.points[-1][1] if shown.points else 0
    most = max([spent, 1, *shown.marks.values()])
    if shown.band:  # what is expected may be far above the limit: then the cone leaves the picture
        most = max(most, min(shown.band[1], most * 3 // 2))
    most += most // 12
    span = max(1, shown.ends_ms - shown.starts_ms)

    def x(at_ms: int) -> int:
        inside = min(max(at_ms, shown.starts_ms), shown.ends_ms) - shown.starts_ms
        return LEFT + inside * (WIDTH - LEFT - RIGHT) // span

    def y(amount: int) -> int:
        return HEIGHT - BOTTOM - amount * (HEIGHT - TOP - BOTTOM) // most

    bottom = HEIGHT - BOTTOM
    parts = [_begin("chart", WIDTH, HEIGHT, title, spoken)]
    for at_ms, words in ticks:
        parts.append(f'<line class="grid" x1="{x(at_ms)}" x2="{x(at_ms)}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x(at_ms)}" y="{HEIGHT - 10}" text-anchor="middle">{escape(words)}</text>')
    parts += _marks(shown, said, y)
    inner = f'x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{bottom - TOP}"'
    parts.append(f'<svg class="plot" {inner} viewBox="{LEFT} {TOP} {WIDTH - LEFT - RIGHT} {bottom - TOP}">')
    now_x, spent_y = x(shown.now_ms), y(spent)
    if shown.band is not None:
        low, middle, high = shown.band
        end = x(shown.ends_ms)
        parts.append(f'<polygon class="cone" points="{now_x},{spent_y} {end},{y(high)} {end},{y(low)}"/>')
        parts.append(f'<line class="ahead" x1="{now_x}" y1="{spent_y}" x2="{end}" y2="{y(middle)}"/>')
    if shown.pace is not None:
        parts.append(f'<line class="pace" x1="{now_x}" y1="{spent_y}" x2="{x(shown.ends_ms)}" y2="{y(shown.pace)}"/>')
    if shown.points:
        line = " ".join(f"{x(at_ms)},{y(amount)}" for at_ms, amount in shown.points)
        first = x(shown.points[0][0])
        parts.append(f'<polygon class="area" points="{first},{bottom} {line} {now_x},{bottom}"/>')
        parts.append(f'<polyline class="line" points="{line}"/>')
        parts.append(f'<circle class="dot" cx="{now_x}" cy="{spent_y}" r="4"/>')
    parts.append("</svg>")
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
    return "".join(parts) + "</svg>"


def _marks(shown: BurnUp, said: Mapping[str, str], y: Callable[[int], int]) -> Sequence[str]:
    """The limit and the levels as lines, each with its amount unless that would run into another."""
    parts, taken = [], list[int]()
    for name, amount in sorted(shown.marks.items(), key=lambda mark: -mark[1]):
        at = y(amount)
        parts.append(f'<line class="mark mark-{name}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        if all(abs(at - other) >= LABEL_HEIGHT for other in taken):
            taken.append(at)
            words = escape(said.get(name, ""))
            parts.append(f'<text class="tick" x="{LEFT - 6}" y="{at + 4}" text-anchor="end">{words}</text>')
    return parts


BAR_STEP, BARS_HEIGHT = 10, 36


def bars(values: Sequence[int], *, title: str, css: str = "bars") -> str:
    """A row of small bars, one for each value, the largest as high as the picture."""
    most = max([1, *values])
    width = max(1, len(values)) * BAR_STEP
    parts = [_begin(css, width, BARS_HEIGHT, title, "")]
    for number, value in enumerate(values):
        high = max(1 if value else 0, value * BARS_HEIGHT // most)
        x = number * BAR_STEP
        parts.append(f'<rect x="{x}" y="{BARS_HEIGHT - high}" width="{BAR_STEP - 3}" height="{high}"/>')
    return "".join(parts) + "</svg>"


METER_WIDTH, METER_HEIGHT = 100, 8


def meter(used: int, of: int, *, title: str, tone: str = "calm") -> str:
    """How full something is."""
    wide = min(METER_WIDTH, max(0, used) * METER_WIDTH // max(1, of))
    return (
        _begin("meter", METER_WIDTH, METER_HEIGHT, title, "")
        + f'<rect class="bar-free" width="{METER_WIDTH}" height="{METER_HEIGHT}" rx="2"/>'
        + f'<rect class="bar-{tone}" width="{wide}" height="{METER_HEIGHT}" rx="2"/></svg>'
    )


CELL_WIDTH, CELL_HEIGHT, HEAD_HEIGHT = 96, 22, 44
SHADES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A technique in the map: its number, its name, how many incidents show it."""

    id: str
    name: str
    count: int


def heat_map(columns: Sequence[tuple[str, Sequence[Cell]]], *, title: str, spoken: str, href: str) -> str:
    """Tactics as columns, techniques as cells: the more incidents, the darker; dashed where rules look and nothing was
    seen. `href` is what a cell links to, with the technique's number at its end.
    """
    rows = max([1, *(len(cells) for _, cells in columns)])
    width, height = len(columns) * CELL_WIDTH, HEAD_HEIGHT + rows * CELL_HEIGHT
    most = max([1, *(cell.count for _, cells in columns for cell in cells)])
    parts = [_begin("heat", width, height, title, spoken)]
    for column, (name, cells) in enumerate(columns):
        x = column * CELL_WIDTH
        for number, word in enumerate(_two_lines(name)):
            parts.append(f'<text class="head" x="{x + 2}" y="{14 + number * 14}">{escape(word)}</text>')
        if not cells:
            parts.append(
                f'<rect class="gap" x="{x + 1}" y="{HEAD_HEIGHT}" width="{CELL_WIDTH - 4}" height="{CELL_HEIGHT - 3}" rx="3"/>'
            )
            parts.append(f'<text class="none" x="{x + 8}" y="{HEAD_HEIGHT + 14}">no rule</text>')
        for row, cell in enumerate(cells):
            parts.append(_cell(cell, x, HEAD_HEIGHT + row * CELL_HEIGHT, most, href))
    return "".join(parts) + "</svg>"


def _cell(cell: Cell, x: int, y: int, most: int, href: str) -> str:
    shade = 0 if not cell.count else 1 + (SHADES - 1) * (cell.count - 1) // max(1, most - 1)
    times = f"{cell.count} incident{'' if cell.count == 1 else 's'}"
    count = (
        f'<text class="cell-count shade-{shade}-text" x="{x + CELL_WIDTH - 8}" y="{y + 14}" text-anchor="end">{cell.count}</text>'
        if cell.count
        else ""
    )
    return (
        f'<a href="{escape(href + cell.id)}">'
        f"<title>{escape(f'{cell.id} {cell.name}: {times}')}</title>"
        f'<rect class="shade-{shade}" x="{x + 1}" y="{y}" width="{CELL_WIDTH - 4}" height="{CELL_HEIGHT - 3}" rx="3"/>'
        f'<text class="cell shade-{shade}-text" x="{x + 6}" y="{y + 14}">{escape(cell.id)}</text>{count}</a>'
    )


STEP_WIDTH = 150


def steps(names: Sequence[str], at: int, *, title: str) -> str:
    """Steps one after the other: those before `at` are done, that one is under way."""
    parts = [_begin("steps", STEP_WIDTH * len(names), 44, title, "")]
    for number, name in enumerate(names):
        state = "done" if number < at else "now" if number == at else "later"
        x = number * STEP_WIDTH + 12
        if number:
            parts.append(f'<line class="step-{state}" x1="{x - STEP_WIDTH + 10}" x2="{x - 10}" y1="14" y2="14"/>')
        parts.append(f'<circle class="step-{state}" cx="{x}" cy="14" r="8"/>')
        parts.append(f'<text class="tick" x="{x - 8}" y="40">{escape(name)}</text>')
    return "".join(parts) + "</svg>"


def _begin(css: str, width: int, height: int, title: str, spoken: str) -> str:
    role = "group" if css == "heat" else "img"
    said = f"<desc>{escape(spoken)}</desc>" if spoken else ""
    name = f' aria-label="{escape(title)}"'
    ratio = ' preserveAspectRatio="none"' if css in ("meter", "bars") else ""
    size = f'class="{css}" viewBox="0 0 {width} {height}"{ratio}'
    return f'<svg {size} role="{role}"{name}><title>{escape(title)}</title>{said}'


def _two_lines(name: str) -> Sequence[str]:
    """A heading broken at a blank, so that neighbours do not run into each other."""
    if len(name) <= 14 or " " not in name:
        return (name,)
    middle = min((at for at, letter in enumerate(name) if letter == " "), key=lambda at: abs(at - len(name) // 2))
    return name[:middle], name[middle + 1 :]
