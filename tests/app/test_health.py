"""The health of every outside service: whatever is used tells how it answered, and how it stands."""

from pathlib import Path

import pytest
from tests.app.living import trail_stopped
from tests.app.test_callout import outside

from aegis.app import Machine, open_app
from aegis.core.telemetry import Happened, ServiceAnswered, ServiceStands
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config

pytestmark = pytest.mark.anyio

EXTRA = ("email", "twilio", "webhook")
LANES = frozenset({"slack", "teams", "discord", "pagerduty", "jira", "datadog", "splunk", "sentry", "webhook", "email"})
METERED = frozenset({"anthropic", "virustotal", "twilio"})
ROUTED = "routes: [{when: {severity: [LOW, MEDIUM, HIGH, CRITICAL]}, to: [email, sms]}]\n"


async def test_every_service_that_is_used_tells_how_it_answered_and_how_it_stands(tmp_path: Path) -> None:
    seen: list[Happened] = []
    async with outside() as (sandbox, _world, clock):
        config = sandbox_config(sandbox, more=ROUTED, extra=EXTRA)
        machine = Machine(clock=clock)
        async with open_app(
            config, home=tmp_path, resolve=SandboxKeys(sandbox), machine=machine, observers=(seen.append,)
        ) as app:
            await app.take(trail_stopped(), source="cloudtrail")
            await app.finish(wait_ms=10_000)
            await app._tell_stands(clock.now())
    answered = {one.service for one in seen if isinstance(one, ServiceAnswered)}
    stands = {one.service for one in seen if isinstance(one, ServiceStands)}
    assert answered >= LANES | METERED
    assert stands >= LANES | METERED
