"""AWS' framing of streams (application/vnd.amazon.eventstream): lengths, headers and checksums around a payload.

smithy.io, Amazon Event Stream: 4 bytes of the whole length, 4 of the headers' length, CRC-32 of both, headers, payload,
CRC-32 of all before it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aegis.core.errors import BadInput

FRAME_MAX: Final = 24 * 1024 * 1024
"""The format's own bound of a message (16 MB of payload, 128 KB of headers), rounded up."""
_PRELUDE: Final = 12
_AROUND: Final = 16
_TEXT: Final = 7
_FIXED_SIZES: Final[Mapping[int, int]] = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message: its headers of type text, and its payload."""

    headers: Mapping[str, str]
    payload: bytes


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole frames in front, and what is left. Raises `BadInput` for what is no such stream."""
    frames, start = [], 0
    while len(data) - start >= _PRELUDE:
        size, heads, check = struct.unpack_from(">III", data, start)
        if not _AROUND + heads <= size <= FRAME_MAX or zlib.crc32(data[start : start + 8]) != check:
            raise BadInput("the stream is none of AWS' framing", code="bad_frame")
        if len(data) - start < size:
            break
        frames.append(data[start : start + size])
        start += size
    return frames, data[start:]


def read(frame: bytes) -> Frame:
    """One whole frame. Raises `BadInput` for one that is damaged."""
    size, heads, _ = struct.unpack_from(">III", frame)
    if len(frame) != size or zlib.crc32(frame[:-4]) != struct.unpack(">I", frame[-4:])[0]:
        raise BadInput("a frame of the stream is damaged", code="bad_frame")
    return Frame(headers=_headers(frame[_PRELUDE : _PRELUDE + heads]), payload=frame[_PRELUDE + heads : -4])


def write(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A frame with headers of type text."""
    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    raw = b"".join(
        struct.pack(">B", len(name)) + name + struct.pack(">BH", _TEXT, len(value)) + value for name, value in named
    )
    prelude = struct.pack(">II", _AROUND + len(raw) + len(payload), len(raw))
    said = prelude + struct.pack(">I", zlib.crc32(prelude)) + raw + payload
    return said + struct.pack(">I", zlib.crc32(said))


def _headers(raw: bytes) -> Mapping[str, str]:
    found, at = {}, 0
    try:
        while at < len(raw):
            ends = at + 1 + raw[at]
            name, kind = raw[at + 1 : ends].decode(), raw[ends]
            at = ends + 1
            if kind in _FIXED_SIZES:
                at += _FIXED_SIZES[kind]
                continue
            (length,) = struct.unpack_from(">H", raw, at)
            if kind == _TEXT:
                found[name] = raw[at + 2 : at + 2 + length].decode()
            at += 2 + length
    except (IndexError, struct.error, UnicodeDecodeError):
        raise BadInput("the headers of a frame are damaged", code="bad_frame") from None
    return found
