"""Claims about connections that are kept: used again only when nothing of the answer before is left in them."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tests.transport.scripted import Wire as Served
from tests.transport.scripted import scripted

from aegis.transport.came import Broken, Came
from aegis.transport.wires import Place, Wires, first_to_answer

pytestmark = pytest.mark.anyio

ASKED = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK"


def place_of(port: int) -> Place:
    return Place(host="127.0.0.1", port=port, secure=False, reach="loopback")


async def asked(wires: Wires, port: int, *, bodiless: bool = False) -> Came | Broken:
    wire = wires.newest(place_of(port)) or await wires.opened(place_of(port))
    until = asyncio.get_running_loop().time() + 5
    return await wire.exchange(ASKED, limit=1_000, until=until, bodiless=bodiless)


async def said_each_time(raw: bytes, times: int, *, bodiless: bool = False) -> tuple[list[Came | Broken], int]:
    """What came of asking so many times one after the other, and over how many connections."""

    async def talk(served: Served) -> None:
        while await served.request():
            await served.say(raw)

    wires = Wires()
    async with scripted(talk) as server:
        came = [await asked(wires, server.port, bodiless=bodiless) for _ in range(times)]
        await wires.close()
        return came, server.connections


async def test_a_connection_is_used_again_when_its_answer_is_whole() -> None:
    came, connections = await said_each_time(OK, 3)
    assert (came, connections) == ([Came(200, {"content-length": "2"}, b"OK")] * 3, 1)


@pytest.mark.parametrize("more", [b"!", OK, b"HTTP/1.1 500 No\r\n"], ids=["a_byte", "an_answer", "half_a_head"])
async def test_what_comes_after_an_answer_is_never_the_next_ones(more: bytes) -> None:
    came, connections = await said_each_time(OK + more, 2)
    assert {one.body for one in came if isinstance(one, Came)} <= {b"OK"}
    assert connections == 2


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 2\r\ncontent-length: 3\r\n",
        b"content-length: 2\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: gzip, chunked\r\n",
    ],
    ids=["two_lengths", "length_and_chunks", "packed_chunks"],
)
async def test_an_answer_whose_end_is_unclear_is_refused(head: bytes) -> None:
    (came,), _ = await said_each_time(b"HTTP/1.1 200 OK\r\n" + head + b"\r\nOK", 1)
    assert isinstance(came, Broken)


async def test_interim_answers_are_passed_over() -> None:
    (came,), _ = await said_each_time(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\na: b\r\n\r\n" + OK, 1)
    assert came == Came(200, {"content-length": "2"}, b"OK")


async def test_interim_answers_without_end_are_refused() -> None:
    (came,), _ = await said_each_time(b"HTTP/1.1 100 Continue\r\n\r\n" * 20 + OK, 1)
    assert isinstance(came, Broken)


async def test_an_answer_to_head_has_no_body_whatever_it_says() -> None:
    came, connections = await said_each_time(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", 2, bodiless=True)
    assert came == [Came(200, {"content-length": "99"}, b"")] * 2
    assert connections == 2


async def test_chunks_are_put_together_and_the_connection_kept() -> None:
    raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nO\r\n1\r\nK\r\n0\r\n\r\n"
    came, connections = await said_each_time(raw, 2)
    assert ([one.body for one in came if isinstance(one, Came)], connections) == ([b"OK", b"OK"], 1)


async def test_an_idle_connection_makes_room_for_one_to_another_place() -> None:
    async def talk(served: Served) -> None:
        while await served.request():
            await served.say(OK)

    wires = Wires(connections_max=1)
    async with scripted(talk) as here, scripted(talk) as there, asyncio.timeout(60):
        came = [await asked(wires, server.port) for server in (here, there, here)]
        await wires.close()
    assert [isinstance(one, Came) for one in came] == [True] * 3


async def test_a_connection_is_kept_when_there_is_room_for_no_other_and_nobody_wants_one() -> None:
    async def talk(served: Served) -> None:
        while await served.request():
            await served.say(OK)

    wires = Wires(connections_max=1)
    async with scripted(talk) as server:
        for _ in range(3):
            await asked(wires, server.port)
        await wires.close()
        assert server.connections == 1


async def test_a_second_request_waits_for_room_and_gets_it() -> None:
    async def talk(served: Served) -> None:
        while await served.request():
            await served.say(OK)

    wires = Wires(connections_max=1)
    async with scripted(talk) as here, scripted(talk) as there, asyncio.timeout(60):
        came = await asyncio.gather(asked(wires, here.port), asked(wires, there.port))
        await wires.close()
    assert [isinstance(one, Came) for one in came] == [True] * 2


async def test_an_address_that_refuses_does_not_hold_up_the_next_one() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        unused = closed.getsockname()

    async def talk(served: Served) -> None:
        await served.request()

    async with scripted(talk) as server:
        addresses = [(socket.AF_INET, unused), (socket.AF_INET, ("127.0.0.1", server.port))]
        with await first_to_answer(asyncio.get_running_loop(), addresses) as found:
            assert found.getpeername() == ("127.0.0.1", server.port)
