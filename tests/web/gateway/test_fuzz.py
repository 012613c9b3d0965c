"""Anything at all over the wire: no crash, no hang, no failure of ours; afterwards the gateway works as before.

1,000 inputs as a rule, 100,000 with `--long`; which ones is decided by the seed alone.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any, Final

import anyio
import orjson
import pytest
from tests.web.gateway.stage import HELLO, Stage, staged

pytestmark = pytest.mark.anyio

CI_INPUTS, LONG_INPUTS, AT_ONCE = 1_000, 100_000, 50
SECONDS: Final = 20
"""An answer takes milliseconds; a body that never ends is cut off by the test's own end of writing."""
WAITS: Final = 0.3
"""How long an answer is waited for before the rest of the request is said not to come."""
PATHS = (
    b"/v1/chat/completions",
    b"/v1/messages",
    b"/v1/messages/count_tokens",
    b"/v1/responses",
    b"/v1/embeddings",
    b"/v1/moderations",
    b"/v1/models",
    b"/v1/models/%ff",
    b"/v1/batches",
    b"/v1/messages?beta=true",
    b"/v1/../v1/messages",
    b"/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse",
    b"/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream",
    b"/model/%2e%2e%2f/converse",
)
BODY: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 16,
    "messages": HELLO,
    "system": "s",
    "input": "hello",
    "stop": ["x"],
    "stream": False,
    "temperature": 0,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    "tool_choice": "auto",
    "metadata": {},
    "thinking": {"type": "disabled"},
    "response_format": {"type": "text"},
    "output_config": {},
    "inferenceConfig": {"maxTokens": 5},
    "toolConfig": {"tools": []},
    "stream_options": {"include_usage": True},
}
PIECES = (
    b"\r\n",
    b"\n",
    b"\r\n\r\n",
    b"\0",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: websocket\r\nConnection: upgrade\r\n",
    b"x-api-key: aeg_live_\r\n",
    b"HTTP/0.9",
    b"ffffffffffffffff\r\n",
    b": :\r\n",
    "é\ufdfa\U0001f600".encode(),
)


def anything(chance: random.Random, depth: int = 0) -> Any:
    """A JSON value, as wrong as it may be."""
    kind = chance.randrange(9 if depth < 4 else 6)
    if kind < 6:
        return (None, True, chance.choice((0, -1, 2**63, 10**30, 1e308)), "", "\ufdfa" * 9, "data:;base64,")[kind]
    inner = [anything(chance, depth + 1) for _ in range(chance.randrange(3))]
    names = ("type", "role", "content", "text", "name", "id", "source", "function", "image_url", "url", "toolResult")
    return inner if kind == 6 else {chance.choice(names): value for value in inner}


def some_body(chance: random.Random) -> bytes:
    """A body that is nearly right: some fields, some of them anything at all, some deep inside."""
    likely = chance.choice((0.0, 0.2))
    body = {
        name: BODY[name] for name in BODY if name in ("model", "messages", "max_tokens") or chance.random() < likely
    }
    for _ in range(chance.choice((0, 0, 1, 2))):
        body[chance.choice(list(BODY))] = anything(chance)
    if chance.random() < 0.3:
        parts = [anything(chance) for _ in range(chance.randrange(3))]
        body["messages"] = [{"role": chance.choice(("user", "assistant", "tool", "system")), "content": parts}]
    try:
        return orjson.dumps(body)
    except TypeError:  # a number beyond 64 bits
        return str(body).replace("'", '"').replace("None", "null").replace("True", "true").encode()


def some_input(chance: random.Random, key: bytes) -> bytes:
    """A request, whole or broken on its way."""
    body = some_body(chance)
    lines = [
        b"%b %b HTTP/1.1" % (chance.choice((b"POST", b"POST", b"POST", b"GET", b"PUT", b"X")), chance.choice(PATHS)),
        b"host: localhost",
        b"authorization: Bearer %b" % key,
        b"connection: close",
        b"content-type: application/json",
    ]
    if chance.random() < 0.3:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        lines.append(b"transfer-encoding: chunked")
    else:
        lines.append(b"content-length: %d" % (len(body) if chance.random() < 0.9 else chance.randrange(99_999)))
    data = bytearray(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    for _ in range(chance.choice((0, 0, 1, 2, 5))):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at:at] = chance.choice(PIECES)
            case 2:
                del data[at : at + chance.randrange(1, 40)]
            case _:
                data[at:at] = data[chance.randrange(len(data)) :][:60]
        if not data:
            return b"\0"
    return bytes(data)


async def said(stage: Stage, data: bytes) -> bytes:
    """What is answered until the connection is closed."""
    host, _, port = stage.address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        with anyio.move_on_after(WAITS):
            return await reader.read()
        writer.write_eof()  # it waits for the rest of a request that has none
        with anyio.fail_after(SECONDS):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_whatever_comes_in_the_gateway_neither_fails_nor_hangs(tmp_path: Path, long: bool) -> None:
    inputs = LONG_INPUTS if long else CI_INPUTS
    chance = random.Random(5)
    statuses: dict[bytes, int] = {}
    async with staged(tmp_path) as stage:
        key = (await stage.key()).encode()
        places = anyio.CapacityLimiter(AT_ONCE)

        async def one(data: bytes) -> None:
            async with places:
                answer = await said(stage, data)
            status = answer[9:12]
            assert not answer or (answer.startswith(b"HTTP/1.1 ") and status < b"500"), (data, answer[:600])
            statuses[status] = statuses.get(status, 0) + 1

        for _ in range(0, inputs, AT_ONCE):
            async with anyio.create_task_group() as tasks:
                for _ in range(AT_ONCE):
                    tasks.start_soon(one, some_input(chance, key))
        assert statuses[b"200"] > inputs // 100, f"some of it comes through: {statuses}"
        assert statuses[b"400"] > inputs // 10
        asked = {"model": "claude-haiku-4-5", "max_tokens": 16, "messages": HELLO}
        status, _, _ = await stage.post("/v1/messages", asked, key.decode())
        assert status == 200
        held = sum(balance.held for balance in await stage.app.governor.balances())
        assert held == 0, "no hold stays"
