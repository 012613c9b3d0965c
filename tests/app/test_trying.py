"""Claims about trying services: every one is asked without effect, and a test says that it is one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aegis.app.services import Parts
from aegis.app.system import SystemClock
from aegis.app.trying import Tried, ask_all, connected, find_messenger, find_notifier, harmless, send_test
from aegis.config.settings import Config
from aegis.core.errors import BadInput
from aegis.core.incidents import Severity
from aegis.core.ports import Http
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.testing import FixedIds

pytestmark = pytest.mark.anyio

ASKED = {"slack", "discord", "jira", "datadog", "splunk", "virustotal", "anthropic", "email", "twilio"}
NOT_ASKED = {"teams", "pagerduty", "sentry", "webhook"}


class Town:
    """The sandbox and the connectors that lead to it."""

    def __init__(self, world: World, config: Config, parts: Parts, http: Http, keys: SandboxKeys) -> None:
        self.world, self.config, self.parts, self.http, self.keys = world, config, parts, http, keys

    async def ask(self) -> dict[str, Tried]:
        found = await ask_all(self.config, self.parts, self.http, resolve=self.keys, clock=SystemClock())
        return {one.service: one for one in found}


@asynccontextmanager
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    world = World(clock=SystemClock())
    async with serve(world) as serving:
        config, keys = sandbox_config(serving, extra=("email", "twilio", "webhook")), SandboxKeys(serving)
        clock = SystemClock()
        async with connected(config, home=tmp_path, resolve=keys, clock=clock, new_id=FixedIds()) as (parts, http):
            yield Town(world, config, parts, http, keys)


async def test_every_service_is_asked_or_it_is_said_why_not(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        tried = await here.ask()
        posted = [kind for name in ("slack", "discord", "jira", "email", "twilio") for kind in _left(here.world, name)]
        refused = [
            record.refused for tally in here.world.tallies().values() for record in tally.records if record.refused
        ]
    assert {name for name, one in tried.items() if one.asked} == ASKED
    assert {name for name, one in tried.items() if not one.asked} == NOT_ASKED
    assert [one for one in tried.values() if not one.ok] == []
    assert (posted, refused) == ([], [])
    assert tried["virustotal"].text == "the key is good, 500 of 500 look-ups left today"


def _left(world: World, name: str) -> list[str]:
    """What would stay at a service: messages, tickets, letters, calls."""
    return [kind for kind in ("message", "issue", "letter", "call") if world.documents(name, kind)]


@pytest.mark.parametrize("name", sorted(ASKED - {"email"}))
async def test_a_key_that_is_no_longer_known_is_found(tmp_path: Path, name: str) -> None:
    async with town(tmp_path) as here:
        here.world.fault(name, "401")
        tried = await here.ask()
    assert not tried[name].ok
    assert [other for other, one in tried.items() if not one.ok] == [name]
    assert "sandbox-key" not in tried[name].text


@pytest.mark.parametrize("mode", ["garbage", "wrong_json", "500", "reset"])
async def test_a_service_that_does_not_answer_as_itself_is_found(tmp_path: Path, mode: str) -> None:
    async with town(tmp_path) as here:
        here.world.fault("slack", mode)
        assert not (await here.ask())["slack"].ok


NOTIFIERS = ("slack", "teams", "discord", "pagerduty", "jira", "datadog", "splunk", "sentry", "email", "webhook")


@pytest.mark.parametrize("name", NOTIFIERS)
async def test_a_test_message_arrives_and_says_what_it_is(tmp_path: Path, name: str) -> None:
    async with town(tmp_path) as here:
        told = harmless(name, at=SystemClock().now(), new_id=FixedIds())
        await send_test(find_notifier(name, here.parts.notifiers), told)
        tally = here.world.received(name)
    assert (tally.rejected, tally.received >= 1) == (0, True)
    assert "Test message of Aegis" in " ".join(record.body for record in tally.records)
    assert told.severity is Severity.LOW


async def test_what_a_test_opens_it_closes(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        for name in ("pagerduty", "jira"):
            receipt = await send_test(
                find_notifier(name, here.parts.notifiers), harmless(name, at=SystemClock().now(), new_id=FixedIds())
            )
            assert receipt.note.endswith("closed again")
        [page] = here.world.documents("pagerduty", "incident")
        [ticket] = here.world.documents("jira", "issue")
    assert page["status"] == "resolved"
    assert "'done'" in repr(ticket).lower()


async def test_one_person_is_told_by_mail(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        told = harmless("email", at=SystemClock().now(), new_id=FixedIds())
        messenger = find_messenger("email", "lead@example.com", here.parts.messengers)
        await messenger.send("lead@example.com", told)
        [letter] = here.world.documents("email", "letter")
    assert (letter["to"], letter["subject"]) == (["lead@example.com"], "Test: Test message of Aegis to email")


async def test_names_that_are_none_are_answered_with_those_that_are(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        with pytest.raises(BadInput, match="configured are: pagerduty"):
            find_notifier("prometheus", here.parts.notifiers)
        with pytest.raises(BadInput, match="ways that do: email, slack"):
            find_messenger("teams", "x", here.parts.messengers)
        with pytest.raises(BadInput, match="cannot reach"):
            find_messenger("email", "+14155550100", here.parts.messengers)
    assert not list(tmp_path.iterdir())
