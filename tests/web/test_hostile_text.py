"""What an attacker writes into a log is text on every page, and what a client sends is bounded and refused by name."""

import json
from pathlib import Path

import aiohttp
import anyio
import pytest
from tests.web.faces import BRUTE_FORCE, faced

from aegis.web.feed import READERS_MAX
from aegis.web.metrics import SOURCES_MAX

pytestmark = pytest.mark.anyio

NAME = "</a><script>alert(1)</script><img src=x onerror=alert(2)>"
HOSTILE = json.dumps(
    {
        "eventVersion": "1.09",
        "eventTime": "2026-03-03T23:45:50Z",
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.66",
        "userAgent": NAME,
        "userIdentity": {"type": "IAMUser", "userName": NAME, "arn": f"arn:aws:iam::210987654321:user/{NAME}"},
        "requestParameters": {"name": NAME},
    }
).encode()


async def test_markup_in_a_log_is_shown_as_text_on_every_page(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        async with face.client.post(f"{face.address}/api/events", data=HOSTILE, headers=face.bearer) as answer:
            assert answer.status == 202
        await face.app.finish(wait_ms=0)
        (incident,) = await face.app.incidents.recent(1)
        for path in ("/", f"/incidents/{incident.id}"):
            async with face.client.get(face.address + path, headers=face.bearer) as answer:
                page = await answer.text()
            assert "<script>alert" not in page
            assert "<img src=x" not in page
        assert "&lt;script&gt;" in page, "it is shown, not left out"


async def test_every_answer_carries_the_headers_also_a_refusal(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        for path, status in (("/", 401), ("/nowhere", 404), ("/livez", 200), ("/api/incidents/none", 404)):
            headers = face.bearer if status == 404 else {}
            async with face.client.get(face.address + path, headers=headers) as answer:
                assert answer.status == status
                assert "default-src 'none'" in answer.headers["content-security-policy"]
                assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_problem_is_named_by_a_code(tmp_path: Path) -> None:
    cases = [
        ("GET", "/api/incidents/inc_none", 404, "no_such_incident"),
        ("POST", "/api/incidents/inc_none/explode", 404, "no_such_change"),
        ("GET", "/static/secret.txt", 404, "no_such_file"),
        ("GET", "/sign-in?code=wrong", 403, "code_used"),
    ]
    async with faced(tmp_path) as face:
        for method, path, status, code in cases:
            async with face.client.request(method, face.address + path, headers=face.bearer) as answer:
                problem = await answer.json()
            assert (answer.status, answer.content_type) == (status, "application/problem+json")
            assert (problem["status"], problem["code"]) == (status, code)


async def test_a_wrong_code_does_not_use_up_the_right_one(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        async with face.client.get(f"{face.address}/sign-in?code=wrong") as answer:
            assert answer.status == 403
        async with face.client.get(face.address + face.access.sign_in_path()) as answer:
            assert (answer.status, answer.url.path) == (200, "/")


async def test_no_other_credential_opens_the_door(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        for header in ("Bearer", "Bearer ", "Basic eDp5", "Bearer \u00e4\u00f6", f"Bearer {'y' * 4_000}", face.token):
            headers = {"Authorization": header}
            async with face.client.get(f"{face.address}/api/incidents", headers=headers) as answer:
                assert answer.status == 401


async def test_the_live_feed_sends_each_line_as_it_happens(tmp_path: Path) -> None:
    async with faced(tmp_path) as face, face.client.get(f"{face.address}/api/feed", headers=face.bearer) as answer:
        assert answer.content_type == "text/event-stream"
        with anyio.fail_after(60):
            assert await answer.content.readline() == b": open\n"
            await face.app.take(BRUTE_FORCE, source="auth.log")
            await face.app.work_events()
            while not (line := await answer.content.readline()).startswith(b"data: "):
                pass
        told = json.loads(line.removeprefix(b"data: "))

    assert set(told) == {"at", "kind", "tone", "text", "incident"}


async def test_one_page_too_many_is_refused_by_name(tmp_path: Path) -> None:
    async with faced(tmp_path) as face, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as browsers:
        address = f"{face.address}/api/feed"
        for _ in range(READERS_MAX):
            answer = await browsers.get(address, headers=face.bearer)
            assert await answer.content.readline() == b": open\n"
        async with browsers.get(address, headers=face.bearer) as answer:
            assert (answer.status, (await answer.json())["code"]) == (429, "too_many_readers")


async def test_senders_cannot_fill_the_memory_with_names_of_sources(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        for number in range(SOURCES_MAX + 20):
            await face.app.take(b'{"a": %d}' % number, source=f"source-{number}")
        async with face.client.get(f"{face.address}/metrics") as answer:
            text = await answer.text()

    assert text.count("aegis_events_total{") == SOURCES_MAX + 1
    assert 'aegis_events_total{source="other"} 20.0' in text
