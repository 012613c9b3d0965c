"""The one door for logs: bytes in any known format become records; what cannot be read is named and skipped.

Policy: the format is found from the content, line by line, never from a name. One bad line costs that line only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from aegis.core.errors import BadInput
from aegis.incidents.formats.documents import Pointer, parse, pointer, unfold
from aegis.incidents.formats.evtx import EVTX_MAGIC, evtx_records
from aegis.incidents.formats.lines import Overlong, split_lines
from aegis.incidents.formats.records import Bounds, Form, Record, Rejected, clip
from aegis.incidents.formats.syslog import from_journal, read_syslog
from aegis.incidents.formats.unpack import unpack
from aegis.incidents.formats.weblog import read_web
from aegis.incidents.formats.windows import read_windows

_DOCUMENT = re.compile(rb'\s*(?:\[\s*[\[{\]]|\{\s*"Records"\s*:\s*\[)')
"""How a file begins that is one JSON value: an array of records, or CloudTrail."""
_CONTINUES = (b"{", b"[", b",", b":")
"""How the first line of an indented JSON document ends."""


def read_records(
    chunks: Iterable[bytes], *, file: str = "", at: str | None = None, bounds: Bounds | None = None
) -> Iterator[Record | Rejected]:
    """Records, and refusals in their place, from the bytes of one file or body; gzip and xz are opened.

    `at` is a JSON pointer to the record inside each value (`/event`); `file` only names refusals. Raises `BadInput`
    at once for a pointer that is none; later nothing is raised.
    """
    return _Reading(file=file, pick=pointer(at), pointed=bool(at), bounds=bounds or Bounds()).read(chunks)


class _Reading:
    """One pass over one input: knows where it is, so that a failure of the stream has a place too."""

    def __init__(self, *, file: str, pick: Pointer, pointed: bool, bounds: Bounds) -> None:
        self._file, self._pick, self._pointed, self._bounds = file, pick, pointed, bounds
        self._line = 0
        self._broken: BadInput | None = None

    def read(self, chunks: Iterable[bytes]) -> Iterator[Record | Rejected]:
        try:
            stream = unpack(chunks, self._bounds)
            head = self._head(stream)
            whole = self._chained(head, stream)
            if head.startswith(EVTX_MAGIC):
                yield from self._evtx(whole)
            elif self._is_document(head):
                yield from self._document(whole)
            else:
                yield from self._lines(whole)
        except BadInput as error:
            yield self._rejected(self._line, error)

    def _head(self, stream: Iterator[bytes]) -> bytes:
        """Enough to know the format by: the first line that is not blank, or as much as a line may be long."""
        parts, size, begun = [], 0, False
        try:
            for chunk in stream:
                parts.append(chunk)
                size += len(chunk)
                text = chunk if begun else chunk.lstrip()
                begun = bool(text)
                if size > self._bounds.line_bytes or b"\n" in text:
                    break
        except BadInput as error:
            self._broken = error
        return b"".join(parts)

    def _chained(self, head: bytes, stream: Iterator[bytes]) -> Iterator[bytes]:
        """The whole stream again; where it broke, what came before is read first."""
        yield head
        if self._broken:
            raise self._broken
        yield from stream

    def _is_document(self, head: bytes) -> bool:
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if text[:1] not in (b"{", b"["):
            return False
        first = text.split(b"\n", 1)[0].rstrip()
        if len(first) > self._bounds.line_bytes:
            return _DOCUMENT.match(text) is not None
        try:
            orjson.loads(first)
        except orjson.JSONDecodeError:
            return first.endswith(_CONTINUES) or _DOCUMENT.match(text) is not None
        return False

    def _document(self, stream: Iterator[bytes]) -> Iterator[Record | Rejected]:
        content = self._whole(stream)
        try:
            values = list(unfold(parse(content.removeprefix(b"\xef\xbb\xbf"), self._bounds)))
        except BadInput as error:
            yield self._rejected(0, error, content[:1_024])
            return
        for number, value in enumerate(values, start=1):
            yield from self._values(value, number, None)

    def _whole(self, stream: Iterator[bytes]) -> bytes:
        parts, size = [], 0
        for chunk in stream:
            parts.append(chunk)
            size += len(chunk)
            if size > self._bounds.document_bytes:
                message = (
                    f"one JSON document of more than {self._bounds.document_bytes} bytes; JSON lines have no such bound"
                )
                raise BadInput(message, code="too_large")
        return b"".join(parts)

    def _evtx(self, stream: Iterator[bytes]) -> Iterator[Record | Rejected]:
        for number, text in enumerate(evtx_records(self._whole(stream)), start=1):
            self._line = number
            yield from self._json(text, number)

    def _lines(self, stream: Iterator[bytes]) -> Iterator[Record | Rejected]:
        for number, line in split_lines(stream, self._bounds.line_bytes):
            self._line = number
            if isinstance(line, Overlong):
                reason = f"a line of {line.length} bytes; at most {self._bounds.line_bytes} are taken"
                yield self._rejected(number, BadInput(reason, code="too_long"), line.head)
            elif line[:1] in (b"{", b"["):
                yield from self._json(line, number)
            else:
                yield self._text(line, number)

    def _json(self, line: bytes, number: int) -> Iterator[Record | Rejected]:
        try:
            value = parse(line, self._bounds)
        except BadInput as error:
            yield self._rejected(number, error, line)
            return
        if isinstance(value, dict) and "Records" not in value:
            yield from self._values(value, number, line)
            return
        for index, element in enumerate(unfold(value)):
            yield from self._values(element, number, None, index)

    def _values(self, value: Any, number: int, line: bytes | None, index: int = 0) -> Iterator[Record | Rejected]:
        """The records at the pointer in one value (several when an array stands there)."""
        try:
            found = self._pick(value)
        except BadInput as error:
            yield self._rejected(number, error, line or orjson.dumps(value))
            return
        if isinstance(found, str) and self._pointed:
            yield self._text(found.encode("utf-8", "replace"), number)
        elif isinstance(found, dict) and "Records" not in found:
            yield self._record(found, number, line or orjson.dumps(found), index)
        elif self._pointed and isinstance(found, list | dict):
            for position, element in enumerate(unfold(found), start=index):
                if isinstance(element, dict):
                    yield self._record(element, number, orjson.dumps(element), position)
                else:
                    yield self._no_object(element, number)
        else:
            yield self._no_object(found, number)

    def _record(self, value: dict[str, Any], number: int, content: bytes, index: int) -> Record:
        form: Form = "json"
        if "MESSAGE" in value and (journal := from_journal(value)):
            form, value = journal
        else:
            value = read_windows(value) or value
        return Record(line=number, form=form, content=content, fields=value, index=index)

    def _text(self, line: bytes, number: int) -> Record | Rejected:
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            return self._rejected(number, BadInput(f"not valid UTF-8 at byte {error.start}", code="invalid_utf8"), line)
        if syslog := read_syslog(text):
            return Record(line=number, form=syslog[0], content=line, fields=syslog[1])
        if web := read_web(text):
            return Record(line=number, form="web", content=line, fields=web)
        return self._rejected(number, BadInput("not a line of any known log format", code="malformed"), line)

    def _no_object(self, value: Any, number: int) -> Rejected:
        kind = "null" if value is None else type(value).__name__
        return self._rejected(
            number, BadInput(f"a record is an object, not {kind}", code="not_an_object"), orjson.dumps(value)
        )

    def _rejected(self, number: int, error: BadInput, text: bytes = b"") -> Rejected:
        return Rejected(file=self._file, line=number, code=error.code, reason=str(error), text=clip(text))
