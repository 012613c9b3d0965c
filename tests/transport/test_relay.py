"""The gateway's own client: keeps connections, sends once, and believes no answer whose end is unclear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from tests.transport.scripted import Scripted, Talk, Wire, scripted
from tests.transport.test_http import certificate

from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.transport.relay import Limits, Relay

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def relaying(talk: Talk, **limits: int) -> AsyncIterator[tuple[Relay, Scripted]]:
    async with scripted(talk) as server:
        relay = Relay(server.url, service="test", limits=Limits(**limits))
        try:
            yield relay, server
        finally:
            await relay.close()


def saying(*answers: bytes) -> Talk:
    """Says these bytes, one after each request, on every connection."""

    async def talk(wire: Wire) -> None:
        for answer in answers:
            if not await wire.request():
                return
            await wire.say(answer)
        await wire.gone()

    return talk


async def read(relay: Relay) -> bytes:
    return await (await relay.send(b"POST", b"/x", [(b"content-type", b"text/plain")], b"hi")).read()


OK = HEAD + b"content-length: 2\r\n\r\nok"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


async def test_a_connection_is_used_again_after_a_whole_answer() -> None:
    async with relaying(saying(OK, CHUNKED, HEAD + b"content-length: 0\r\n\r\n")) as (relay, server):
        assert [await read(relay), await read(relay), await read(relay)] == [b"ok", b"ok", b""]
        assert server.connections == 1
        assert server.requests[0].endswith(b"content-length: 2\r\n\r\nhi")


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    async def talk(wire: Wire) -> None:
        await wire.request()
        await wire.say(HEAD + b"\r\nuntil the end")

    async with relaying(talk) as (relay, server):
        assert await read(relay) == b"until the end"
        assert await read(relay) == b"until the end"
        assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok!",
        HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        HEAD + b"content-length: -2\r\n\r\nok",
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding : chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        b"SSH-2.0-OpenSSH_9\r\n",
        HEAD + b"x: " + b"y" * 70_000 + b"\r\n\r\n",
        HEAD + b"".join(b"x-%d: y\r\n" % n for n in range(200)) + b"content-length: 0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"t: x\r\n" * 20_000,
    ],
)
async def test_an_answer_that_is_unclear_or_without_bounds_is_refused(answer: bytes) -> None:
    async with relaying(saying(answer)) as (relay, _):
        with pytest.raises(ServiceError) as refused:
            await read(relay)
        assert refused.value.billed is Billed.UNKNOWN


async def test_what_comes_after_an_answer_is_never_the_next_ones() -> None:
    async with relaying(saying(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison")) as (relay, server):
        assert await read(relay) == b"ok"
        assert await read(relay) == b"ok"
        assert server.connections == 2


async def test_an_answer_that_is_cut_is_no_answer() -> None:
    async def talk(wire: Wire) -> None:
        await wire.request()
        await wire.say(HEAD + b"content-length: 100\r\n\r\nhalf")

    async with relaying(talk) as (relay, _):
        with pytest.raises(ServiceError, match="cut"):
            await read(relay)


async def test_a_request_is_sent_once_also_when_its_kept_connection_was_cut() -> None:
    async def talk(wire: Wire) -> None:
        await wire.request()
        await wire.say(OK)
        await wire.request()

    async with relaying(talk) as (relay, server):
        await read(relay)
        with pytest.raises(ServiceError) as cut:
            await read(relay)
        assert (cut.value.billed, len(server.requests)) == (Billed.UNKNOWN, 2)


async def test_nobody_at_the_address_is_not_billed() -> None:
    relay = Relay("http://127.0.0.1:1", service="test")
    with pytest.raises(ServiceError) as refused:
        await read(relay)
    assert (refused.value.billed, relay.connections) == (Billed.NO, 0)


async def test_an_upstream_that_is_silent_is_given_up() -> None:
    async def talk(wire: Wire) -> None:
        await wire.request()
        await wire.gone()

    async with relaying(talk, first_byte_ms=30) as (relay, _):
        with pytest.raises(ServiceError, match="in time"):
            await read(relay)


async def test_a_stream_that_falls_silent_is_given_up() -> None:
    async with relaying(saying(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n"), quiet_ms=30) as (relay, _):
        answer = await relay.send(b"POST", b"/x", [])
        assert await answer.chunk() == b"ok"
        with pytest.raises(ServiceError, match="go on in time"):
            await answer.chunk()


async def test_cancelling_closes_the_connection_at_once() -> None:
    left = asyncio.Event()

    async def talk(wire: Wire) -> None:
        await wire.request()
        await wire.gone()
        left.set()

    async with relaying(talk) as (relay, server):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, relay)
            while not server.requests:
                await asyncio.sleep(0)
            tasks.cancel_scope.cancel()
        with anyio.fail_after(60):
            await left.wait()


async def test_a_body_beyond_the_bound_is_cut_off() -> None:
    body = HEAD + b"content-length: 1000\r\n\r\n" + b"x" * 1_000
    async with relaying(saying(body), answer_bytes_max=100) as (relay, _):
        with pytest.raises(ServiceError, match="bound"):
            await read(relay)


async def test_a_reader_who_is_slow_holds_the_upstream_back() -> None:
    sent = 0

    async def talk(wire: Wire) -> None:
        nonlocal sent
        await wire.request()
        await wire.say(HEAD + b"content-length: 64000000\r\n\r\n")
        while sent < 64_000_000:
            await wire.say(b"x" * 64_000)
            sent += 64_000

    async with relaying(talk, buffer_bytes=1_000) as (relay, _):
        answer = await relay.send(b"POST", b"/x", [])
        for _turn in range(2_000):
            await asyncio.sleep(0)
        assert sent < 32_000_000, "what nobody takes is not read"
        size = 0
        while part := await answer.chunk():
            size += len(part)
        assert size == 64_000_000


async def test_no_more_connections_than_the_bound_and_who_waits_is_served() -> None:
    async with relaying(saying(*[OK] * 20), connections_max=2) as (relay, server):
        answers: list[bytes] = []

        async def one() -> None:
            answers.append(await read(relay))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(one)
        assert (len(answers), server.connections) == (20, 2)


async def test_more_waiting_than_the_bound_is_refused_unbilled() -> None:
    async def talk(wire: Wire) -> None:
        await wire.request()
        await wire.gone()

    async with relaying(talk, connections_max=1, waiting_max=0) as (relay, server), anyio.create_task_group() as tasks:
        tasks.start_soon(read, relay)
        while not server.requests:
            await asyncio.sleep(0)
        with pytest.raises(ServiceError, match="in use") as refused:
            await read(relay)
        assert refused.value.billed is Billed.NO
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("header", [(b"x", b"a\r\nevil: 1"), (b"x\r\nevil", b"1"), (b"x", b"a\0b")])
async def test_a_header_that_would_write_another_is_never_sent(header: tuple[bytes, bytes]) -> None:
    async with relaying(saying(OK)) as (relay, server):
        with pytest.raises(ServiceError) as refused:
            await relay.send(b"POST", b"/x", [header])
        assert (refused.value.billed, server.connections) == (Billed.NO, 0)


@pytest.mark.parametrize("url", ["http://example.com", "ftp://127.0.0.1", "https://", "https://u:p@example.com/"])
def test_an_address_that_may_not_be_asked_is_a_wrong_configuration(url: str) -> None:
    with pytest.raises(ConfigError):
        Relay(url, service="test")


async def test_a_name_that_leads_to_a_private_address_is_not_connected_to() -> None:
    relay = Relay("https://10.0.0.1", service="test")
    with pytest.raises(ServiceError, match="private") as refused:
        await read(relay)
    assert refused.value.billed is Billed.NO


async def test_a_secure_upstream_is_used_again_and_its_certificate_has_to_be_trusted() -> None:
    context, authority = certificate("127.0.0.1")
    async with scripted(saying(OK, CHUNKED), tls=context) as server:
        url = server.url.replace("http://", "https://")
        trusting = Relay(url, service="test", tls=authority)
        assert [await read(trusting), await read(trusting), server.connections] == [b"ok", b"ok", 1]
        await trusting.close()
        with pytest.raises(ServiceError, match="not trusted") as refused:
            await read(Relay(url, service="test"))
        assert refused.value.billed is Billed.NO


async def test_a_certificate_for_another_name_is_not_trusted() -> None:
    context, authority = certificate("elsewhere.example")
    async with scripted(saying(OK), tls=context) as server:
        with pytest.raises(ServiceError, match="not trusted"):
            await read(Relay(server.url.replace("http://", "https://"), service="test", tls=authority))
