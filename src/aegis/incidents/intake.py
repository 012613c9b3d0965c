"""Intake: files and HTTP bodies become events; what is refused is handed back with its place.

Policy: an event's id is made from where it stood and what it said, so taking the same file or body in twice is
harmless. A record's own time counts; one that lies more than a day ahead of its arrival is not believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from aegis.core.errors import BadInput
from aegis.core.incidents import Event
from aegis.incidents.formats.logsources import logsource_of
from aegis.incidents.formats.reader import read_records
from aegis.incidents.formats.records import Bounds, Record, Rejected
from aegis.incidents.formats.times import SKEW, parse_time

CHUNK_BYTES = 256 << 10
"""How much of a file is read at a time."""
ID_BYTES = 16
"""128 bits of BLAKE2b: no two records of one store collide by accident."""
HTTP_BOUNDS = Bounds(document_bytes=16 << 20, unpacked_bytes=64 << 20, ratio=200, ratio_free_bytes=4 << 20)
"""What one request may unpack to: a tenth of a process's memory, whatever the body was."""
ID_CHARS = 256
"""The longest identifier of a sender that is taken as such (CloudTrail's and CloudEvents' are under 64)."""

_TIME_FIELDS = (
    "eventTime",  # CloudTrail
    "SystemTime",  # Windows, as EVTX and Winlogbeat
    "UtcTime",  # Sysmon's own, in UTC where its neighbours are local
    "@timestamp",
    "timestamp",
    "time",
    "EventTime",
    "TimeGenerated",
    "TimeCreated",
    "published",
    "created_at",
    "_time",
    "ts",
    "date",
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What one body held."""

    events: tuple[Event, ...]
    rejected: tuple[Rejected, ...]


def chunks_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a chunk at a time. Raises `BadInput` (`unreadable`) with the reason."""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}", code="unreadable") from error


def read_events(
    chunks: Iterable[bytes],
    *,
    source: str,
    received_at: datetime,
    at: str | None = None,
    bounds: Bounds | None = None,
) -> Iterator[Event | Rejected]:
    """Events, and refusals in their place, from the bytes of one file in any known format.

    `source` names the file or feed: it is part of each event's id and of each refusal. `at` is a JSON pointer to the
    event in each row. Raises `BadInput` at once for a pointer that is none.
    """
    for item in read_records(chunks, file=source, at=at, bounds=bounds):
        yield item if isinstance(item, Rejected) else to_event(item, source=source, received_at=received_at)


def to_event(record: Record, *, source: str, received_at: datetime) -> Event:
    """The record as an event of `source`: its time in UTC, its log source by content, and an id that is the same
    whenever the same record comes from the same place.
    """
    place = f"{source}\0{record.line}\0{record.index}\0"
    return _event(record, _id(place.encode(), record.content), source, received_at)


def events_from_body(
    body: bytes, *, source: str, received_at: datetime, idempotency_key: str = "", bounds: Bounds = HTTP_BOUNDS
) -> Taken:
    """The events of one HTTP body: a JSON object or array, JSON lines or log lines, also packed with gzip or xz.

    An event's id comes from its own `id` where it has one, else from the idempotency key, its place in the body and
    its content. So a sender that repeats a request with the same key adds nothing, and without a key the same body
    is the same events.
    """
    events: list[Event] = []
    rejected: list[Rejected] = []
    for item in read_records([body], file=source, bounds=bounds):
        if isinstance(item, Rejected):
            rejected.append(item)
            continue
        own = item.fields.get("id")
        if isinstance(own, str | int) and not isinstance(own, bool) and 0 < len(str(own)) <= ID_CHARS:
            event_id = _id(f"id\0{source}\0".encode(), str(own).encode())
        else:
            event_id = _id(f"key\0{idempotency_key}\0{item.line}\0{item.index}\0".encode(), item.content)
        events.append(_event(item, event_id, source, received_at))
    return Taken(tuple(events), tuple(rejected))


def _event(record: Record, event_id: str, source: str, received_at: datetime) -> Event:
    return Event(
        id=event_id,
        at=event_time(record.fields, received_at=received_at),
        source=source,
        logsource=logsource_of(record),
        fields=record.fields,
    )


def event_time(fields: Any, *, received_at: datetime) -> datetime:
    """The record's own time in UTC; `received_at` where it has none or lies more than a day ahead of it."""
    for name in _TIME_FIELDS:
        if (value := fields.get(name)) is not None:
            moment = parse_time(value, received_at=received_at)
            if moment is not None and moment <= received_at + SKEW:
                return moment
    return received_at


def _id(place: bytes, content: bytes) -> str:
    digest = blake2b(place, digest_size=ID_BYTES)
    digest.update(content)
    return f"evt_{digest.hexdigest()}"
