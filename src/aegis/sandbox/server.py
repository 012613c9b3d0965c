"""Runs a world on a loopback socket, inside the caller's event loop; installs no signal handlers and logs nothing.

uvicorn's HTTP protocol does the parsing; the sandbox keeps the connections itself, because a fault must be able to cut
one and the end must not wait for a client that hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aegis.core.addresses import is_loopback
from aegis.core.errors import ConfigError
from aegis.sandbox.face import Scope, asgi
from aegis.sandbox.mailbox import mailbox
from aegis.sandbox.registry import SERVICES
from aegis.sandbox.world import World

if TYPE_CHECKING:
    from uvicorn.server import ServerState

BACKLOG = 512
"""Connections that may wait to be accepted: more than Aegis opens at once."""

KEEP_ALIVE_S = 60
"""Seconds that an idle connection is kept; pools of clients usually give up first."""

ENDING_S = 2
"""Seconds that requests under way get to notice that their connection is gone."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A running sandbox. `mail_port` is where its mail server stands, on the same host."""

    url: str
    mail_port: int = 0

    def addresses(self) -> Mapping[str, str]:
        """The base address of each service, for `base_url` in the configuration."""
        return {name: f"{self.url}/{name}" for name in SERVICES}

    def sentry_dsn(self, key: str = "sandbox") -> str:
        """A Sentry DSN that leads here."""
        return f"{self.url.replace('://', f'://{key}@')}/sentry/1"


@asynccontextmanager
async def serve(world: World, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Serving]:
    """Serve `world` until the block ends. Port 0 takes a free one. Raises `ConfigError` when `host` is not loopback,
    the port is taken, or the world's journal belongs to a running sandbox.
    """
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.server import ServerState

    if not is_loopback(host):
        raise ConfigError(f"the sandbox has no accounts and listens on loopback only, not on {host}")
    world.own()
    state = ServerState()

    def hang_up(scope: Scope, hard: bool) -> None:
        _hang_up(state, scope, hard=hard)

    config = Config(
        asgi(world, hang_up=hang_up),
        http=HttpToolsProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    config.load()
    listener = _listen(host, port)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: HttpToolsProtocol(config=config, server_state=state, app_state={}), sock=listener, backlog=BACKLOG
    )
    number = listener.getsockname()[1]
    try:
        async with mailbox(world, host) as mail_port:
            yield Serving(f"http://[{host}]:{number}" if ":" in host else f"http://{host}:{number}", mail_port)
    finally:
        server.close()
        await _end(state)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an answer is not kept for the next one
        listener.bind((host, port))
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ConfigError(f"the sandbox cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


def _hang_up(state: ServerState, scope: Scope, *, hard: bool) -> None:
    """End the connection of a request; `hard` sends a reset instead of an orderly end."""
    for connection in state.connections:
        if getattr(connection, "client", None) == scope["client"]:
            transport = connection.transport
            if not hard:
                transport.close()
                continue
            inner = transport.get_extra_info("socket")
            if inner is not None:
                with socket.socket(fileno=os.dup(inner.fileno())) as same:
                    same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()


async def _end(state: ServerState) -> None:
    """Cut every connection and wait for what was under way."""
    for connection in list(state.connections):
        connection.transport.abort()
    if state.tasks:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait(list(state.tasks), timeout=ENDING_S)
