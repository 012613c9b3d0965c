"""Claims about the one door to the outside, tried against real servers on loopback."""

import datetime as dt
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.abc
import pytest
from anyio.streams.tls import TLSStream
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from aegis.core.errors import Billed, ServiceError
from aegis.core.ports import HttpRequest
from aegis.core.telemetry import Happened, ServiceAnswered
from aegis.transport.http import OutboundHttp

pytestmark = pytest.mark.anyio

CANARY = "canary-6f2d1c"
NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
Script = Callable[[anyio.abc.ByteStream, bytes], Awaitable[None]]


class FixedClock:
    def __init__(self) -> None:
        self.ticks = 0

    def now(self) -> dt.datetime:
        return NOW

    def monotonic_ns(self) -> int:
        self.ticks += 5_000_000
        return self.ticks

    async def sleep_ms(self, milliseconds: int) -> None:
        raise AssertionError("the transport never sleeps")


@dataclass
class Server:
    port: int
    received: list[bytes] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server that runs one script per request it has read whole (headers, then Content-Length bytes)."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server = Server(port=listener.extra(anyio.abc.SocketAttribute.local_port))

    async def serve(stream: anyio.abc.ByteStream) -> None:
        wrapped: anyio.abc.ByteStream = stream
        try:
            if tls is not None:
                wrapped = await TLSStream.wrap(stream, ssl_context=tls)
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += await wrapped.receive()
                server.received.append(head)
                await script(wrapped, head)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError):
            server.ended.append("closed")
        finally:
            with anyio.CancelScope(shield=True):
                await stream.aclose()

    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        try:
            yield server
        finally:
            group.cancel_scope.cancel()


def answering(raw: bytes) -> Script:
    async def script(stream: anyio.abc.ByteStream, _head: bytes) -> None:
        await stream.send(raw)

    return script


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def outbound(
    seen: list[Happened] | None = None, *, allow_private: tuple[str, ...] = (), tls: ssl.SSLContext | None = None
) -> AsyncIterator[OutboundHttp]:
    records = seen if seen is not None else []
    http = OutboundHttp(clock=FixedClock(), observer=records.append, allow_private=allow_private, tls=tls)
    try:
        yield http
    finally:
        await http.close()


def request_to(port: int, path: str = f"/hook/{CANARY}", **changes: object) -> HttpRequest:
    values: dict[str, object] = {
        "service": "slack",
        "method": "POST",
        "url": f"http://127.0.0.1:{port}{path}",
        "headers": {"Authorization": f"Bearer {CANARY}"},
        "body": b"{}",
        "connect_timeout_ms": 2_000,
        "timeout_ms": 5_000,
    }
    return HttpRequest(**{**values, **changes})  # type: ignore[arg-type]


async def failure_of(http: OutboundHttp, request: HttpRequest) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await http.send(request)
    error = caught.value
    assert CANARY not in f"{error} {error!r} {error.args} {error.__cause__!r} {error.__context__!r}"
    return error


async def test_an_answer_comes_back_with_status_lower_case_headers_and_body() -> None:
    async with serving(answering(whole(b"hello", "X-Rate: 7", status="418 Teapot"))) as server, outbound() as http:
        answer = await http.send(request_to(server.port))
    assert (answer.status, answer.headers["x-rate"], answer.body) == (418, "7", b"hello")


async def test_the_observer_hears_of_every_exchange() -> None:
    seen: list[Happened] = []
    async with serving(answering(whole(b"ok"))) as server, outbound(seen) as http:
        await http.send(request_to(server.port))
    assert seen == [ServiceAnswered(at=NOW, service="slack", status=200, took_ms=5)]


async def test_the_observer_hears_status_zero_when_no_answer_came() -> None:
    seen: list[Happened] = []
    async with outbound(seen) as http:
        await failure_of(http, request_to(unused_port()))
    assert [record.status for record in seen if isinstance(record, ServiceAnswered)] == [0]


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_refused_connection_was_not_billed() -> None:
    async with outbound() as http:
        error = await failure_of(http, request_to(unused_port()))
    assert (error.billed, error.retryable, error.status) == (Billed.NO, True, None)


