"""Reads CBOR (RFC 8949) as the AWS clients write it (maps, lists, texts, bytes, numbers, times; bounded), and writes answers."""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Any

from aegis.sandbox.exchange import Unreadable

DEPTH_MAX = 32
_FLOATS = {25: ("e", 2), 26: ("f", 4), 27: ("d", 8)}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_STOP = object()


def read_cbor(text: bytes) -> Any:
    """The one value in `text`. Raises `Unreadable`."""
    reader = _Reader(text)
    try:
        value = reader.value(0)
    except (IndexError, struct.error, UnicodeDecodeError, TypeError) as error:
        raise Unreadable("the body is no CBOR") from error
    if value is _STOP or reader.at != len(text):
        raise Unreadable("the body is no CBOR")
    return value


class _Reader:
    def __init__(self, text: bytes) -> None:
        self.text, self.at = text, 0

    def _take(self, count: int) -> bytes:
        if count > len(self.text) - self.at:
            raise IndexError
        self.at += count
        return self.text[self.at - count : self.at]

    def value(self, depth: int) -> Any:
        if depth > DEPTH_MAX:
            raise Unreadable("the body is nested too deeply")
        first = self._take(1)[0]
        kind, more = first >> 5, first & 31
        if kind == 7:
            return self._simple(more)
        if more == 31:
            return self._endless(kind, depth)
        count = self._count(more)
        match kind:
            case 0:
                return count
            case 1:
                return -1 - count
            case 2:
                return self._take(count)
            case 3:
                return self._take(count).decode()
            case 4:
                return [self.value(depth + 1) for _ in range(min(count, len(self.text)))]
            case 5:
                return {self.value(depth + 1): self.value(depth + 1) for _ in range(min(count, len(self.text)))}
        return self.value(depth + 1)  # a tag: the time under it is its number of seconds

    def _count(self, more: int) -> int:
        if more < 24:
            return more
        if more > 27:
            raise IndexError
        return int.from_bytes(self._take(1 << (more - 24)))

    def _simple(self, more: int) -> Any:
        if more == 31:
            return _STOP
        if more in _FLOATS:
            form, size = _FLOATS[more]
            return struct.unpack(f">{form}", self._take(size))[0]
        return _SIMPLE.get(more)

    def _endless(self, kind: int, depth: int) -> Any:
        parts: list[Any] = []
        while (part := self.value(depth + 1)) is not _STOP:
            parts.append(part)
        if kind == 5:
            return dict(zip(parts[::2], parts[1::2], strict=False))
        if kind in (2, 3) and parts:
            return type(parts[0])().join(parts)
        return parts


def write_cbor(value: Any) -> bytes:
    """A JSON value as CBOR: maps, lists, texts, numbers, times, truth and null."""
    match value:
        case None | bool():
            return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case str():
            text = value.encode()
            return _head(3, len(text)) + text
        case datetime():
            return b"\xc1" + write_cbor(int(value.timestamp()))  # a tag: seconds since 1970
        case list():
            return _head(4, len(value)) + b"".join(write_cbor(one) for one in value)
    pairs = (write_cbor(str(name)) + write_cbor(one) for name, one in value.items())
    return _head(5, len(value)) + b"".join(pairs)


def _head(kind: int, count: int) -> bytes:
    """The kind of what follows, and its number or length in as few bytes as it needs."""
    if count < 24:
        return bytes([kind << 5 | count])
    size = next(size for size in range(4) if count < 1 << (8 << size))
    return bytes([kind << 5 | 24 + size]) + count.to_bytes(1 << size)
