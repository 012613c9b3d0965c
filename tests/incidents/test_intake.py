"""Intake gives events stable names, their own time and their log source."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import BadInput
from aegis.core.incidents import Event, LogSource
from aegis.incidents.formats.records import Rejected
from aegis.incidents.intake import chunks_of, events_from_body, read_events

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SSHD = b"Mar  3 23:42:00 bastion-1 sshd[411]: Failed password for root from 203.0.113.66 port 40022 ssh2\n"


def events(body: bytes, source: str = "log", *, now: datetime = NOW) -> list[Event]:
    return [item for item in read_events([body], source=source, received_at=now) if isinstance(item, Event)]


def body_ids(body: bytes, key: str = "") -> list[str]:
    return [event.id for event in events_from_body(body, source="http", received_at=NOW, idempotency_key=key).events]


def test_the_same_file_gives_the_same_ids_however_late_it_comes() -> None:
    first, again = events(SSHD * 3), events(SSHD * 3, now=NOW + timedelta(days=3))
    assert [event.id for event in first] == [event.id for event in again]
    assert [event.at for event in first] == [event.at for event in again]
    assert len({event.id for event in first}) == 3


def test_packing_a_file_does_not_change_its_events() -> None:
    assert events(gzip.compress(SSHD)) == events(SSHD)


def test_another_source_or_another_line_is_another_event() -> None:
    ids = {events(SSHD)[0].id, events(SSHD, "other")[0].id, events(b"\n" + SSHD)[0].id, events(SSHD + b"\n")[0].id}
    assert len(ids) == 3


@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=3), max_size=8))
def test_the_same_body_is_the_same_events(rows: list[dict[str, int]]) -> None:
    body = orjson.dumps(rows)
    assert body_ids(body) == body_ids(body)
    assert len(set(body_ids(body))) == len(body_ids(body))


def test_an_idempotency_key_tells_requests_apart() -> None:
    body = b'{"a":1}\n{"a":1}\n'
    assert len({*body_ids(body, "one"), *body_ids(body, "two")}) == 4


def test_an_id_of_the_sender_outlives_the_request() -> None:
    one, other = body_ids(b'[{"id":"7","a":1}]', "one"), body_ids(b'[{"b":2},{"id":"7","a":1,"seen":2}]', "two")
    assert one[0] == other[1]


def test_a_body_gives_what_is_good_and_names_what_is_not() -> None:
    taken = events_from_body(b'{"a":1}\nnonsense\n{"a":2}', source="http", received_at=NOW)
    assert ([event.fields for event in taken.events], [item.code for item in taken.rejected]) == (
        [{"a": 1}, {"a": 2}],
        ["malformed"],
    )


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"eventTime": "2026-03-03T23:40:10Z"}, datetime(2026, 3, 3, 23, 40, 10, tzinfo=UTC)),
        ({"time": 1_772_581_210}, datetime(2026, 3, 3, 23, 40, 10, tzinfo=UTC)),
        ({"a": 1}, NOW),
        ({"time": "soon"}, NOW),
        ({"time": "2036-01-01T00:00:00Z"}, NOW),
        ({"time": "soon", "date": "2026-03-03"}, datetime(2026, 3, 3, tzinfo=UTC)),
    ],
)
def test_a_record_has_its_own_time_unless_it_cannot_be_true(record: dict[str, Any], expected: datetime) -> None:
    assert events(orjson.dumps(record))[0].at == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (SSHD, LogSource("linux", "", "sshd")),
        (b"Mar  3 23:42:00 h sudo: a : TTY=x ; PWD=/ ; USER=root ; COMMAND=/bin/ls", LogSource("linux", "", "sudo")),
        (b"Mar  3 23:42:00 h kernel: hello", LogSource("linux", "", "syslog")),
        (b'203.0.113.9 - - [03/Mar/2026:23:40:10 +0000] "GET / HTTP/1.1" 404 0', LogSource("", "webserver", "")),
        (b'{"eventSource":"s3.amazonaws.com","eventName":"GetObject"}', LogSource("aws", "", "cloudtrail")),
        (b'{"key_id":"k","model":"m","requests":1}', LogSource("aegis", "", "model_usage")),
        (
            b'{"EventID":13,"Channel":"Microsoft-Windows-Sysmon/Operational"}',
            LogSource("windows", "registry_set", "sysmon"),
        ),
        (b'{"EventID":4688,"Channel":"Security"}', LogSource("windows", "process_creation", "security")),
        (b'{"EventID":1,"Channel":"Somebody/Else"}', LogSource("windows", "", "")),
        (b'{"logsource":{"product":"Okta","service":"okta"}}', LogSource("okta", "", "okta")),
        (b'{"logsource":"no","a":1}', LogSource()),
    ],
)
def test_the_log_source_is_found_from_the_content(body: bytes, expected: LogSource) -> None:
    assert events(body)[0].logsource == expected


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        list(chunks_of(tmp_path / "absent.log"))
    assert refused.value.code == "unreadable"
    assert "absent.log" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "rows", "product"),
    [("cloudtrail", 1_141, "aws"), ("evtx_attack", 5_241, "windows"), ("mordor_windows", 22_497, "windows")],
)
def test_real_files_are_read_whole(shared: Path, name: str, rows: int, product: str) -> None:
    path = shared / "data" / "detection" / f"{name}.jsonl.xz"
    items = list(read_events(chunks_of(path), source=name, received_at=NOW, at="/event"))
    known = [item for item in items if isinstance(item, Event) and item.logsource.product == product and item.at != NOW]
    assert not [item for item in items if isinstance(item, Rejected)]
    assert len({item.id for item in items if isinstance(item, Event)}) == rows
    assert len(known) > rows * 0.99
