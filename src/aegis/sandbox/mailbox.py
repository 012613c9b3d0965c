"""The sandbox's mail server: enough SMTP (RFC 5321) to be handed letters, which the service `email` then works.

It offers no TLS, since it stands on loopback; it takes any user and password, and keeps neither.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aegis.sandbox.exchange import Asked
from aegis.sandbox.faults import NOT_DONE, Fault, Mode
from aegis.sandbox.world import World

LINE_MAX = 64 * 1024
LETTER_MAX = 11 * 1024 * 1024
"""Just above what the service takes, so that it can refuse by itself."""
CODES = {200: b"250 taken", 400: b"554 refused", 401: b"535 not known", 413: b"552 too large", 429: b"451 too many"}
"""What a reply of the service is in SMTP; any other is `451 later` (RFC 5321 4.2.3)."""
AWAY = {503: b"421 not available"}


@dataclass(slots=True)
class _Letter:
    sender: str = ""
    to: list[str] = field(default_factory=list)


@asynccontextmanager
async def mailbox(world: World, host: str) -> AsyncIterator[int]:
    """Take mail on a free port of `host` until the block ends; gives the port."""
    at_work: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        at_work.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                await _converse(world, reader, writer)
        finally:
            at_work.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, host, 0, limit=LINE_MAX)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in list(at_work):
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)


async def _converse(world: World, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    letter = _Letter()
    await _say(writer, b"220 sandbox")
    while line := await reader.readline():
        verb, _, rest = line.decode("latin-1").strip().partition(" ")
        match verb.upper():
            case "EHLO" | "HELO":
                await _say(writer, b"250-sandbox\r\n250-SIZE 10485760\r\n250 AUTH PLAIN LOGIN")
            case "AUTH":
                await _sign_in(rest, reader, writer)
            case "MAIL":
                letter = _Letter(sender=_address(rest))
                await _say(writer, b"250 OK")
            case "RCPT":
                letter.to.append(_address(rest))
                await _say(writer, b"250 OK" if _address(rest) else b"553 no address")
            case "DATA":
                await _say(writer, b"354 go on")
                if not await _take(world, letter, await _text(reader), writer):
                    return
            case "QUIT":
                await _say(writer, b"221 bye")
                return
            case "NOOP" | "RSET":
                await _say(writer, b"250 OK")
            case _:
                await _say(writer, b"500 not known here")


async def _sign_in(rest: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if rest.upper() == "LOGIN":
        for question in (b"334 VXNlcm5hbWU6", b"334 UGFzc3dvcmQ6"):
            await _say(writer, question)
            await reader.readline()
    await _say(writer, b"235 in")


async def _text(reader: asyncio.StreamReader) -> bytes:
    lines, size = [], 0
    while (line := await reader.readline()) != b".\r\n":
        if not line:
            raise ConnectionError
        size += len(line)
        if size <= LETTER_MAX:
            lines.append(line[1:] if line.startswith(b".") else line)
    return b"".join(lines)


async def _take(world: World, letter: _Letter, text: bytes, writer: asyncio.StreamWriter) -> bool:
    """Hand the letter to the service and answer as a fault wants it; False when the connection is over."""
    headers = {"x-from": letter.sender, "x-to": ",".join(letter.to), "content-type": "message/rfc822"}
    asked = Asked(method="POST", path="/letters", at=world.clock.now(), headers=headers, body=text)
    served = world.receive("email", asked)
    said = {**CODES, **AWAY}.get(served.reply.status, b"451 later")
    return await _spoil(world, served.fault, said, writer) if served.fault else await _say(writer, said)


async def _spoil(world: World, fault: Fault, said: bytes, writer: asyncio.StreamWriter) -> bool:
    match fault.mode:
        case Mode.RESET | Mode.LOST | Mode.CUT:
            writer.transport.abort()
            return False
        case Mode.HANG:
            await asyncio.Event().wait()
        case Mode.SLOW | Mode.DRIP:
            await world.clock.sleep_ms(fault.delay_ms)
        case Mode.GARBAGE | Mode.WRONG_JSON:
            return await _say(writer, b"\x00\xff{}")
        case Mode.HUGE:
            return await _say(writer, b"250-x\r\n" * 100_000 + b"250 x")
        case _:
            assert fault.mode in NOT_DONE or fault.mode is Mode.OK
    return await _say(writer, said)


async def _say(writer: asyncio.StreamWriter, line: bytes) -> bool:
    writer.write(line + b"\r\n")
    await writer.drain()
    return True


def _address(rest: str) -> str:
    found = re.search(r"<([^<>\s]+)>", rest)
    return found[1] if found else ""
