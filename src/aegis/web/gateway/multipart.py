"""Forms with a file in them, read within bounds (RFC 7578) and written again: nothing of the caller's form goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aegis.web.gateway.refusals import Refusal

PARTS_MAX: Final = 8
"""A file, its purpose and when it expires are four."""
HEAD_MAX: Final = 2_048
"""Bytes of a part's headers; clients send about two hundred."""
VALUE_MAX: Final = 256
_BOUNDARY = re.compile(rb"""multipart/form-data\s*;\s*boundary=(?:"([^"]{1,70})"|([^\s";,]{1,70}))\s*""", re.IGNORECASE)
_NAME = re.compile(rb'(?:^|;)\s*name="([^"]{1,64})"')
_FILE = re.compile(rb'(?:^|;)\s*filename="([^"]{0,256})"')
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Form:
    """A form with one file: the plain fields, and the file's name and bytes."""

    fields: Mapping[str, str]
    name: str
    content: bytes


def read_form(content_type: bytes, body: bytes) -> Form:
    """The form of a body. Raises `Refusal` for what is none, or has more parts, longer heads or two meanings."""
    found = _BOUNDARY.fullmatch(content_type.strip())
    if found is None:
        raise _wrong("the body must be multipart/form-data with a boundary")
    mark = b"--" + (found[1] or found[2])
    pieces = (b"\r\n" + body).split(b"\r\n" + mark, PARTS_MAX + 2)
    if len(pieces) < 3 or len(pieces) > PARTS_MAX + 2 or pieces[0].strip() or not pieces[-1].startswith(b"--"):
        raise _wrong(f"the form must have 1 to {PARTS_MAX} parts and an end")
    fields: dict[str, str] = {}
    file: tuple[str, bytes] | None = None
    for piece in pieces[1:-1]:
        name, filename, content = _part(piece)
        if name in fields or (name == "file" and file is not None):
            raise _wrong(f"the part {name} stands twice")
        if name == "file":
            file = filename, content
        else:
            fields[name] = _value(name, content)
    if file is None:
        raise _wrong("the form has no file")
    return Form(fields, *file)


def _part(piece: bytes) -> tuple[str, str, bytes]:
    head, end, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not end or len(head) > HEAD_MAX or not piece.startswith(b"\r\n"):
        raise _wrong("a part of the form has no end of its headers")
    told = b""
    for line in head.split(b"\r\n"):
        header, _, value = line.partition(b":")
        if header.strip().lower() == b"content-disposition":
            told = value
        elif header.strip().lower() == b"content-transfer-encoding" and value.strip().lower() not in (
            b"binary",
            b"8bit",
        ):
            raise _wrong("a part of the form is packed")
    name, filename = _NAME.search(told), _FILE.search(told)
    if name is None:
        raise _wrong("a part of the form has no name")
    return name[1].decode("ascii", "replace"), filename[1].decode("ascii", "replace") if filename else "", content


def _value(name: str, content: bytes) -> str:
    if len(content) > VALUE_MAX or not content.isascii():
        raise _wrong(f"the field {name} is too long")
    return content.decode("ascii").strip()


def write_form(boundary: str, fields: Mapping[str, str], name: str, content: bytes) -> tuple[bytes, bytes]:
    """The content type and body of a form. The content must not hold the boundary on a line of its own; JSON lines hold
    no line that begins with a dash.
    """
    if not _PLAIN_NAME.fullmatch(name):
        name = "batch.jsonl"
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    ]
    head = f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n'
    parts += [head.encode(), b"content-type: application/octet-stream\r\n\r\n", content]
    return f"multipart/form-data; boundary={boundary}".encode(), b"".join([*parts, f"\r\n--{boundary}--\r\n".encode()])


def _wrong(why: str) -> Refusal:
    return Refusal(400, why, code="bad_form")
