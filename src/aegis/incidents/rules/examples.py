"""The example events that a rule file ends with, as events: one, or a series of steps with times.

A step is `{after: seconds before it, times: how often, every: seconds between, event: ...}`; `{n}` in a text counts the
repeats. A text is a log line: syslog without its header, or a web line with `{time}`; a mapping is a JSON record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from aegis.core.errors import BadInput
from aegis.core.incidents import Event
from aegis.incidents.intake import read_events

STARTS: Final = datetime(2026, 3, 3, 23, 42, tzinfo=UTC)
"""When the first step happens; any night would do."""
RECEIVED: Final = STARTS + timedelta(hours=12)
EVENTS_MAX: Final = 10_000
"""Events of one example: ten times what the highest threshold of SigmaHQ counts to."""
STEP_SECONDS_MAX: Final = 366 * 24 * 3600
"""No correlation looks back further than a year."""
_STEP: Final = frozenset({"after", "times", "every", "event"})


def events_of(example: Any) -> list[Event]:
    """The events of one example, each through intake as it would come. Raises `BadInput` for what is no example."""
    if not isinstance(example, list):
        return [_event(_line(example), 0)]
    return [_event(line, number) for number, line in enumerate(_lines(example))]


def _lines(steps: list[Any]) -> Iterator[bytes]:
    at, left = STARTS, EVENTS_MAX
    for step in steps:
        if not isinstance(step, Mapping) or "event" not in step or not step.keys() <= _STEP:
            raise BadInput("a step of an example is {after, times, every, event}")
        after, every = (_number(step, name, 0, STEP_SECONDS_MAX) for name in ("after", "every"))
        times = _number(step, "times", 1, EVENTS_MAX)
        left -= times
        if left < 0 or (after + every * times) > STEP_SECONDS_MAX:
            raise BadInput(f"an example has at most {EVENTS_MAX:,} events within a year")
        at += timedelta(seconds=after)
        for n in range(times):
            yield _written(_counted(step["event"], n), at)
            at += timedelta(seconds=every)


def _number(step: Mapping[str, Any], name: str, otherwise: int, most: int) -> int:
    value = step.get(name, otherwise)
    if not isinstance(value, int) or not 0 <= value <= most:
        raise BadInput(f"`{name}` of a step is a whole number from 0 to {most:,}")
    return value


def _event(line: bytes, number: int) -> Event:
    found = list(read_events([line], source=f"example-{number}", received_at=RECEIVED))
    if len(found) != 1:
        raise BadInput(f"an example is one event, not {len(found)}")
    (event,) = found
    if not isinstance(event, Event):
        raise BadInput(event.reason)
    return event


def _line(event: Any) -> bytes:
    """A log line as it stands, or a record as JSON."""
    if not isinstance(event, str | Mapping):
        raise BadInput("an example is a log line or a record")
    try:
        return event.encode() if isinstance(event, str) else orjson.dumps(event)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"no record that a log could hold: {str(error)[:120]}") from error


def _written(event: Any, at: datetime) -> bytes:
    if isinstance(event, Mapping):
        return _line({**event, "@timestamp": at.isoformat()})
    if "{time}" in str(event):
        return _line(str(event).replace("{time}", f"{at:%d/%b/%Y:%H:%M:%S} +0000"))
    return _line(f"{at:%b} {at.day:2d} {at:%H:%M:%S} bastion-1 {event}")


def _counted(value: Any, n: int) -> Any:
    if isinstance(value, str):
        return value.replace("{n}", str(n))
    if isinstance(value, dict):
        return {name: _counted(part, n) for name, part in value.items()}
    return [_counted(part, n) for part in value] if isinstance(value, list) else value
