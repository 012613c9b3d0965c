"""What must not leave: people's addresses in a prompt, and secrets anywhere."""

import logging
from io import StringIO
from pathlib import Path

import aiohttp
import anyio
import pytest
from tests.app.living import living, soon, trail_stopped

from aegis.core.secret import Secret
from aegis.incidents.report import markdown
from aegis.web.access import TOKEN_FILE, Access
from aegis.web.server import create
from aegis.web.serving import listen, serving

pytestmark = pytest.mark.anyio

EMAIL = "alice.liddell@wonderland.example"
CANARIES = {
    "SANDBOX_KEY": "canary-key-7f3a9c5e1b",
    "SANDBOX_ROUTING_KEY": "ca9a7e" * 5 + "ca",
    "SANDBOX_SLACK": "xoxb-canary-2468013579",
}


async def test_an_address_of_a_person_stands_in_the_analysis_but_never_in_the_prompt(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        await here.app.take(trail_stopped(EMAIL), source="cloudtrail")

        async def analysed() -> bool:
            found = await here.app.incidents.recent(1)
            return bool(found and found[0].analysis)

        await soon(analysed)
        (incident,) = await here.app.incidents.recent(1)
        asked = [record for record in here.world.received("anthropic").records if record.path.endswith("/messages")]

    assert incident.analysis is not None
    assert incident.analysis.source.value == "model"
    assert asked
    assert all("alice" not in record.body.lower() and "wonderland" not in record.body.lower() for record in asked)
    assert all("StopLogging" in record.body for record in asked), "the prompt was kept whole"
    assert EMAIL in f"{incident.analysis}"


async def test_a_secret_reaches_no_log_page_metric_report_store_or_record(tmp_path: Path) -> None:
    log = StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    said = []
    try:
        async with living(tmp_path, secrets={name: Secret(value) for name, value in CANARIES.items()}) as here:
            here.world.fault("slack", "401", count=1)
            here.world.fault("jira", "500", count=1)
            here.world.fault("splunk", "garbage", count=1)
            access = Access.in_folder(tmp_path)
            token = (await anyio.Path(tmp_path / TOKEN_FILE).read_text()).strip()
            async with (
                serving(create(here.app, access=access), listen("127.0.0.1", 0)) as address,
                aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as client,
            ):
                await here.app.take(trail_stopped(), source="cloudtrail")

                async def told() -> bool:
                    counts = await here.app.outbox.counts()
                    return counts.get("pagerduty", {}).get("done", 0) >= 2 and "dead" in counts.get("slack", {})

                await soon(told)
                (incident,) = await here.app.incidents.recent(1)
                for path in (
                    "/",
                    f"/incidents/{incident.id}",
                    "/metrics",
                    "/readyz",
                    "/api/services",
                    "/api/incidents",
                ):
                    async with client.get(address + path) as answer:
                        assert answer.status == 200
                        said.append(await answer.text())
            said.append(markdown(incident, deliveries=await here.app.outbox.of_incident(incident.id)))
            said += [repr(tally) for tally in here.world.tallies().values()]
            said.append(repr(here.told) + repr(here.app.config) + log.getvalue())
    finally:
        logging.getLogger().removeHandler(handler)

    assert "dead" in "".join(said)
    for canary in CANARIES.values():
        assert not [text for text in said if canary in text]
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or canary.encode() not in file.read_bytes(), file
