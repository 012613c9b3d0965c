"""What reading yields: a record, or a refusal with its place; and the bounds that every reader obeys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Form = Literal["json", "sshd", "auth", "sudo", "cron", "syslog", "web"]
"""How a record was written: JSON, or which kind of log line."""

CLIPPED_CHARS = 200
"""How much of a refused line is kept: enough to recognise it, too little to flood whoever reads the refusals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One parsed record. `line` counts from 1 (the ordinal in a JSON array that fills the file), `index` from 0
    inside one line that held several records. `content` is what the record's identity is made from.
    """

    line: int
    form: Form
    content: bytes
    fields: Mapping[str, Any]
    index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Something that was refused while everything around it went on.

    `code` is stable: `malformed`, `not_an_object`, `too_long`, `too_large`, `too_deep`, `too_many_keys`,
    `invalid_utf8`, `no_such_pointer`, `bomb`, `corrupt`, `truncated`, `unreadable`, `unsupported`.
    `text` is the start of what was refused, printable and clipped.
    """

    file: str
    line: int
    code: str
    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much of anything is taken from outside.

    A line: CloudTrail caps one record at 256 KB, Windows at 64 KB, so 1 MiB never cuts an honest one. A document
    (one JSON value that fills the file): CloudTrail writes some 50 MB unpacked at most. Ratio: the tightest honest
    log we met packs 163 to 1 with xz, gzip cannot pass 1,032 to 1; small outputs are free because a short file of
    repeats is harmless. Keys and depth are per record.
    """

    line_bytes: int = 1 << 20
    document_bytes: int = 64 << 20
    depth: int = 64
    keys: int = 4_096
    unpacked_bytes: int = 16 << 30
    ratio: int = 400
    ratio_free_bytes: int = 16 << 20


def clip(text: bytes | str) -> str:
    """The start of hostile text on one line: undecodable bytes escaped, control characters removed."""
    shown = text[: CLIPPED_CHARS * 4].decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
    return "".join(c if c.isprintable() else " " for c in shown[:CLIPPED_CHARS])
