"""Anything at all over the wire: no crash, no hang, no failure of ours; in between and afterwards the gateway works as
before, holds nothing, and has grown no larger.

1,000 inputs as a rule, 100,000 with `--long`; which ones is decided by the seed alone.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import anyio
import orjson
import pytest
from tests.web.gateway.running import rss_bytes
from tests.web.gateway.stage import HELLO, Stage, staged

pytestmark = pytest.mark.anyio

CI_INPUTS, LONG_INPUTS, AT_ONCE = 1_000, 100_000, 100
ROUNDS: Final = 4
"""After each quarter of the inputs it is asked whether all is as before."""
GROWTH_MAX: Final = 24 * 1024 * 1024
"""Between the first quarter and the last, of this whole process: parser buffers, caches that fill, the test's own lists."""
ROOMY: Final = "budgets:\n  everything: {scope: all, daily: {emergency: 1000000}}\n"
SECONDS: Final = 60
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
    b"Content-Length: 0\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b" folded: x\r\n",
    b"Content-Encoding: gzip\r\n",
    b"0\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    b'5;ext="\r\n\r\n',
    b"\xff\xfe\xc0\x80",
    b"\\ud800",
    b"1e999",
    b"9" * 400,
    b"[" * 3_000,
    b'{"a":' * 1_000,
    b"\x16\x03\x01\x02\x00\x01",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
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
    written = _written(body)
    if chance.random() < 0.03:  # deeper than anybody reads
        depth = chance.choice((50, 500, 5_000, 50_000))
        field = chance.choice(("messages", "tools", "metadata", "system", "input"))
        inner = "[" * depth + "]" * depth if chance.random() < 0.5 else '{"content":' * depth + "1" + "}" * depth
        return written[:-1] + f',"{field}":{inner}}}'.encode()
    return written[: chance.randrange(len(written))] if chance.random() < 0.05 else written


def _written(body: dict[str, Any]) -> bytes:
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
    except OSError:  # it was closed in between
        return b""
    finally:
        writer.close()


def inputs_of(seed: int, key: bytes) -> Iterator[bytes]:
    chance = random.Random(seed)
    while True:
        yield some_input(chance, key)


async def as_before(stage: Stage, key: bytes) -> int:
    """A good request is served and nothing is held; what the process has in memory."""
    asked = {
        "model": "gpt-6-luna",
        "max_tokens": 16,
        "messages": HELLO,
    }  # the sandbox's Claude has a rate, which is used up
    status, _, said_ = await stage.post("/v1/chat/completions", asked, key.decode())
    assert status == 200, said_
    with anyio.fail_after(SECONDS):  # who left in the middle of an answer is counted to its end
        while sum(balance.held for balance in await stage.app.governor.balances()):
            await anyio.sleep(0)
    gc.collect()
    return rss_bytes(os.getpid())


async def test_whatever_comes_in_the_gateway_neither_fails_nor_hangs_nor_grows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, long: bool
) -> None:
    caplog.set_level(logging.ERROR, "uvicorn.error")  # that a request is none is a warning, and kept by the test
    inputs = LONG_INPUTS if long else CI_INPUTS
    statuses, sizes = Counter[bytes](), list[int]()
    async with staged(tmp_path, budgets=ROOMY) as stage:
        key = (await stage.key()).encode()
        source = inputs_of(5, key)

        async def some(count: int) -> None:
            for _ in range(count):
                data = next(source)
                answer = await said(stage, data)
                status = answer[9:12]
                assert not answer or (answer.startswith(b"HTTP/1.1 ") and status < b"500"), (data, answer[:600])
                statuses[status] += 1

        for _ in range(ROUNDS):
            async with anyio.create_task_group() as tasks:
                for _ in range(AT_ONCE):
                    tasks.start_soon(some, inputs // ROUNDS // AT_ONCE)
            sizes.append(await as_before(stage, key))
        billed, settled = stage.billed(), sum(spend.cost for spend in await stage.app.governor.spent())
    sizes_mb = [size >> 20 for size in sizes]
    sys.stdout.write(f"{inputs} inputs: {dict(statuses.most_common())}; MB after each quarter: {sizes_mb}\n")
    assert statuses[b"200"] > inputs // 100, f"some of it comes through: {statuses}"
    assert statuses[b"400"] > inputs // 10
    assert 0 < billed <= settled
    assert sizes[-1] - sizes[0] < GROWTH_MAX, sizes
    assert not caplog.records, "nothing failed inside"
