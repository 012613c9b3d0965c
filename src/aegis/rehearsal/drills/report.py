"""What a drill came to: measures against their targets, checks, a timeline, what to improve; the same for every drill.

Policy: what never happened fails, what a drill does not rehearse is not judged, and a drill that reached for anything real
scores nothing. Two runs of one seed write the same bytes: no time but the story's stands in a report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from aegis.core.money import format_usd
from aegis.core.wording import rfc3339

Unit: TypeAlias = Literal["ms", "usd", "count"]
Verdict: TypeAlias = Literal["met", "missed", "not rehearsed"]
SIX: Final[Mapping[str, tuple[str, Unit]]] = {
    "time_to_notice": ("Time to notice", "ms"),
    "time_to_tell": ("Time to tell", "ms"),
    "time_to_stop": ("Time to stop", "ms"),
    "overspend": ("Overspend", "usd"),
    "false_stops": ("False stops", "count"),
    "time_to_return": ("Time to return", "ms"),
}
"""What every drill is measured by, in this order."""
LINES_MAX: Final = 60
"""Lines of a timeline that a report shows: two screens. The rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One of the six. `value` None: it never happened; `target` is the most it may be (milliseconds, nano-dollars, a
    count), None where this drill does not rehearse it. `text` says from what to what it was measured, `advice` what helps.
    """

    name: str
    value: int | None = None
    target: int | None = None
    text: str
    advice: str = ""

    @property
    def verdict(self) -> Verdict:
        if self.target is None:
            return "not rehearsed"
        return "met" if self.value is not None and self.value <= self.target else "missed"

    @property
    def title(self) -> str:
        return SIX[self.name][0]

    def shown(self, amount: int | None) -> str:
        """An amount of this measure as people read it."""
        if amount is None:
            return "never" if self.target is not None else "-"
        unit = SIX[self.name][1]
        return duration(amount) if unit == "ms" else f"${format_usd(amount)}" if unit == "usd" else str(amount)

    def to_json(self) -> dict[str, Any]:
        unit = SIX[self.name][1]
        ending = "" if unit == "count" else f"_{unit}"
        spelled = format_usd if unit == "usd" else int
        return {
            "name": self.name,
            f"value{ending}": None if self.value is None else spelled(self.value),
            f"target{ending}": None if self.target is None else spelled(self.target),
            "verdict": self.verdict,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One thing that was looked at beside the six: whether it is so, and what was seen."""

    name: str
    good: bool
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the timeline; `times` says how often it came, `last` when it came last."""

    at: datetime
    kind: str
    text: str
    times: int = 1
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Secluded:
    """Whether the drill kept to itself: whether the watch saw its connections, what it was kept from, whose keys it read, what
    it stopped and what of that nobody had registered.
    """

    connected: bool
    elsewhere: tuple[str, ...]
    references: int
    foreign: tuple[str, ...]
    targets: int
    unregistered: tuple[str, ...]

    @property
    def good(self) -> bool:
        return not (self.elsewhere or self.foreign or self.unregistered) and self.connected

    def sentences(self) -> Sequence[str]:
        """The negative check in words."""
        return (
            "every connection went to the drill's own sandbox on loopback"
            if not self.elsewhere
            else f"REACHED FOR {', '.join(self.elsewhere)} (kept from it)",
            f"{self.references} secrets resolved, every one made up by the sandbox"
            if not self.foreign
            else f"ASKED FOR {', '.join(self.foreign)} (refused)",
            f"{self.targets} targets stopped, every one made for this drill"
            if not self.unregistered
            else f"STOPPED {', '.join(self.unregistered)}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One drill, as it is kept. `size` says how large it was, `planted` which fault was put in on purpose."""

    kind: str
    title: str
    story: str
    size: str
    seed: int
    fast: bool
    planted: str
    began: datetime
    ended: datetime
    measures: tuple[Measure, ...]
    looked: tuple[Looked, ...]
    secluded: Secluded
    timeline: tuple[Line, ...]

    @property
    def score(self) -> int:
        """Percent of what was judged that is as it should be, rounded down; nothing for a drill that reached for anything
        real.
        """
        judged = [m.verdict == "met" for m in self.measures if m.target is not None] + [one.good for one in self.looked]
        return 100 * sum(judged) // len(judged) if judged and self.secluded.good else 0

    @property
    def passed(self) -> bool:
        return self.score == 100

    @property
    def improve(self) -> Sequence[str]:
        """What to do about each thing that fell short; else what came nearest to its target."""
        short = [
            f"{m.title}: {m.shown(m.value)}, at most {m.shown(m.target)} was meant. {m.advice}".strip()
            for m in self.measures
            if m.verdict == "missed"
        ]
        short += [f"{one.name}: {one.text}. {one.advice}".strip() for one in self.looked if not one.good]
        short += [] if self.secluded.good else ["The drill did not keep to itself: see what it reached for."]
        if short:
            return short
        near = max((m for m in self.measures if m.target and m.value), key=_share, default=None)
        if near is None:
            return ["Nothing fell short."]
        return [f"Nothing fell short. Nearest to its target: {near.title.lower()}, {_share(near)} % of it."]

    def to_json(self) -> dict[str, Any]:
        """The document `aegis.drill/1` without its first key."""
        return {
            "drill": self.kind,
            "title": self.title,
            "story": self.story,
            "size": self.size,
            "seed": self.seed,
            "fast": self.fast,
            "planted": self.planted,
            "began": rfc3339(self.began),
            "ended": rfc3339(self.ended),
            "score": self.score,
            "passed": self.passed,
            "measures": [measure.to_json() for measure in self.measures],
            "looked": [{"name": one.name, "good": one.good, "text": one.text} for one in self.looked],
            "secluded": {
                "good": self.secluded.good,
                "watched": self.secluded.connected,
                "elsewhere": list(self.secluded.elsewhere),
                "secrets": self.secluded.references,
                "foreign_secrets": list(self.secluded.foreign),
                "targets": self.secluded.targets,
                "unregistered_targets": list(self.secluded.unregistered),
            },
            "improve": list(self.improve),
            "timeline": [
                {
                    "at": rfc3339(one.at),
                    "kind": one.kind,
                    "text": one.text,
                    "times": one.times,
                    "last": rfc3339(one.last),
                }
                for one in self.timeline
            ],
        }


def _share(measure: Measure) -> int:
    assert measure.target, "asked for one that is judged"
    assert measure.value is not None, "and happened"
    return 100 * measure.value // measure.target


def duration(milliseconds: int) -> str:
    """A time as people read it: `0 s`, `0.25 s`, `36 s`, `15 min 12 s`, `14 h 5 min`."""
    if milliseconds < 60_000:
        return f"{milliseconds / 1_000:.2f}".rstrip("0").rstrip(".") + " s"
    minutes, rest = divmod(milliseconds // 1_000, 60)
    if minutes >= 120:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def cut(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The timeline in order of time, with the same sentence once; beyond `LINES_MAX` the middle is left out, and how
    much of it.
    """
    ordered = sorted(lines, key=lambda one: (one.at, one.kind, one.text))
    if len(ordered) <= LINES_MAX:
        return tuple(ordered)
    half = LINES_MAX // 2
    gone = ordered[half : 1 - half]
    middle = Line(at=gone[0].at, last=gone[-1].last, kind="...", text=f"{len(gone)} more lines stand in the record")
    return (*ordered[:half], middle, *ordered[1 - half :])
