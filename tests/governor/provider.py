"""A provider in a process of its own: it charges every call when it hears of it, whatever becomes of the caller.

It hears `ATTEMPT UNITS` and answers `done`; to `bill` it answers everything that it charged, as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys


async def heard(reader: asyncio.StreamReader) -> bytes:
    """The next line; nothing from a caller that was killed."""
    try:
        return await reader.readline()
    except ConnectionError:
        return b""


async def serve() -> None:
    charged: dict[str, int] = {}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await heard(reader):
            if line == b"bill\n":
                writer.write(json.dumps(charged).encode() + b"\n")
            else:
                attempt, _, units = line.decode().rpartition(" ")
                charged[attempt] = charged.get(attempt, 0) + int(units)
                writer.write(b"done\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
