"""A stop and its return on a whole Aegis: who is told, what is held, what a budget sets off, and how it comes back."""

from pathlib import Path

import pytest
from tests.app.test_budget_actions import BUDGET, DAY_MS, Running, running, texts

from aegis.app.keydesk import KeyDesk
from aegis.app.keyring import pepper
from aegis.core.errors import Stopped
from aegis.core.incidents import Incident, Status
from aegis.core.notifications import DeliveryState
from aegis.core.stops import Grade, Stop
from aegis.core.virtualkeys import RANDOM_BITS
from aegis.emergency.planning import Order
from aegis.web.gateway.routes import NAMES

pytestmark = pytest.mark.anyio
MINUTES_5 = 300_000
KEYS = "budgets: {everything: {daily: {emergency: 0.30}}}\nactions: {emergency: [disable_keys]}\n"


async def make_key(aegis: Running, name: str) -> bytes:
    """A key that may be used, as its program presents it."""
    app = aegis.app
    desk = KeyDesk(
        app.keys.store,
        clock=aegis.clock,
        pepper=pepper(app.home),
        randbits=lambda bits: abs(hash(name)) % 2**bits if bits == RANDOM_BITS else 0,
        routes=NAMES,
    )
    made = await desk.create(name)
    await app.keys.turn()
    return made.secret.reveal().encode()


async def stop(aegis: Running, grade: Grade = Grade.G2) -> Stop:
    emergency = aegis.app.emergency
    assert emergency is not None
    made = await emergency.orders.plan(Order(grade=grade, scope={}, reason="runaway bill", by="ada"))
    await emergency.orders.keep(made)
    await emergency.orders.apply(made.id, by="ada")
    await turn(aegis)
    aegis.clock.pass_ms(5_000)  # nothing delivers here: the message has had its time
    await turn(aegis)
    return await emergency.parts.stops.get(made.id)


async def turn(aegis: Running) -> None:
    assert aegis.app.emergency is not None
    await aegis.app.emergency.turn(aegis.clock.now())
    await aegis.app.governor.tick()
    await aegis.app.keys.turn()


async def told_of(aegis: Running, stopped: Stop) -> Incident:
    found = await aegis.app.incidents.get(stopped.incident)
    assert found is not None
    return found


async def test_a_stop_is_an_incident_and_holds_every_key_until_the_return(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET) as aegis:
        key = await make_key(aegis, "ci-bot")
        assert aegis.app.keys.find(key) is not None
        done = await stop(aegis)
        incident = await told_of(aegis, done)

        assert (done.state, incident.status, incident.severity.name) == ("stopped", Status.OPEN, "HIGH")
        assert incident.title == f"Emergency stop G2: everything ({done.id})"
        assert aegis.app.keys.find(key) is None
        with pytest.raises(Stopped, match="everything is stopped: runaway bill"):
            await aegis.spend(1)
        services = {one.service for one in await aegis.app.outbox.of_incident(incident.id)}
        assert {"slack", "pagerduty", "teams"} <= services

        assert aegis.app.emergency is not None
        await aegis.app.emergency.orders.recover(
            done.id, by="ada", approver="grace", root_cause="a loop in the importer"
        )
        for _ in range(4):
            await turn(aegis)
            # Nobody calls: the time that a quiet step takes.
            aegis.clock.pass_ms(12 * MINUTES_5)
        back, incident = await aegis.app.emergency.parts.stops.get(done.id), await told_of(aegis, done)

        assert back.state == "returned"
        assert [check.name for check in back.checks] == ["stopped", "bill", "record", "queue", "keys", "providers"]
        assert aegis.app.keys.find(key) is not None
        assert incident.status is Status.RESOLVED
        assert "root cause: a loop in the importer; approved by grace" in texts(incident)
        assert "50 % of the calls of everything are admitted" in texts(incident)
        await aegis.spend(1, "call_2")


async def test_a_budget_holds_keys_after_its_message_and_its_next_window_gives_them_back(tmp_path: Path) -> None:
    async with running(tmp_path, KEYS) as aegis:
        key = await make_key(aegis, "ci-bot")
        await aegis.spend(30)
        assert aegis.app.keys.find(key) is not None
        await aegis.app.finish(wait_ms=0)
        await turn(aegis)
        crossed = await aegis.incident("emergency")

        told = {d.service for d in await aegis.app.outbox.of_incident(crossed.id) if d.state is DeliveryState.DONE}
        assert {"slack", "pagerduty"} <= told
        assert aegis.app.keys.find(key) is None
        assert "disable_keys: ci-bot held by stp_" in texts(crossed)
        assert aegis.stopped() == [], "the keys are held, admissions are not closed"

        for _ in range(2):
            aegis.clock.pass_ms(DAY_MS // 2)
        await aegis.app._keep_house(aegis.clock.now())
        await turn(aegis)
        assert aegis.app.keys.find(key) is not None


async def test_a_throttle_of_a_budget_reaches_every_process_through_the_store(tmp_path: Path) -> None:
    actions = "actions: {emergency: [reduce_limits]}\n"
    async with running(tmp_path, BUDGET + actions) as aegis:
        before = aegis.room("anthropic")
        await aegis.spend(30)
        await aegis.app.actions.turn(at_once=True)
        on = [one for one in aegis.app.governor.stopped() if one.scope == {"service": "anthropic"}]
        assert [(one.grade, one.percent) for one in on] == [(0, 50)]

        await aegis.next_day()
        assert aegis.stopped() == []
        assert aegis.room("anthropic") == before


async def test_alert_all_tells_every_contact_by_every_channel(tmp_path: Path) -> None:
    people = """\
contacts:
  ada: {email: ada@example.com, sms: "+15550101", phone: "+15550101"}
  grace: {email: grace@example.com}
escalation: {chains: [{name: quiet, steps: [{to: [grace], by: [email]}]}]}
actions: {emergency: [alert_all]}
"""
    async with running(tmp_path, BUDGET + people, extra=("email", "twilio")) as aegis:
        await aegis.spend(30)
        crossed = await aegis.incident("emergency")
        direct = {d.notification.recipient for d in await aegis.app.outbox.of_incident(crossed.id)} - {""}

        assert direct == {"email:ada", "sms:ada", "phone:ada", "email:grace"}
