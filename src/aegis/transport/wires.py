"""Connections that are kept alive, by where they lead: opened to checked addresses, handed out newest first.

Policy: what a name resolves to is checked before it is connected to, and exactly that address is connected to, so a name
that resolves differently the second time gains nothing. Addresses of one name are tried in turn without waiting long.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from aegis.core.addresses import is_loopback, is_public_address
from aegis.transport.wire import Wire

Reach: TypeAlias = Literal["public", "loopback", "private"]
"""Where a request may connect to: public addresses, this machine, or anywhere (a host that the configuration allows)."""
ALLOWED: Mapping[Reach, Callable[[str], bool]] = {
    "public": is_public_address,
    "loopback": is_loopback,
    "private": bool,
}

CONNECTIONS_MAX: Final = 256
"""Over all services; the outbox lanes bound how many of them one service can hold."""
KEEP_IDLE_SECONDS: Final = 10
"""Below the 15 s and more that the vendors' front ends keep an idle connection, so that a reused one is still open."""
ADDRESSES_MAX: Final = 6
"""Of the addresses that a name has."""
NEXT_ADDRESS_SECONDS: Final = 0.25
"""How long one address is tried alone: RFC 8305, section 5 ("Connection Attempt Delay")."""


class PrivateAddressError(Exception):
    """A name leads nowhere that may be connected to."""


class UnknownNameError(Exception):
    """A name does not resolve."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is connected to: host and port, over TLS or not, and how far it may reach; or a socket's file."""

    host: str
    port: int
    secure: bool
    reach: Reach
    socket: str = ""


class Wires:
    """At most `connections_max` connections. `tls` replaces the system's trusted authorities, `trust` does for single
    hosts. Use it from one event loop; `close` in the end.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        trust: Mapping[str, ssl.SSLContext] | None = None,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self._tls, self._trust, self._connections_max = tls, trust or {}, connections_max
        self._idle: dict[Place, list[Wire]] = {}
        self._all: dict[Wire, Place] = {}
        self._room: asyncio.Semaphore | None = None
        self._waiting = 0
        self._sweep: asyncio.TimerHandle | None = None

    def newest(self, place: Place) -> Wire | None:
        """An open connection that nobody uses, or None."""
        idle = self._idle.get(place)
        while idle:
            wire = idle.pop()
            if wire.open and asyncio.get_running_loop().time() - wire.idle_since < KEEP_IDLE_SECONDS:
                return wire
            wire.abort()
        return None

    async def opened(self, place: Place) -> Wire:
        """A new connection. Raises `OSError` (also of TLS), `PrivateAddressError` and `UnknownNameError`; cut it off
        when it takes too long.
        """
        if self._room is None:
            self._room = asyncio.Semaphore(self._connections_max)
        if self._room.locked():
            self._let_one_go()
        self._waiting += 1
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1
        wire = Wire(asyncio.get_running_loop(), self._freed, self._gone)
        self._all[wire] = place
        try:
            await self._connect(wire, place)
        except BaseException:
            self._gone(wire)
            raise
        return wire

    async def close(self) -> None:
        """Close every connection."""
        if self._sweep is not None:
            self._sweep.cancel()
        for wire in tuple(self._all):
            wire.abort()
        self._all.clear()
        self._idle.clear()
        await asyncio.sleep(0)  # the transports end in the loop's next turn

    # --- opening -----------------------------------------------------------------------------------------------

    async def _connect(self, wire: Wire, place: Place) -> None:
        loop = asyncio.get_running_loop()
        if place.socket:
            await loop.create_unix_connection(lambda: wire, place.socket)
            return
        sock = await first_to_answer(loop, await _addresses(loop, place))
        try:
            if place.secure:
                await loop.create_connection(
                    lambda: wire, sock=sock, ssl=self._context(place.host), server_hostname=place.host.strip("[]")
                )
            else:
                await loop.create_connection(lambda: wire, sock=sock)
        except BaseException:
            sock.close()
            raise

    def _context(self, host: str) -> ssl.SSLContext:
        if (own := self._trust.get(host)) is not None:
            return own
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    # --- keeping -----------------------------------------------------------------------------------------------

    def _freed(self, wire: Wire) -> None:
        """It can be used again."""
        place = self._all.get(wire)
        if place is None:
            wire.abort()
            return
        self._idle.setdefault(place, []).append(wire)
        if self._waiting:
            self._let_one_go()  # for somebody who waits to open another one
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(KEEP_IDLE_SECONDS, self._close_idle)

    def _gone(self, wire: Wire) -> None:
        """It was closed by whoever."""
        place = self._all.pop(wire, None)
        if place is None:
            return
        if self._room is not None:
            self._room.release()
        idle = self._idle.get(place, [])
        with contextlib.suppress(ValueError):
            idle.remove(wire)
        if not idle:
            self._idle.pop(place, None)

    def _let_one_go(self) -> None:
        """Close the connection that has been idle longest, if there is one: another place needs the room."""
        oldest = [idle[0] for idle in self._idle.values() if idle]
        if oldest:
            min(oldest, key=lambda wire: wire.idle_since).abort()

    def _close_idle(self) -> None:
        """Close what nobody has used for too long, and look again as long as something is kept."""
        loop, self._sweep = asyncio.get_running_loop(), None
        since = loop.time() - KEEP_IDLE_SECONDS
        for wire in [wire for idle in self._idle.values() for wire in idle if wire.idle_since <= since]:
            wire.abort()
        if any(self._idle.values()):
            self._sweep = loop.call_later(KEEP_IDLE_SECONDS, self._close_idle)


async def _addresses(loop: asyncio.AbstractEventLoop, place: Place) -> Sequence[tuple[int, tuple[object, ...]]]:
    """What the name resolves to, family and address, as far as it may be connected to."""
    try:
        found = await loop.getaddrinfo(place.host.strip("[]"), place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UnknownNameError from None
    allowed = ALLOWED[place.reach]
    addresses = [(info[0], info[4]) for info in found if allowed(str(info[4][0]))]
    if found and not addresses:
        raise PrivateAddressError
    return addresses[:ADDRESSES_MAX]


async def first_to_answer(
    loop: asyncio.AbstractEventLoop, addresses: Sequence[tuple[int, tuple[object, ...]]]
) -> socket.socket:
    """A socket that is connected to the first of the addresses that answers: each is given a head start over the next.
    Raises the `OSError` of the last.
    """
    waiting: set[asyncio.Task[socket.socket]] = set()
    failed: OSError = OSError("no address")
    left = list(addresses)
    try:
        while left or waiting:
            if left:
                waiting.add(loop.create_task(_dialled(loop, *left.pop(0))))
            wait = NEXT_ADDRESS_SECONDS if left else None
            done, waiting = await asyncio.wait(waiting, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    for other in done - {task}:
                        if other.exception() is None:
                            other.result().close()
                    return task.result()
                if isinstance(error, OSError):
                    failed = error
        raise failed
    finally:
        for task in waiting:
            task.cancel()
            task.add_done_callback(_close_late)


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _dialled(loop: asyncio.AbstractEventLoop, family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
