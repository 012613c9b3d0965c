"""Syslog lines: RFC 5424, RFC 3164 and the ISO-stamped form that rsyslog and systemd write to files.

The header is parsed here; what a known program says in its message is read by `authlog`.
"""

from __future__ import annotations

import re
from typing import Any

from aegis.incidents.formats.authlog import read_message
from aegis.incidents.formats.records import Form

_TAG = r"(?P<program>[^\s:\[]{1,64})(?:\[(?P<pid>[^\]\s]{1,32})\])?:(?: |\Z)"
_PRIORITY = r"(?:<(?P<priority>\d{1,3})>)?"
_RFC3164 = re.compile(
    _PRIORITY + r"(?P<timestamp>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?: \d{4})?) (?P<host>\S{1,255}) " + _TAG
    + r"(?P<message>.*)\Z",
    re.ASCII | re.DOTALL,
)  # fmt: skip
_ISO_STAMPED = re.compile(
    _PRIORITY + r"(?P<timestamp>\d{4}-\d\d-\d\dT[\d:.,]{8,20}(?:Z|[+-]\d\d:?\d\d)?) (?P<host>\S{1,255}) " + _TAG
    + r"(?P<message>.*)\Z",
    re.ASCII | re.DOTALL,
)  # fmt: skip
_RFC5424 = re.compile(
    r"<(?P<priority>\d{1,3})>1 (?P<timestamp>\S{1,64}) (?P<host>\S{1,255}) (?P<program>\S{1,48}) (?P<pid>\S{1,128}) "
    r"(?P<message_id>\S{1,32}) (?P<structured>-|(?:\[(?:[^\]\\]|\\.)*+\])++)(?: (?P<message>.*))?\Z",
    re.ASCII | re.DOTALL,
)
_NIL = "-"


def read_syslog(line: str) -> tuple[Form, dict[str, Any]] | None:
    """The form and fields of one syslog line; None when it is not syslog."""
    found = _RFC3164.match(line) or _ISO_STAMPED.match(line) or _RFC5424.match(line)
    if found is None:
        return None
    header = {name: text for name, text in found.groupdict().items() if text is not None and text != _NIL}
    header["message"] = message = header.get("message", "").removeprefix("\ufeff")  # RFC 5424 allows a mark here
    program = header.get("program", "")
    form, read = read_message(program, message)
    return form, {**header, **read}


def from_journal(fields: dict[str, Any]) -> tuple[Form, dict[str, Any]] | None:
    """The same for a record of `journalctl -o json`; None when it is not one."""
    message, program = fields.get("MESSAGE"), fields.get("SYSLOG_IDENTIFIER")
    if not isinstance(message, str) or not isinstance(program, str):
        return None
    form, read = read_message(program, message)
    header = {
        "timestamp": fields.get("__REALTIME_TIMESTAMP"),
        "host": fields.get("_HOSTNAME"),
        "program": program,
        "pid": fields.get("_PID"),
        "message": message,
    }
    return form, {name: value for name, value in header.items() if value is not None} | read
