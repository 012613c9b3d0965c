"""The pages in a real browser: light, dark and on a phone, without an error and without leaving the strict policy.

Pictures are kept in `artefacts/` for a person to look at.
"""

from pathlib import Path

import pytest
from tests.web.chromium import CHROMIUM, chromium
from tests.web.faces import BRUTE_FORCE, faced

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"),
]

ARTEFACTS = Path(__file__).resolve().parents[2] / "artefacts"


async def test_every_page_stands_in_light_dark_and_on_a_phone_without_a_complaint(tmp_path: Path) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    async with faced(tmp_path) as face:
        await face.app.take(BRUTE_FORCE, source="auth.log")
        await face.app.finish(wait_ms=0)
        incident = (await face.app.incidents.recent(1))[0]
        async with chromium(headers=face.bearer) as page:
            for name, path in {"now": "/", "incident": f"/incidents/{incident.id}"}.items():
                for look, width, dark in (("light", 1280, False), ("dark", 1280, True), ("phone", 390, False)):
                    await page.open(face.address + path, width=width, height=1200, dark=dark)
                    assert incident.title in await page.value("document.body.innerText")
                    wide = await page.value("document.documentElement.scrollWidth")
                    assert wide <= width, f"{name} is {wide} pixels wide on a {look} screen of {width}"
                    await page.picture(ARTEFACTS / f"{name}-{look}.png")
            assert page.complaints == []


async def test_what_happens_appears_on_an_open_page_without_a_reload(tmp_path: Path) -> None:
    async with faced(tmp_path) as face, chromium(headers=face.bearer) as page:
        await page.open(face.address, width=1280, height=900)
        await face.app.take(BRUTE_FORCE, source="auth.log")
        await face.app.finish(wait_ms=0)
        for _ in range(100):
            if "203.0.113.66" in await page.value("document.getElementById('feed-lines').innerText"):
                break
            await page.value("new Promise(done => setTimeout(done, 50))")
        assert "203.0.113.66" in await page.value("document.getElementById('feed-lines').innerText")
        assert page.complaints == []