async def test_a_name_that_does_not_resolve_was_not_billed() -> None:
    async with outbound() as http:
        error = await failure_of(http, request_to(0, url=f"https://no-such-host.invalid/{CANARY}"))
    assert (error.billed, error.retryable) == (Billed.NO, True)


async def test_a_connection_cut_after_sending_may_have_been_billed() -> None:
    async def cut(stream: anyio.abc.ByteStream, _head: bytes) -> None:
        await stream.aclose()
        raise anyio.ClosedResourceError

    async with serving(cut) as server, outbound() as http:
        error = await failure_of(http, request_to(server.port))
    assert (error.billed, error.retryable) == (Billed.UNKNOWN, True)


async def test_a_body_cut_short_may_have_been_billed() -> None:
    async def half(stream: anyio.abc.ByteStream, _head: bytes) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await stream.aclose()
        raise anyio.ClosedResourceError

    async with serving(half) as server, outbound() as http:
        error = await failure_of(http, request_to(server.port))
    assert error.billed is Billed.UNKNOWN


async def test_a_silent_server_is_left_after_the_time_out() -> None:
    async def silent(_stream: anyio.abc.ByteStream, _head: bytes) -> None:
        await anyio.sleep_forever()

    async with serving(silent) as server, outbound() as http:
        error = await failure_of(http, request_to(server.port, timeout_ms=150))
    assert (error.billed, error.retryable, str(error)) == (Billed.UNKNOWN, True, "slack: did not answer in time")


async def test_a_dripping_server_does_not_outlive_the_total_time_out() -> None:
    async def drip(stream: anyio.abc.ByteStream, _head: bytes) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await stream.send(b".")
            await anyio.sleep(0.02)

    async with serving(drip) as server, outbound() as http:
        error = await failure_of(http, request_to(server.port, timeout_ms=200))
    assert error.billed is Billed.UNKNOWN


async def test_an_answer_that_is_no_http_is_an_error_of_the_service() -> None:
    async with serving(answering(b"\x00\x01 SSH-2.0 garbage\r\n\r\n")) as server, outbound() as http:
        error = await failure_of(http, request_to(server.port))
    assert (error.billed, error.retryable) == (Billed.UNKNOWN, True)


async def test_endless_headers_are_refused() -> None:
    async def endless(stream: anyio.abc.ByteStream, _head: bytes) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await stream.send(b"X-Long: " + b"a" * 4096)

    async with serving(endless) as server, outbound() as http:
        error = await failure_of(http, request_to(server.port))
    assert error.billed is Billed.UNKNOWN


