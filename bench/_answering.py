"""A process that says yes to every vendor's request at once, so that only the sender is measured; no benchmark of its own.

`python -m bench._answering` prints its address and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from aegis.sandbox.server import Serving

YES = {
    b"/slack": b'{"ok":true,"channel":"C1","ts":"1.1"}',
    b"/discord": b'{"id":"1"}',
    b"/pagerduty": b'{"status":"success","message":"Event processed","dedup_key":"k"}',
    b"/jira": b'{"id":"1","key":"SEC-1","issues":[],"fields":{"status":{"statusCategory":{"key":"new"}}},"transitions":[]}',
    b"/datadog": b'{"status":"ok","event":{"id":1,"url":""},"errors":[]}',
    b"/splunk": b'{"text":"Success","code":0,"ackId":0}',
    b"/sentry": b'{"id":"1"}',
    b"/openai": b'{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"y"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":40,"completion_tokens":2,"total_tokens":42}}',
}


class Yes(asyncio.Protocol):
    """Reads requests with a Content-Length, answers each in the words of the service in its path."""

    def __init__(self) -> None:
        self._read = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._read[:end])
            _, _, length = head.lower().partition(b"content-length: ")
            whole = end + 4 + int(length.partition(b"\r\n")[0] or 0)
            if len(self._read) < whole:
                return
            del self._read[:whole]
            path = head.split(b" ", 2)[1]
            body = YES.get(b"/" + path.split(b"/")[1], b"{}")
            self._transport.write(
                b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (_status(path), len(body), body)
            )


def _status(path: bytes) -> int:
    """What each vendor says to a message that it took."""
    if path.startswith((b"/pagerduty", b"/datadog")):
        return 202
    return 201 if path.endswith(b"/issue") else 200


@asynccontextmanager
async def answering() -> AsyncIterator[Serving]:
    """The process, for the length of the block."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench._answering", stdout=PIPE)
    assert process.stdout is not None
    try:
        yield Serving((await process.stdout.readline()).decode().strip())
    finally:
        process.terminate()
        await process.wait()


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Yes, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
