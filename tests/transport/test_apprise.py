"""Claims about the catch-all library behind its port, with a library that does as the test says, and the real one where
it is installed.
"""

import importlib.util
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.abc
import pytest

from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.secret import Secret
from aegis.core.telemetry import ServiceAnswered
from aegis.testing import FakeClock, Recorder
from aegis.transport.apprise import AppriseLibrary, installed

pytestmark = pytest.mark.anyio

ADDRESS = Secret("json://canary5ecret@127.0.0.1/x")
TOLD: dict[str, Any] = {"title": "HIGH: x", "text": "what to do", "kind": "failure"}


def library(notify: Callable[..., bool], known: bool = True) -> AppriseLibrary:
    class Apprise:
        def __init__(self, *, asset: SimpleNamespace) -> None:
            assert not asset.http_redirects

        def add(self, _address: str) -> bool:
            return known

        def notify(self, **said: Any) -> bool:
            return notify(**said)

    return AppriseLibrary(lambda: SimpleNamespace(Apprise=Apprise, AppriseAsset=SimpleNamespace))


async def test_it_is_told_in_a_thread_as_plain_text() -> None:
    said: list[dict[str, Any]] = []

    def notify(**words: Any) -> bool:
        said.append({**words, "thread": threading.current_thread() is threading.main_thread()})
        return True

    await library(notify).tell("apprise", ADDRESS, **TOLD)
    assert said == [
        {
            "title": "HIGH: x",
            "body": "what to do",
            "notify_type": "failure",
            "body_format": "text",
            "interpret_escapes": False,
            "thread": False,
        }
    ]


def _raises(**_words: Any) -> bool:
    raise RuntimeError(f"POST {ADDRESS.reveal()} failed")


@pytest.mark.parametrize("notify", [lambda **_words: False, _raises])
async def test_a_failure_says_nothing_of_the_address(notify: Callable[..., bool]) -> None:
    with pytest.raises(ServiceError) as caught:
        await library(notify).tell("apprise", ADDRESS, **TOLD)
    error = caught.value
    assert (error.retryable, error.billed) == (True, Billed.UNKNOWN)
    assert "canary" not in f"{error!r} {error.__cause__!r} {error.__context__!r}"


async def test_an_unknown_kind_of_address_is_not_tried_again() -> None:
    with pytest.raises(ServiceError) as caught:
        await library(lambda **_words: True, known=False).tell("apprise", ADDRESS, **TOLD)
    assert not caught.value.retryable


async def test_its_log_is_shut() -> None:
    await library(lambda **_words: True).tell("apprise", ADDRESS, **TOLD)
    assert logging.getLogger("apprise").disabled


@pytest.mark.parametrize(("took", "status"), [(True, 200), (False, 0)])
async def test_how_each_message_went_is_told_like_any_other_service(took: bool, status: int) -> None:
    seen = Recorder()
    fake = library(lambda **_words: took)
    telling = AppriseLibrary(fake._load, clock=FakeClock(), observer=seen)
    with suppress(ServiceError):
        await telling.tell("apprise", ADDRESS, **TOLD)
    assert [(one.service, one.status) for one in seen.happened if isinstance(one, ServiceAnswered)] == [
        ("apprise", status)
    ]


@pytest.mark.skipif(importlib.util.find_spec("apprise") is not None, reason="the library is installed")
def test_a_missing_library_is_said_with_the_line_that_installs_it() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'aegis\[apprise\]'"):
        installed()


@pytest.mark.skipif(importlib.util.find_spec("apprise") is None, reason="the extra apprise is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_real_library_tells_a_real_server() -> None:
    got: list[bytes] = []
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            head = await stream.receive()
            while b"what to do" not in head:
                head += await stream.receive()
            got.append(head)
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        real = AppriseLibrary()
        await real.tell("apprise", Secret(f"json://127.0.0.1:{port}/x"), **TOLD)
        assert real.check(ADDRESS)
        assert not real.check(Secret("nosuchkind://x"))
        group.cancel_scope.cancel()
    assert b'"HIGH: x"' in got[0]
