"""A server on loopback that says exactly what a test tells it to, byte by byte."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Talk = Callable[["Wire"], Awaitable[None]]


@dataclass
class Wire:
    """One connection, from the server's side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: Scripted
    asked: bytes = b""

    async def request(self) -> bytes:
        """The next request, head and body; empty when the client left."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.asked = head + await self.reader.readexactly(length)
        self.server.requests.append(self.asked)
        return self.asked

    async def say(self, data: bytes) -> None:
        """Send these bytes now."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes, *, kind: str = "application/json") -> None:
        """A whole answer with a length."""
        await self.say(
            b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (kind.encode(), len(body), body)
        )

    async def start_stream(self) -> None:
        """The head of a stream."""
        await self.say(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    async def chunk(self, data: bytes) -> None:
        """One chunk; empty ends the stream."""
        await self.say(b"%x\r\n%b\r\n" % (len(data), data))

    async def gone(self) -> None:
        """Return when the client has closed."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            return


@dataclass
class Scripted:
    """What was asked of the server, and how many connections were made."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def scripted(talk: Talk, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Scripted]:
    """`talk` is run for every connection; the connection is closed when it returns."""
    server = Scripted()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        try:
            await talk(Wire(reader, writer, server))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tuple(tasks):
            task.cancel()
