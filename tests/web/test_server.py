"""What a client of Aegis' own HTTP face sees: events taken once, a dashboard behind a sign-in, metrics that promtool takes."""

import gzip
import io
import shutil
from pathlib import Path

import anyio
import pytest
from tests.web.faces import BRUTE_FORCE, faced

pytestmark = pytest.mark.anyio


async def test_events_are_stored_before_the_answer_and_the_same_key_adds_nothing(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        answers = []
        for _ in range(2):
            headers = {**face.bearer, "Idempotency-Key": "batch-1"}
            async with face.client.post(f"{face.address}/api/events", data=BRUTE_FORCE, headers=headers) as answer:
                answers.append((answer.status, await answer.json()))

        (first_status, first), (_, second) = answers
        assert (first_status, first["schema"], first["accepted"]) == (202, "aegis.events/1", 40)
        assert (second["accepted"], second["duplicates"]) == (0, 40)
        assert len(await face.app.events.pending(100)) == 40


async def test_a_malformed_line_is_named_and_the_rest_is_taken(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        body = b'{"eventName": "A"}\n{"eventName": \n{"eventName": "B"}\n'
        async with face.client.post(f"{face.address}/api/events", data=body, headers=face.bearer) as answer:
            taken = await answer.json()

    assert (taken["accepted"], taken["rejected"]) == (2, 1)
    assert taken["problems"][0]["line"] == 2


async def test_a_body_that_would_unpack_without_end_is_refused_by_name(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        bomb = gzip.compress(b"0" * (200 << 20))
        async with face.client.post(f"{face.address}/api/events", data=bomb, headers=face.bearer) as answer:
            taken = await answer.json()

    assert taken["accepted"] == 0
    assert taken["problems"][0]["code"] in {"bomb", "too_long", "too_large"}


async def test_a_body_over_the_bound_is_refused_whole(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        body = io.BytesIO(b"x" * (9 << 20))
        async with face.client.post(f"{face.address}/api/events", data=body, headers=face.bearer) as answer:
            problem = await answer.json()

    assert (answer.status, problem["code"]) == (413, "too_large")


async def test_an_attack_is_on_the_first_page_with_its_incident(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await face.app.take(BRUTE_FORCE, source="auth.log")
        await face.app.finish(wait_ms=0)
        async with face.client.get(f"{face.address}/", headers=face.bearer) as answer:
            page = await answer.text()
        async with face.client.get(f"{face.address}/api/incidents", headers=face.bearer) as answer:
            incidents = (await answer.json())["incidents"]
        async with face.client.get(f"{face.address}/incidents/{incidents[0]['id']}", headers=face.bearer) as answer:
            detail = await answer.text()

    assert incidents[0]["title"] in page
    assert "203.0.113.66" in detail
    assert "Do now" in detail


async def test_without_sign_in_nothing_but_health_and_metrics_is_shown(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        statuses = {}
        for path in ("/", "/api/incidents", "/api/feed", "/livez", "/readyz", "/metrics"):
            async with face.client.get(face.address + path) as answer:
                statuses[path] = answer.status

    assert statuses == {
        "/": 401,
        "/api/incidents": 401,
        "/api/feed": 401,
        "/livez": 200,
        "/readyz": 200,
        "/metrics": 200,
    }


async def test_the_sign_in_address_works_once(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        address = face.address + face.access.sign_in_path()
        async with face.client.get(address) as answer:
            first = (answer.status, answer.url.path)
        async with face.client.get(address, headers={"Cookie": ""}) as answer:
            second = answer.status

    assert first == (200, "/")
    assert second == 403


async def test_a_page_of_another_site_reaches_nothing(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        async with face.client.get(f"{face.address}/metrics", headers={"Host": "evil.example"}) as answer:
            rebound = answer.status
        headers = {**face.bearer, "Origin": "https://evil.example"}
        async with face.client.post(f"{face.address}/api/events", data=b"{}", headers=headers) as answer:
            foreign = answer.status

    assert (rebound, foreign) == (403, 403)


async def test_every_page_carries_the_strict_policy(tmp_path: Path) -> None:
    async with faced(tmp_path) as face, face.client.get(f"{face.address}/", headers=face.bearer) as answer:
        policy = answer.headers["content-security-policy"]
        page = await answer.text()

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in page
    assert "style=" not in page


async def test_an_incident_changes_its_status_through_the_api(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await face.app.take(BRUTE_FORCE, source="auth.log")
        await face.app.finish(wait_ms=0)
        incident = (await face.app.incidents.recent(1))[0]
        statuses = []
        for change in ("acknowledge", "resolve", "reopen"):
            address = f"{face.address}/api/incidents/{incident.id}/{change}"
            async with face.client.post(address, headers=face.bearer) as answer:
                statuses.append((await answer.json())["status"])
        async with face.client.post(f"{face.address}/api/incidents/inc_none/resolve", headers=face.bearer) as answer:
            missing = (answer.status, (await answer.json())["code"])

    assert statuses == ["acknowledged", "resolved", "open"]
    assert missing == (404, "no_such_incident")


async def test_metrics_count_what_happened(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await face.app.take(BRUTE_FORCE, source="auth.log")
        await face.app.finish(wait_ms=0)
        async with face.client.get(f"{face.address}/metrics") as answer:
            text = await answer.text()

    assert 'aegis_events_total{source="auth.log"} 40.0' in text
    assert 'aegis_deliveries_total{outcome="done",service="slack"}' in text
    assert 'aegis_budget_limit_usd{budget="everything",level="emergency",window="day"} ' in text


async def test_a_scraper_that_asks_for_openmetrics_gets_it(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with face.client.get(f"{face.address}/metrics", headers=accept) as answer:
            text = await answer.text()

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on this machine (apt-get install prometheus)"
)
async def test_promtool_has_no_complaint_about_the_metrics(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await face.app.take(BRUTE_FORCE, source="auth.log")
        await face.app.finish(wait_ms=0)
        async with face.client.get(f"{face.address}/metrics") as answer:
            text = await answer.read()
    checked = await anyio.run_process(["promtool", "check", "metrics"], input=text, check=False)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
