"""The pages in a real browser: light, dark and on a phone, by keyboard, without an error and without leaving the strict
policy; and what axe-core says of them.

Pictures are kept in `artefacts/` for a person to look at.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.web.axe import THERE, serious_faults
from tests.web.chromium import CHROMIUM, Page, chromium
from tests.web.faces import BRUTE_FORCE, Face, faced

from aegis.app.silencing import silence_of
from aegis.core.stops import Grade
from aegis.emergency.planning import Order
from aegis.web.gateway.routes import NAMES

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"),
]

ARTEFACTS = Path(__file__).resolve().parents[2] / "artefacts"
LOOKS = {"light": (1280, False), "dark": (1280, True), "phone": (390, False)}
RICHEST = ("now", "incident", "spend", "attack", "plan")
NAV = "it.closest('nav.side')"


async def furnished(face: Face) -> Mapping[str, str]:
    """An attack, a silence, a key and a planned stop, so that no page is empty; every page's address by its name."""
    app = face.app
    await app.take(BRUTE_FORCE, source="auth.log")
    await app.finish(wait_ms=0)
    assert app.shown is not None
    assert app.emergency is not None
    now = app.clock.now()
    silence = silence_of("sil_1", now=now, matchers=["host=web-*"], owner="grace", reason="rebuilt", length="4h")
    await app.silences.add(silence, now=now)
    await app.shown.keydesk("grace", NAMES).create("ci-bot", team="build")
    planned = await app.emergency.orders.plan(Order(grade=Grade.G2, scope={"team": "build"}, reason="a loop", by="ann"))
    await app.emergency.orders.keep(planned)
    incident = (await app.incidents.recent(1))[0]
    call = (await app.shown.calls_of_incident(incident.id, incident.opened_at, 1))[0]
    return {
        "now": "/",
        "incidents": "/incidents",
        "incident": f"/incidents/{incident.id}",
        "spend": "/spend",
        "calls": "/calls?span=30d",
        "call": f"/calls/{call.call_id}",
        "guardrails": "/guardrails",
        "attack": "/attack",
        "silences": "/silences",
        "stop": "/stop",
        "plan": f"/stop/{planned.id}",
        "drills": "/drills",
        "keys": "/keys",
        "sandbox": "/sandbox",
        "service": "/sandbox/slack",
    }


async def test_every_page_stands_in_light_dark_and_on_a_phone_without_a_complaint(tmp_path: Path) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    async with faced(tmp_path) as face, chromium(headers=face.bearer) as page:
        for name, path in (await furnished(face)).items():
            for look, (width, dark) in LOOKS.items():
                await page.open(face.address + path, width=width, height=1200, dark=dark)
                wide = await page.value("document.documentElement.scrollWidth")
                assert wide <= width, f"{name} is {wide} pixels wide on a {look} screen of {width}"
                assert await page.value("document.querySelectorAll('h1').length") == 1, name
                await page.picture(ARTEFACTS / f"{name}-{look}.png")
        assert page.complaints == []


@pytest.mark.skipif(not THERE, reason="no axe-core on this machine (`dev.py test` installs it where there is npm)")
@pytest.mark.parametrize("look", LOOKS)
async def test_axe_finds_no_serious_fault_on_any_page(tmp_path: Path, look: str, *, long: bool) -> None:
    """In the light every page; dark and on a phone those with all kinds of parts, and with `--long` the others too."""
    width, dark = LOOKS[look]
    async with faced(tmp_path) as face, chromium(headers=face.bearer) as page:
        faults = []
        for name, path in (await furnished(face)).items():
            if look != "light" and name not in RICHEST and not long:
                continue
            await page.open(face.address + path, width=width, height=1200, dark=dark)
            faults += [f"{name}: {fault}" for fault in await serious_faults(page)]
    assert faults == []


async def test_the_keyboard_reaches_every_page(tmp_path: Path) -> None:
    async with faced(tmp_path) as face, chromium(headers=face.bearer) as page:
        await page.open(face.address, width=1280, height=900)
        names = await page.value("[...document.querySelectorAll('nav.side a')].map(one => one.textContent)")
        assert len(names) == 10
        for name in names:
            await page.tab_to(f"{NAV} && it.textContent === {name!r}")
            await page.press("Enter")
            await page.until(f"document.querySelector('nav.side [aria-current]')?.textContent === {name!r}")
        await page.press("Tab")
        assert await page.value("document.activeElement.className") == "skip", "the first stop skips what repeats"
        assert page.complaints == []


async def test_an_incident_is_acknowledged_and_silenced_by_the_keyboard_alone(tmp_path: Path) -> None:
    async with faced(tmp_path) as face, chromium(headers=face.bearer) as page:
        await furnished(face)
        incident = (await face.app.incidents.recent(1))[0]
        await page.open(face.address, width=1280, height=900)
        await page.tab_to(f"it.getAttribute('href') === '/incidents/{incident.id}'")
        await page.press("Enter")
        await page.until("document.querySelector('h1').textContent.includes('SSH')")
        await page.tab_to("it.textContent === 'Acknowledge'")
        await page.press("Enter")
        await page.until("document.querySelector('.done')")
        await page.tab_to("it.tagName === 'SUMMARY' && it.textContent === 'Silence'")
        await page.press("Enter")
        await page.tab_to("it.name === 'reason'")
        await page.write("we know of it")
        await page.press("Enter")
        await page.until("document.querySelector('.done')?.textContent.startsWith('Silenced')")
        assert page.complaints == []
        after = await face.app.incidents.get(incident.id)
        silences = await face.app.silences.in_force(face.app.clock.now())
    assert after is not None
    assert (after.status, after.status_via) == ("acknowledged", "dashboard")
    assert {one.reason for one in silences} == {"rebuilt", "we know of it"}


async def test_calls_are_stopped_by_the_keyboard_alone_and_only_after_the_scope_is_written_out(tmp_path: Path) -> None:
    async with faced(tmp_path) as face, chromium(headers=face.bearer) as page:
        await page.open(f"{face.address}/stop", width=1280, height=900)
        await page.tab_to("it.name === 'reason'")
        await page.write("a runaway bill")
        await page.press("Enter")
        await page.until("location.pathname.startsWith('/stop/stp_')")
        await _confirm(page, "everything")
        await page.until("document.querySelector('.problem')")
        assert await face.app.governor._ledger.switches() == []
        await _confirm(page, "all")
        await page.until("document.querySelector('.done')")
        await face.app.governor.tick()
        await page.open(face.address, width=1280, height=900)
        assert "All calls stopped" in await page.value("document.querySelector('.pill').textContent")
        assert [error for error in page.complaints if "400" not in error] == []


async def _confirm(page: Page, words: str) -> None:
    await page.tab_to("it.name === 'confirm'")
    await page.write(words)
    await page.press("Enter")


async def test_what_happens_appears_on_an_open_page_without_a_reload(tmp_path: Path) -> None:
    async with faced(tmp_path) as face, chromium(headers=face.bearer) as page:
        await page.open(face.address, width=1280, height=900)
        await face.app.take(BRUTE_FORCE, source="auth.log")
        await face.app.finish(wait_ms=0)
        await page.until("document.getElementById('feed-lines').innerText.includes('203.0.113.66')")
        await page.until("document.getElementById('incidents').innerText.includes('203.0.113.66')")
        assert page.complaints == []
