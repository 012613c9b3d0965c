"""What `aegis rule test` counts: events of files, what rules find in them, and the first few that match.

Policy: events pass one by one, so a file may be of any size; what is kept is bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aegis.core.wording import rfc3339

if TYPE_CHECKING:
    from aegis.core.incidents import Detection, Event, LogSource
    from aegis.incidents.rules.trial import Trial

SOURCES_MAX = 1_000
"""Log sources that are told apart: an event may name its own."""
SOURCES_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """An event that matched: where it stands, when it was, and what was found in it."""

    place: str
    event: Event
    found: tuple[Detection, ...]

    def line(self) -> str:
        """Time, what it is about, and what the rule looked at."""
        first = self.found[0]
        facts = " ".join(f"{name}={text}" for name, text in first.evidence.items())
        return f"{rfc3339(self.event.at)} {first.entity.kind} {first.entity.value} | {facts}"

    def row(self) -> dict[str, Any]:
        """The same as JSON values."""
        first = self.found[0]
        return {
            "place": self.place,
            "at": rfc3339(self.event.at),
            "rules": [one.rule_id for one in self.found],
            "entity": {"kind": first.entity.kind, "value": first.entity.value},
            "evidence": dict(first.evidence),
        }


@dataclass(slots=True)
class Counted:
    """The sums. `matched` counts events, `matches` what each rule found."""

    events: int = 0
    rejected: int = 0
    matched: int = 0
    matches: Counter[str] = field(default_factory=Counter)
    first: list[Matching] = field(default_factory=list)
    seen: Counter[LogSource] = field(default_factory=Counter)

    def document(self) -> Mapping[str, Any]:
        """The sums as JSON values."""
        return {
            "events": self.events,
            "rejected": self.rejected,
            "matched": self.matched,
            "first": [one.row() for one in self.first],
        }

    def sources(self) -> str:
        """The log sources that most events are of: where nothing matches, that is why most often."""
        return ", ".join(f"{named(source)} ({count})" for source, count in self.seen.most_common(SOURCES_SHOWN))


def count(trial: Trial, below: Trial, files: Iterable[Path], *, at: str | None, shown: int) -> Counted:
    """Show every event of these files to the rules, in order, and to those `below`, whose matches are only counted. Raises
    `BadInput` for a pointer `at` that is none.
    """
    from aegis.app.system import SystemClock
    from aegis.incidents.formats.reader import read_records
    from aegis.incidents.formats.records import Rejected
    from aegis.incidents.intake import chunks_of, to_event

    now = SystemClock().now()
    sums = Counted()
    for file in dict.fromkeys(files):
        for record in read_records(chunks_of(file), file=str(file), at=at):
            if isinstance(record, Rejected):
                sums.rejected += 1
                continue
            event = to_event(record, source=str(file), received_at=now)
            sums.matches.update(one.rule_id for one in below.found(event))
            _add(sums, event, f"{file.name}:{record.line}", tuple(trial.found(event)), shown)
    return sums


def _add(sums: Counted, event: Event, place: str, found: tuple[Detection, ...], shown: int) -> None:
    sums.events += 1
    if event.logsource in sums.seen or len(sums.seen) < SOURCES_MAX:
        sums.seen[event.logsource] += 1
    if not found:
        return
    sums.matched += 1
    sums.matches.update(one.rule_id for one in found)
    if len(sums.first) < shown:
        sums.first.append(Matching(place=place, event=event, found=found))


def named(source: LogSource) -> str:
    """A log source in words."""
    words = (("product", source.product), ("category", source.category), ("service", source.service))
    return " ".join(f"{name} {value}" for name, value in words if value) or "no known log source"
