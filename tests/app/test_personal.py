"""People who are told by something of their own: a pager's service, a webhook. What told them tells them the end, too."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.app.test_callout import Callout, outside

from aegis.app import Machine, open_app
from aegis.app.people import tell_test, usable_channels
from aegis.core.errors import ConfigError
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config

pytestmark = pytest.mark.anyio

OWN_KEY = "0d" * 16
PEOPLE = """\
contacts:
  anna: {pagerduty: env:ANNAS_PAGER, webhook: env:SANDBOX_WEBHOOK, webhook_secret: env:SANDBOX_SIGNING}
escalation:
  chains:
    - {name: all, when: {severity: [HIGH, CRITICAL]}, steps: [{to: anna, by: [webhook, pagerduty], wait: 15m}]}
"""


class Keys:
    """The sandbox's keys, and Anna's own."""

    def __init__(self, behind: SandboxKeys, own: str = OWN_KEY) -> None:
        self._behind, self._own = behind, own

    def __call__(self, reference: Reference) -> Secret:
        return Secret(self._own) if reference.name == "ANNAS_PAGER" else self._behind(reference)


def opened(documents: list[Mapping[str, Any]]) -> list[str]:
    return [str(one["status"]) for one in documents]


async def test_a_page_to_ones_own_service_is_acknowledged_and_closed_there(tmp_path: Path) -> None:
    async with outside() as (sandbox, world, clock):
        config = sandbox_config(sandbox, more=PEOPLE)
        # Nobody else is paged or posted to, so that all that arrives is Anna's.
        config = replace(config, connectors={"pagerduty": config.connectors["pagerduty"]}, routes=())
        keys, machine = Keys(SandboxKeys(sandbox)), Machine(clock=clock)
        async with open_app(config, home=tmp_path, resolve=keys, machine=machine) as app:
            there = Callout(app, world, clock)
            assert usable_channels(config) == ("webhook", "pagerduty")
            known = await there.opens()
            await there.after(1)
            assert opened(list(world.documents("pagerduty", "incident"))) == ["triggered", "triggered"]
            await app.desk.acknowledge(known.id, "anna", "slack")
            await there.after(1)
            assert opened(list(world.documents("pagerduty", "incident"))) == ["acknowledged", "acknowledged"]
            await app.desk.resolve(known.id, "anna", "slack")
            await there.after(1)
            assert opened(list(world.documents("pagerduty", "incident"))) == ["resolved", "resolved"]
            assert world.received("pagerduty").rejected == 0
            told = [one.body for one in world.received("webhook").records]
            assert [
                kind for body in told for kind in ("opened", "acknowledged", "resolved") if f"incident.{kind}" in body
            ]
            assert len(told) == 3
            assert all('"to":"anna"' in body for body in told)
            assert world.received("webhook").rejected == 0


async def test_a_test_of_a_contacts_pager_leaves_nothing_open(tmp_path: Path) -> None:
    async with outside() as (sandbox, world, clock):
        config = sandbox_config(sandbox, more=PEOPLE)
        keys, machine = Keys(SandboxKeys(sandbox)), Machine(clock=clock)
        async with open_app(config, home=tmp_path, resolve=keys, machine=machine) as app:
            sent = await tell_test(app, "anna")
            assert [(one["channel"], one["ok"]) for one in sent] == [("pagerduty", True), ("webhook", True)]
            assert opened(list(world.documents("pagerduty", "incident"))) == ["resolved"]
            assert OWN_KEY not in f"{app.telling.roster!r} {sent!r}"


async def test_a_pager_that_cannot_work_stops_the_start_with_the_contacts_name(tmp_path: Path) -> None:
    async with outside() as (sandbox, _world, clock):
        config = sandbox_config(sandbox, more=PEOPLE)
        keys, machine = Keys(SandboxKeys(sandbox), own="too-short"), Machine(clock=clock)
        with pytest.raises(ConfigError, match="contacts: anna: pagerduty: routing_key must have 32") as caught:
            async with open_app(config, home=tmp_path, resolve=keys, machine=machine):
                pass
        assert "too-short" not in str(caught.value)