@pytest.mark.parametrize("declared", [True, False])
async def test_a_huge_body_is_cut_off_at_the_bound(declared: bool) -> None:
    async def huge(stream: anyio.abc.ByteStream, _head: bytes) -> None:
        length = b"Content-Length: 1000000000\r\n" if declared else b""
        await stream.send(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        while True:
            await stream.send(b"x" * 65536)

    async with serving(huge) as server, outbound() as http:
        error = await failure_of(http, request_to(server.port, answer_bytes_max=100_000))
    assert (str(error), error.retryable) == ("slack: answered with more than 100000 bytes", True)


async def test_a_gzip_answer_is_inflated() -> None:
    raw = whole(gzip.compress(b"hello " * 1000), "Content-Encoding: gzip")
    async with serving(answering(raw)) as server, outbound() as http:
        assert (await http.send(request_to(server.port))).body == b"hello " * 1000


async def test_a_decompression_bomb_is_cut_off_at_the_bound() -> None:
    raw = whole(gzip.compress(b"\0" * 50_000_000), "Content-Encoding: gzip")
    async with serving(answering(raw)) as server, outbound() as http:
        error = await failure_of(http, request_to(server.port, answer_bytes_max=100_000))
    assert "more than 100000 bytes" in str(error)


@pytest.mark.parametrize(
    "raw",
    [
        whole(b"not gzip at all", "Content-Encoding: gzip"),
        whole(gzip.compress(b"hello " * 1000)[:-9], "Content-Encoding: gzip"),
        whole(b"brotli", "Content-Encoding: br"),
    ],
)
async def test_a_body_in_a_broken_or_unasked_encoding_is_refused(raw: bytes) -> None:
    async with serving(answering(raw)) as server, outbound() as http:
        await failure_of(http, request_to(server.port))


async def test_a_redirect_is_returned_and_not_followed() -> None:
    async with serving(answering(whole(b"", "Location: http://127.0.0.1:1/", status="302 Found"))) as server:
        async with outbound() as http:
            answer = await http.send(request_to(server.port))
        assert (answer.status, len(server.received)) == (302, 1)


async def test_a_cookie_is_not_sent_back() -> None:
    async with serving(answering(whole(b"", "Set-Cookie: session=1"))) as server, outbound() as http:
        await http.send(request_to(server.port))
        await http.send(request_to(server.port))
    assert all(b"ookie" not in head for head in server.received)


async def test_a_request_on_a_reused_connection_that_was_cut_is_not_sent_again() -> None:
    async def once(stream: anyio.abc.ByteStream, head: bytes) -> None:
        if b"/second" in head:
            await stream.aclose()
            raise anyio.ClosedResourceError
        await stream.send(whole(b"ok"))

    async with serving(once) as server, outbound() as http:
        await http.send(request_to(server.port, "/first", method="GET", body=b""))
        error = await failure_of(http, request_to(server.port, "/second", method="GET", body=b""))
    assert (error.billed, len(server.received)) == (Billed.UNKNOWN, 2)


async def test_cancelling_closes_the_connection_at_once() -> None:
    arrived = anyio.Event()
    gone = anyio.Event()

    async def wait(stream: anyio.abc.ByteStream, _head: bytes) -> None:
        arrived.set()
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        gone.set()
        raise anyio.EndOfStream

    async with serving(wait) as server, outbound() as http:
        async with anyio.create_task_group() as group:
            group.start_soon(http.send, request_to(server.port))
            await arrived.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(60):
            await gone.wait()


async def test_environment_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("no_proxy", "")
    async with serving(answering(whole(b"direct"))) as server, outbound() as http:
        assert (await http.send(request_to(server.port))).body == b"direct"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://user:pass@127.0.0.1/",
        "https://127.0.0.1/a b",
        "https://127.0.0.1/\r\nX: y",
        "https://",
        "not an address",
        "https://[::1",
        "http://10.0.0.1/",
    ],
)
async def test_an_address_that_is_not_https_or_not_clean_is_refused_before_any_connection(url: str) -> None:
    async with outbound() as http:
        error = await failure_of(http, request_to(0, url=url))
    assert (error.retryable, error.billed) == (False, Billed.NO)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "0.0.0.0",
        "[::ffff:10.0.0.1]",
        "[fd00::1]",
        "[fe80::1]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::]",
        "2130706433",
        "0x7f.1",
        "017700000001",
    ],
)
async def test_a_private_address_is_refused_however_it_is_written(host: str) -> None:
    async with outbound() as http:
        error = await failure_of(http, request_to(0, url=f"https://{host}/x", timeout_ms=2_000))
    assert error.billed is Billed.NO
    assert "private" in str(error) or "resolve" in str(error) or "connected" in str(error)


async def test_a_private_address_is_connected_to_only_where_the_configuration_says_so() -> None:
    async with outbound(allow_private=("127.0.0.1.nip.invalid", "0.0.0.0")) as http:
        error = await failure_of(http, request_to(0, url=f"https://0.0.0.0:{unused_port()}/", timeout_ms=2_000))
    assert str(error) == "slack: cannot be connected to"


