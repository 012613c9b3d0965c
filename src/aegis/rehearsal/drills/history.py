"""The drills that were run: one JSON document and one page each, in the folder `drills` of the state folder.

Policy: a file is whole or not there; its name says when it was run, which the report itself does not; the oldest go.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from aegis.core.errors import BadInput, StoreError
from aegis.rehearsal.drills.markdown import markdown
from aegis.rehearsal.drills.report import Report

FOLDER: Final = "drills"
SCHEMA: Final = "aegis.drill/1"
NAME: Final = re.compile(r"(\d{8}T\d{6}Z)-([a-z-]+?)(-\d+)?\.json")
KEPT_MAX: Final = 500
"""Reports that are kept: six drills a month for almost seven years."""
BYTES_MAX: Final = 1_048_576
"""Of a report that is read back; the largest has some thirty kilobytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A drill of record: its name, when it was run, and its document."""

    name: str
    at: datetime
    document: Mapping[str, Any]


def keep(home: Path, report: Report, *, at: datetime) -> Path:
    """Keep a report; the file of its page. Raises `StoreError`."""
    folder = home / FOLDER
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stem = _free(folder, f"{at:%Y%m%dT%H%M%SZ}-{report.kind}")
        body = orjson.dumps(
            {"schema": SCHEMA, **report.to_json()}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        )
        page = folder / f"{stem}.md"
        _write(page, markdown(report).encode())
        _write(folder / f"{stem}.json", body)
        for old in _files(folder)[KEPT_MAX:]:
            old.with_suffix(".md").unlink(missing_ok=True)
            old.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"the report could not be written into {folder}: {error.strerror}") from error
    return page


def ran(home: Path) -> Sequence[Ran]:
    """Every drill of record, newest first; what cannot be read is left out."""
    found = (_read(file) for file in _files(home / FOLDER))
    return [one for one in found if one is not None]


def page_of(home: Path, name: str) -> tuple[Ran, str]:
    """A drill by its name, or the newest of its kind, and its page. Raises `BadInput`."""
    for one in ran(home):
        if name in (one.name, one.document["drill"]):
            file = home / FOLDER / f"{one.name}.md"
            return one, file.read_text(encoding="utf-8") if file.exists() else ""
    raise BadInput(f"no drill {name[:64]} was run here; aegis drill list shows them", code="no_such_drill")


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    named = [(found, file) for file in folder.iterdir() if (found := NAME.fullmatch(file.name))]
    named.sort(key=lambda one: (one[0][1], int((one[0][3] or "-1")[1:]), one[0][2]), reverse=True)
    return [file for _, file in named]


def _read(file: Path) -> Ran | None:
    named = NAME.fullmatch(file.name)
    assert named is not None, "only our own names are read"
    try:
        if file.stat().st_size > BYTES_MAX:
            return None
        document = orjson.loads(file.read_bytes())
        at = datetime.strptime(named[1], "%Y%m%dT%H%M%S%z").astimezone(UTC)
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or not isinstance(document.get("drill"), str):
        return None
    return Ran(name=file.stem, at=at, document=document)


def _free(folder: Path, stem: str) -> str:
    """Two drills within one second are two reports."""
    number = 1
    while (folder / f"{stem}{f'-{number}' if number > 1 else ''}.json").exists():
        number += 1
    return f"{stem}-{number}" if number > 1 else stem


def _write(file: Path, body: bytes) -> None:
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(body)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
