"""Runs an ASGI application on a socket inside the caller's event loop, and stops it gracefully."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import uvicorn
from starlette.types import ASGIApp

from aegis.core.errors import ConfigError
from aegis.web.connections import Connection

BACKLOG = 512
"""Connections that may wait to be accepted."""
REQUESTS_MAX = 1_000
"""Requests at the same time; more get a 503 at once."""
GRACE_SECONDS = 5
"""How long requests under way may take to end when the server stops."""


class _Server(uvicorn.Server):
    """A server that leaves the signals to its caller."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `ConfigError` when the port is taken or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an answer is not kept for the next one
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        message = f"cannot listen on {host} port {port}: {error.strerror}; set server.listen to another port"
        raise ConfigError(message) from error
    listener.listen(BACKLOG)
    return listener


@asynccontextmanager
async def serving(face: ASGIApp, listener: socket.socket) -> AsyncIterator[str]:
    """Serve `face` until the block ends; yields the address, such as `http://127.0.0.1:8787`."""
    config = uvicorn.Config(
        face,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=REQUESTS_MAX,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    host, port = listener.getsockname()[:2]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        server.should_exit = True
