"""Bedrock's streams as they pass: whole frames are read for the usage, all bytes go through untouched."""

from __future__ import annotations

from aegis.core import eventstream
from aegis.core.errors import BadInput, Billed, ServiceError
from aegis.web.gateway.routes import StreamReader


class Frames:
    """Takes a stream's bytes and gives them back. Raises `ServiceError` for what is no such stream."""

    __slots__ = ("_reader", "_service", "_tail")

    def __init__(self, reader: StreamReader, service: str) -> None:
        self._reader, self._service, self._tail = reader, service, b""

    def take(self, data: bytes) -> bytes:
        """The bytes to pass on now: all of them."""
        try:
            frames, self._tail = eventstream.split(self._tail + data)
            for frame in frames:
                self._reader.see(frame)
        except BadInput:
            raise ServiceError(
                self._service, "streamed what nobody can read", retryable=False, billed=Billed.UNKNOWN
            ) from None
        return data

    def rest(self) -> bytes:
        """Nothing is held back."""
        return b""
