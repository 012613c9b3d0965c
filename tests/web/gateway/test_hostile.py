"""What comes from outside and means no good: bounded, refused by name, and never passed on."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.transport.scripted import Wire, scripted
from tests.web.gateway.stage import HELLO, Stage, staged

pytestmark = pytest.mark.anyio

CHAT: dict[str, Any] = {"model": "gpt-6-luna", "max_completion_tokens": 64, "messages": HELLO}
MESSAGE: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": HELLO}


async def raw(stage: Stage, data: bytes) -> bytes:
    """What the server says to these bytes until it closes."""
    host, _, port = stage.address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_there_is_no_ungoverned_way_through(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key = await stage.key()
        for path in (
            "/v1/files/file-1/other",
            "/v1/images/generations",
            "/v1/audio/speech",
            "/v1/batches/batch_1/other",
            "/v1/messages/batches/../x",
            "/v1/uploads",
            "/v1/messages/",
            "/v1//messages",
            "/v1/chat/completions/x",
            "/v1/organization/costs",
        ):
            status, _, _ = await stage.post(path, CHAT, key)
            assert status == 404, path
        assert sum(tally.number for tally in stage.world.tallies().values()) == 0


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/chat/completions", {"service_tier": "ultrafast"}),
        ("/v1/chat/completions", {"web_search_options": {}} | {"audio": {"voice": "x"}}),
        ("/v1/chat/completions", {"modalities": ["text", "audio"]}),
        ("/v1/chat/completions", {"n": 129}),
        ("/v1/chat/completions", {"best_of": 20}),
        ("/v1/chat/completions", {"max_completion_tokens": -1}),
        ("/v1/chat/completions", {"max_completion_tokens": "9"}),
        ("/v1/chat/completions", {"tools": [{"type": "web_search"}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
        ("/v1/responses", {"previous_response_id": "resp_1"}),
        ("/v1/responses", {"background": True}),
        ("/v1/responses", {"tools": [{"type": "code_interpreter"}]}),
        ("/v1/messages", {"speed": "fast"}),
        ("/v1/messages", {"inference_geo": "us"}),
        ("/v1/messages", {"mcp_servers": [{"url": "https://example.com"}]}),
        ("/v1/messages", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        ("/v1/messages", {"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]}),
        ("/v1/messages", {"new_dear_thing": 1}),
        ("/v1/messages", {"messages": [{"role": "user", "content": [{"type": ["image"]}]}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": {}}]}]}),
        ("/v1/responses", {"input": [{"type": [], "role": "user"}]}),
    ],
)
async def test_what_raises_the_cost_beyond_the_hold_is_refused_by_name(
    tmp_path: Path, path: str, field: dict[str, Any]
) -> None:
    async with staged(tmp_path) as stage:
        body = (MESSAGE if path.endswith("messages") else CHAT) | field
        if path.endswith("responses"):
            body = {"model": "gpt-6-luna", "input": "hi"} | field
        status, head, said = await stage.post(path, body, await stage.key())
        assert (status, head["x-should-retry"]) == (400, "false")
        assert said["error"]["message"]
        assert stage.billed() == 0


async def test_of_a_field_that_stands_twice_the_vendor_sees_what_was_checked(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def talk(wire: Wire) -> None:
        while asked := await wire.request():
            seen.append(asked.partition(b"\r\n\r\n")[2])
            await wire.answer(b'{"usage":{"prompt_tokens":1,"completion_tokens":1}}')

    async with scripted(talk) as vendor, staged(tmp_path, openai=vendor.url) as stage:
        body = b'{"model":"gpt-6-luna","max_tokens":999999,"messages":[],"max_tokens":5}'
        head = {"authorization": f"Bearer {await stage.key()}"}
        async with stage.client.post(f"{stage.address}/v1/chat/completions", data=body, headers=head) as answer:
            assert answer.status == 200
        assert seen[0].count(b"max_tokens") == 1
        assert orjson.loads(seen[0])["max_tokens"] == 5


async def test_nothing_of_the_callers_headers_goes_up_and_the_vendors_key_never_comes_down(tmp_path: Path) -> None:
    async def talk(wire: Wire) -> None:
        while asked := await wire.request():
            await wire.say(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: %d\r\n\r\n%b" % (len(asked), asked))

    async with scripted(talk) as vendor, staged(tmp_path, openai=vendor.url) as stage:
        key = await stage.key()
        status, head, said = await stage.post(
            "/v1/chat/completions", CHAT, key, x_forwarded_host="evil", openai_organization="theirs", cookie="a=b"
        )
        asked = vendor.requests[0].lower()
        for word in (b"evil", b"theirs", b"cookie", key.lower().encode()):
            assert word not in asked
        assert b"authorization: bearer sandbox-key" in asked
        assert status == 502
        assert "sandbox-key" not in str((head, said))


async def test_packed_long_and_broken_bodies_are_refused(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key, url = await stage.key(), f"{stage.address}/v1/chat/completions"
        for data, more, status in (
            (gzip.compress(b"{}"), {"content-encoding": "gzip"}, 415),
            (b"{", {}, 400),
            (b"[]", {}, 400),
            (b"[" * 100_000, {}, 400),
            (b'{"model":"gpt-6-luna","messages":' + b"[" * 500 + b"]" * 500 + b"}", {}, 400),
            (b'{"model":"gpt-6-luna","messages":[],"n":' + b"9" * 400 + b"}", {}, 400),
            (b"\xff\xfe", {}, 400),
        ):
            head = {"authorization": f"Bearer {key}", **more}
            async with stage.client.post(url, data=data, headers=head) as answer:
                assert answer.status == status, data[:20]
        said = await raw(
            stage,
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-length: 99999999999\r\n"
            b"connection: close\r\n\r\n" % key.encode(),
        )
        assert said.startswith(b"HTTP/1.1 413")


async def test_requests_with_two_meanings_are_refused(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        post = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        for head in (
            b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"content-length: 2\r\ncontent-length: 3\r\n\r\n{} ",
            b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
            b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
            b"authorization: Bearer a\r\nauthorization: Bearer b\r\ncontent-length: 2\r\n\r\n{}",
            b"x-api-key: a\r\nauthorization: Bearer b\r\ncontent-length: 2\r\n\r\n{}",
            b" folded: x\r\ncontent-length: 2\r\n\r\n{}",
        ):
            said = await raw(stage, post + head)
            assert said[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 401 ", b""), head
        assert sum(tally.number for tally in stage.world.tallies().values()) == 0


async def test_a_head_without_end_is_not_kept(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        said = await raw(stage, b"GET /v1/models HTTP/1.1\r\nx: " + b"y" * 200_000)
        assert said.startswith(b"HTTP/1.1 431") or not said
        said = await raw(stage, b"GET /v1/models HTTP/1.1\r\nconnection: close\r\nx: " + b"y" * 40_000 + b"\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 431")
