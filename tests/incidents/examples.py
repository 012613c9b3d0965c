"""The example events that our rule files end with, as events: one, or a series of steps with times.

A step is `{after: seconds before it, times: how often, every: seconds between, event: ...}`; `{n}` in a text counts the
repeats. A text is a log line: syslog without its header, or a web line with `{time}`; a mapping is a JSON record.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from aegis.core.incidents import Event
from aegis.incidents.intake import read_events

STARTS = datetime(2026, 3, 3, 23, 42, tzinfo=UTC)
RECEIVED = STARTS + timedelta(hours=12)


def events_of(example: Any) -> list[Event]:
    """The events of one example, each through intake as it would come."""
    if not isinstance(example, list):
        return [_event(example.encode() if isinstance(example, str) else orjson.dumps(example), 0)]
    events: list[Event] = []
    at = STARTS
    for step in example:
        at += timedelta(seconds=step.get("after", 0))
        for n in range(step.get("times", 1)):
            events.append(_event(_written(_counted(step["event"], n), at), len(events)))
            at += timedelta(seconds=step.get("every", 0))
    return events


def _event(line: bytes, number: int) -> Event:
    (event,) = read_events([line], source=f"example-{number}", received_at=RECEIVED)
    assert isinstance(event, Event), event
    return event


def _written(event: Any, at: datetime) -> bytes:
    if isinstance(event, Mapping):
        return orjson.dumps({**event, "@timestamp": at.isoformat()})
    if "{time}" in event:
        return str(event).replace("{time}", f"{at:%d/%b/%Y:%H:%M:%S} +0000").encode()
    return f"{at:%b} {at.day:2d} {at:%H:%M:%S} bastion-1 {event}".encode()


def _counted(value: Any, n: int) -> Any:
    if isinstance(value, str):
        return value.replace("{n}", str(n))
    if isinstance(value, dict):
        return {name: _counted(part, n) for name, part in value.items()}
    return [_counted(part, n) for part in value] if isinstance(value, list) else value
