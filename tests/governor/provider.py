"""A provider in a process of its own: it charges every call when it hears of it, whatever becomes of the caller."""

from __future__ import annotations

import asyncio
import sys


async def serve() -> None:
    total = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal total
        while line := await reader.readline():
            if line == b"total\n":
                writer.write(b"%d\n" % total)
            else:
                total += int(line)
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