async def test_an_untrusted_certificate_is_an_error_before_anything_was_sent() -> None:
    context, _authority = certificate("127.0.0.1")
    async with serving(answering(whole(b"ok")), tls=context) as server, outbound() as http:
        error = await failure_of(http, request_to(0, url=f"https://127.0.0.1:{server.port}/{CANARY}"))
        assert (str(error), error.billed) == ("slack: its certificate is not trusted", Billed.NO)
        assert server.received == []


async def test_a_trusted_certificate_for_another_name_is_refused() -> None:
    context, authority = certificate("elsewhere.example")
    async with serving(answering(whole(b"ok")), tls=context) as server, outbound(tls=authority) as http:
        error = await failure_of(http, request_to(0, url=f"https://127.0.0.1:{server.port}/"))
    assert str(error) == "slack: its certificate is not trusted"


async def test_https_works_with_a_trusted_certificate() -> None:
    context, authority = certificate("127.0.0.1")
    async with serving(answering(whole(b"safe")), tls=context) as server, outbound(tls=authority) as http:
        answer = await http.send(request_to(0, url=f"https://127.0.0.1:{server.port}/"))
    assert answer.body == b"safe"


async def test_a_server_without_tls_is_an_error_before_anything_was_sent() -> None:
    async with serving(answering(whole(b"plain"))) as server, outbound() as http:
        error = await failure_of(http, request_to(0, url=f"https://127.0.0.1:{server.port}/", connect_timeout_ms=200))
    assert error.billed is Billed.NO


async def test_a_header_with_a_line_end_is_refused_without_showing_it() -> None:
    async with serving(answering(whole(b"ok"))) as server, outbound() as http:
        request = request_to(server.port, headers={"Authorization": f"Bearer {CANARY}\r\nX-Evil: 1"})
        error = await failure_of(http, request)
    assert (error.retryable, server.received) == (False, [])


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "X Y", "X:", ""])
async def test_a_header_that_would_move_the_end_of_a_request_is_refused(name: str) -> None:
    async with serving(answering(whole(b"ok"))) as server, outbound() as http:
        error = await failure_of(http, request_to(server.port, headers={name: "5"}))
    assert (error.retryable, error.billed, server.received) == (False, Billed.NO, [])


async def test_the_host_is_named_as_the_address_has_it() -> None:
    async with serving(answering(whole(b"ok"))) as server, outbound() as http:
        await http.send(request_to(server.port, url=f"http://LOCALHOST:{server.port}?a=%2F#never-sent"))
    first, second = server.received[0].split(b"\r\n")[:2]
    assert (first, second) == (b"POST /?a=%2F HTTP/1.1", b"Host: localhost:%d" % server.port)


def test_a_request_shows_no_secret() -> None:
    assert CANARY not in repr(request_to(1))


def certificate(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a fresh certificate for `name`, and a client's context that trusts it."""
    import ipaddress
    import tempfile

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "aegis test")])
    try:
        other: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        other = x509.DNSName(name)
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([other]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pem + private)
        file.flush()
        server.load_cert_chain(file.name)
    return server, ssl.create_default_context(cadata=pem.decode())


async def test_a_unix_socket_is_spoken_to_and_nothing_else_stands_behind_it(tmp_path: Path) -> None:
    at = str(tmp_path / "engine.sock")
    heard: list[bytes] = []

    async def engine(stream: anyio.abc.SocketStream) -> None:
        heard.append(await stream.receive())
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nOK")

    async with await anyio.create_unix_listener(at) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, engine)
        door = OutboundHttp(clock=FixedClock(), observer=lambda _: None, unix_socket=at)
        answer = await door.send(HttpRequest(service="docker", method="GET", url="http://localhost/_ping"))
        with pytest.raises(ServiceError, match="behind a socket"):
            await door.send(HttpRequest(service="docker", method="GET", url="https://example.com/_ping"))
        await door.close()
        tasks.cancel_scope.cancel()
    assert (answer.status, answer.body, heard[0].splitlines()[0]) == (200, b"OK", b"GET /_ping HTTP/1.1")
