"""Streaming decompression of gzip and xz with a bound on the total and on the ratio, chosen by magic number."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Protocol

from aegis.core.errors import BadInput
from aegis.incidents.formats.records import Bounds

GZIP_MAGIC = b"\x1f\x8b"
XZ_MAGIC = b"\xfd7zXZ\x00"
STEP_BYTES = 256 << 10
"""How much is unpacked at a time: what a bomb can cost before it is noticed."""
PIECE_BYTES = 64 << 10
"""Packed input is handed over in pieces: zlib copies what it has not used yet at every step."""
XZ_MEMORY_BYTES = 128 << 20
"""`xz -9` needs 65 MiB to unpack (xz manual); a header may ask for 4 GiB."""


class _Inflate(Protocol):
    def step(self, packed: bytes) -> bytes: ...
    @property
    def wants_input(self) -> bool: ...
    @property
    def finished(self) -> bool: ...
    @property
    def rest(self) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    def step(self, packed: bytes) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + packed, STEP_BYTES)

    @property
    def wants_input(self) -> bool:
        return not self._stream.unconsumed_tail

    @property
    def finished(self) -> bool:
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        return self._stream.unused_data


class _Xz:
    def __init__(self) -> None:
        self._stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES)

    def step(self, packed: bytes) -> bytes:
        return self._stream.decompress(packed, STEP_BYTES)

    @property
    def wants_input(self) -> bool:
        return self._stream.needs_input

    @property
    def finished(self) -> bool:
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        return self._stream.unused_data


def unpack(chunks: Iterable[bytes], bounds: Bounds) -> Iterator[bytes]:
    """The bytes inside gzip or xz (several members in a row are one file); anything else passes through.

    Raises `BadInput` (`bomb`, `corrupt`, `truncated`) after yielding everything that was good up to there.
    """
    source = iter(chunks)
    head = b""
    while len(head) < len(XZ_MAGIC) and (chunk := next(source, None)) is not None:
        head += chunk
    if head.startswith(GZIP_MAGIC):
        yield from _inflate(_pieces(head, source), _Gzip, bounds)
    elif head.startswith(XZ_MAGIC):
        yield from _inflate(_pieces(head, source), _Xz, bounds)
    else:
        if head:
            yield head
        yield from source


def _pieces(head: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chain((head,), source):
        for start in range(0, len(chunk), PIECE_BYTES):
            yield chunk[start : start + PIECE_BYTES]


def _inflate(source: Iterator[bytes], make: type[_Gzip | _Xz], bounds: Bounds) -> Iterator[bytes]:
    stream: _Inflate = make()
    packed = next(source)
    taken, given = len(packed), 0
    while True:
        try:
            out = stream.step(packed)
        except (zlib.error, lzma.LZMAError, EOFError) as error:
            raise BadInput(f"the compressed data is damaged: {error}", code="corrupt") from error
        if out:
            yield out
            given += len(out)
            _check_size(given, taken, bounds)
        packed = b""
        if stream.finished:
            packed = stream.rest.lstrip(b"\x00")  # both formats allow zero padding after a member
            if not packed and not (packed := next(source, b"").lstrip(b"\x00")):
                return
            taken += len(packed)
            stream = make()
        elif stream.wants_input:
            chunk = next(source, None)
            if chunk is None:
                raise BadInput("the compressed data ends too early", code="truncated")
            packed, taken = chunk, taken + len(chunk)


def _check_size(given: int, taken: int, bounds: Bounds) -> None:
    if given > bounds.unpacked_bytes:
        raise BadInput(f"decompression bomb: more than {bounds.unpacked_bytes} bytes inside", code="bomb")
    if given > bounds.ratio_free_bytes and given > taken * bounds.ratio:
        raise BadInput(f"decompression bomb: unpacks to more than {bounds.ratio} times its size", code="bomb")
