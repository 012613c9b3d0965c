"""Signed links: looking changes nothing, the button works once, a forged or ended link does nothing."""

import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from tests.web.inbound.doors import PUBLIC, Doors, doors

from aegis.core.incidents import Incident, Status
from aegis.core.notifications import Button
from aegis.incidents.act_links import VALID

pytestmark = pytest.mark.anyio


def linked(door: Doors, incident: Incident, *, contact: str = "") -> dict[str, str]:
    """The addresses of an incident's links, as they are reached here."""
    assert door.app.inbound is not None
    assert door.app.inbound.links is not None
    made: tuple[Button, ...] = door.app.inbound.links.links(incident, contact=contact)
    return {button.verb: button.url.replace(PUBLIC, door.address) for button in made}


async def status_of(door: Doors, incident: Incident) -> Status:
    stands = await door.app.desk.get(incident.id)
    assert stands is not None
    return stands.status


async def test_looking_changes_nothing_and_the_button_works_once_without_a_sign_in(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        incident = await door.paged()
        links = linked(door, incident)
        assert set(links) == {"acknowledge", "resolve"}
        for _ in range(3):  # a scanner looks, and looks again
            async with door.client.get(links["acknowledge"]) as answer:
                page = await answer.text()
                assert answer.status == 200
                assert "default-src 'none'" in answer.headers["content-security-policy"]
                assert answer.headers["referrer-policy"] == "same-origin"
                assert answer.headers["cache-control"] == "no-store"
        async with door.client.head(links["acknowledge"]) as answer:
            assert answer.status == 405
        assert await status_of(door, incident) is Status.OPEN
        assert "Acknowledge this incident" in page
        assert incident.title in unescape(page)

        headers = {"host": "aegis.example", "origin": "https://aegis.example"}
        async with door.client.post(links["acknowledge"], data={"by": "Ada"}, headers=headers) as answer:
            assert answer.status == 200
        stands = await door.app.desk.get(incident.id)
        assert stands is not None
        assert (stands.status, stands.status_by) == (Status.ACKNOWLEDGED, "Ada")

        await door.app.desk.reopen(incident.id, "Bob", at=door.clock.now())
        async with door.client.post(links["acknowledge"]) as answer:
            assert answer.status == 410
            assert "used already" in await answer.text()
        assert await status_of(door, incident) is Status.OPEN


async def test_a_link_that_was_sent_to_somebody_speaks_for_him(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        incident = await door.paged()
        async with door.client.post(linked(door, incident, contact="Grace")["resolve"], data={"by": "Eve"}) as answer:
            assert answer.status == 200
        stands = await door.app.desk.get(incident.id)
    assert stands is not None
    assert (stands.status, stands.status_by) == (Status.RESOLVED, "Grace")


async def test_a_forged_cut_or_ended_link_does_nothing(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        incident = await door.paged()
        link = linked(door, incident)["resolve"]
        payload, _, signature = link.rpartition("/")[2].partition(".")
        forged = [
            link[:-1] + ("A" if link[-1] != "A" else "B") + "A",
            f"{door.address}/act/{payload}.",
            f"{door.address}/act/{payload[:-4]}.{signature}",
            f"{door.address}/act/x",
            f"{door.address}/act/" + "A" * 4_000,
        ]
        for address in forged:
            async with door.client.post(address) as answer:
                assert answer.status == 404
        await door.clock.advance(int(VALID / timedelta(milliseconds=1)))
        for request in (door.client.get, door.client.post):
            async with request(link) as answer:
                assert answer.status == 410
        assert await status_of(door, incident) is Status.OPEN


async def test_links_of_another_installation_are_not_ours(tmp_path: Path) -> None:
    async with doors(tmp_path / "one") as door:
        incident = await door.paged()
        path = linked(door, incident)["resolve"].rpartition("/act/")[2]
    async with doors(tmp_path / "two") as door, door.client.get(f"{door.address}/act/{path}") as answer:
        assert answer.status == 404


async def test_without_a_public_address_no_message_carries_a_link_and_no_page_answers(tmp_path: Path) -> None:
    async with doors(tmp_path, config="inbound: {}\n") as door:
        await door.paged()
        assert "/act/" not in door.told("teams")[-1].body
        async with door.client.get(f"{door.address}/act/x.y") as answer:
            assert answer.status == 404


async def test_messages_in_teams_carry_the_links_and_they_work(tmp_path: Path) -> None:
    async with doors(tmp_path) as door:
        incident = await door.paged()
        found = re.findall(rf"{PUBLIC}/act/[\w.-]+", door.told("teams")[-1].body)
        assert len(found) == 2
        async with door.client.post(found[0].replace(PUBLIC, door.address)) as answer:
            assert answer.status == 200
        assert await status_of(door, incident) is Status.ACKNOWLEDGED
