"""What a crossed level sets off in a whole Aegis: who is told, what is stopped and for how long."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aegis.app import App, Machine, open_app
from aegis.app.overrides import Override, add
from aegis.core.calls import Call
from aegis.core.errors import BudgetExceeded, Refused, Stopped
from aegis.core.incidents import Incident, Status
from aegis.core.money import usd
from aegis.core.notifications import DeliveryState
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.testing.clock import FakeClock

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DAY_MS = 24 * 3_600_000
BUDGET = "budgets: {everything: {daily: {warning: 0.10, critical: 0.20, emergency: 0.30}}}\n"
PRICES = "prices: {other/m: {input_tokens: 10000}}\n"
"""A cent a token."""


@dataclass
class Running:
    """An Aegis on a clock that stands still; nothing runs but what a test turns."""

    app: App
    clock: FakeClock

    async def spend(self, cents: int, call_id: str = "call_1", **scope: str) -> None:
        """One call of so many cents, and everything that follows from it."""
        worst = {"input_tokens": cents}
        call = Call(id=call_id, service="other", operation="ask", models=("m",), worst=worst, scope=scope)
        try:
            async with self.app.governor.admit(call) as reservation:
                reservation.settle(worst)
        finally:
            await self.app.governor.tick()
            await self.app.work_events()

    async def incident(self, level: str) -> Incident:
        found = [one for one in await self.app.incidents.recent(100) if f"crossed {level}" in one.title]
        assert len(found) == 1, "one incident per crossing"
        return found[0]

    def stopped(self) -> list[dict[str, str]]:
        return [dict(switch.scope) for switch in self.app.governor.stopped()]

    def room(self, service: str) -> int | None:
        return next(s.room for s in self.app.governor.services() if s.service == service)

    async def next_day(self) -> None:
        for _ in range(2):  # a leap of the clock is believed when it stays
            self.clock.pass_ms(DAY_MS // 2)
        await self.app._keep_house(self.clock.now())


@asynccontextmanager
async def running(
    home: Path, settings: str, clock: FakeClock | None = None, extra: tuple[str, ...] = ()
) -> AsyncIterator[Running]:
    clock = clock or FakeClock(NOON)
    async with serve(World(clock=clock)) as sandbox:
        config = sandbox_config(sandbox, more=settings + PRICES, extra=extra)
        keys = SandboxKeys(sandbox)
        async with open_app(config, home=home, resolve=keys, machine=Machine(clock=clock)) as app:
            yield Running(app, clock)


def texts(incident: Incident) -> str:
    return "\n".join(entry.text for entry in incident.timeline)


async def test_without_a_configuration_a_level_is_told_and_the_limit_itself_refuses(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET) as aegis:
        await aegis.spend(20)
        with pytest.raises(BudgetExceeded):
            await aegis.spend(20, "call_2")

        assert aegis.stopped() == []
        assert [(await aegis.incident(level)).severity.name for level in ("warning", "critical", "emergency")] == [
            "MEDIUM", "HIGH", "CRITICAL",
        ]  # fmt: skip
        assert "log: written" in texts(await aegis.incident("warning"))

        await aegis.next_day()
        await aegis.spend(20, "call_3")


async def test_a_new_window_resolves_the_incidents_of_the_last(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET) as aegis:
        await aegis.spend(15)
        await aegis.next_day()

        crossed = await aegis.incident("warning")
        assert crossed.status is Status.RESOLVED
        assert "A new day window of the budget everything opened" in texts(crossed)


async def test_a_shutdown_waits_for_its_message_and_ends_with_the_window(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET + "actions: {emergency: [shutdown, slack]}\n") as aegis:
        await aegis.spend(30)
        await aegis.app.actions.turn()
        assert aegis.stopped() == []
        await aegis.app.finish(wait_ms=0)
        crossed = await aegis.incident("emergency")
        told = {d.service: d.state for d in await aegis.app.outbox.of_incident(crossed.id)}

        assert told["slack"] is DeliveryState.DONE
        assert aegis.stopped() == [{}]
        assert texts(crossed).index("slack: told") < texts(crossed).index("shutdown: everything is stopped until")
        with pytest.raises(Stopped, match="budget everything reached its emergency amount"):
            await aegis.spend(1, "call_2")

        await aegis.next_day()
        assert aegis.stopped() == []
        await aegis.spend(1, "call_3")
        log = reversed(await aegis.app.audit.entries())
        turned = [(one.who, one.what, one.facts["scope"]) for one in log if one.what.startswith("switch.")]
        assert turned == [
            ("the budget", f"switch.{word}", "everything") for word in ("stopping", "stopped", "resuming", "resumed")
        ]


async def test_a_service_that_takes_no_message_delays_a_shutdown_by_seconds_only(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET + "actions: {emergency: [shutdown]}\n") as aegis:
        await aegis.spend(30)
        aegis.clock.pass_ms(5_000)
        await aegis.app.actions.turn()

        assert aegis.stopped() == [{}]


async def test_a_shutdown_survives_a_restart_and_still_ends_with_the_window(tmp_path: Path) -> None:
    settings, clock = BUDGET + "actions: {emergency: [shutdown]}\n", FakeClock(NOON)
    async with running(tmp_path, settings, clock) as aegis:
        await aegis.spend(30)
        await aegis.app.finish(wait_ms=0)
    async with running(tmp_path, settings, clock) as aegis:
        await aegis.app.work_events()
        assert aegis.stopped() == [{}]
        assert texts(await aegis.incident("emergency")).count("shutdown:") == 1
    clock.pass_ms(DAY_MS)
    async with running(tmp_path, settings, clock) as aegis:
        await aegis.app._keep_house(clock.now())
        assert aegis.stopped() == []
        await aegis.spend(1, "call_2")


async def test_a_crossing_that_a_crash_cut_off_is_done_at_the_next_start(tmp_path: Path) -> None:
    settings, clock = BUDGET + "actions: {emergency: [shutdown]}\n", FakeClock(NOON)
    async with running(tmp_path, settings, clock) as aegis:
        aegis.app.crossings = Deaf()  # told to the ledger as heard, and never worked
        await aegis.spend(30)
        assert await aegis.app.incidents.recent(10) == []
    async with running(tmp_path, settings, clock) as aegis:
        await aegis.app.finish(wait_ms=0)
        assert aegis.stopped() == [{}]
        assert {one.severity.name for one in await aegis.app.incidents.recent(10)} == {"MEDIUM", "HIGH", "CRITICAL"}


class Deaf(list):  # type: ignore[type-arg]
    """A list that keeps nothing."""

    def append(self, item: object) -> None:
        return


async def test_only_the_scope_of_the_budget_is_stopped(tmp_path: Path) -> None:
    settings = "budgets: {keys: {scope: {key: '*'}, daily: {emergency: 0.05}}}\nactions: {emergency: [shutdown, disable_keys]}\n"
    async with running(tmp_path, settings) as aegis:
        await aegis.spend(5, key="red")
        await aegis.app.finish(wait_ms=0)

        assert aegis.stopped() == [{"key": "red"}]
        with pytest.raises(Stopped):
            await aegis.spend(1, "call_2", key="red")
        await aegis.spend(1, "call_3", key="blue")


async def test_what_a_person_stopped_is_not_resumed_by_a_window(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET + "actions: {emergency: [shutdown]}\n") as aegis:
        await aegis.spend(30)
        await aegis.app.governor.stop({}, "I want it so")
        await aegis.app.finish(wait_ms=0)
        assert "everything was stopped already: I want it so" in texts(await aegis.incident("emergency"))

        await aegis.next_day()
        assert aegis.stopped() == [{}]


async def test_what_a_person_stops_for_his_own_reason_afterwards_stays_stopped(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET + "actions: {emergency: [shutdown]}\n") as aegis:
        await aegis.spend(30)
        await aegis.app.finish(wait_ms=0)
        await aegis.app.governor.stop({}, "and I want it so, too")

        await aegis.next_day()
        assert aegis.stopped() == [{}]


async def test_a_person_may_resume_before_the_window_and_is_not_overruled(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET + "actions: {warning: [shutdown]}\n") as aegis:
        await aegis.spend(15)
        await aegis.app.finish(wait_ms=0)
        await aegis.app.governor.resume({}, "we go on")
        await aegis.app._keep_house(aegis.clock.now())

        await aegis.spend(1, "call_2")
        assert aegis.stopped() == []


async def test_a_budget_that_only_observes_stops_nothing(tmp_path: Path) -> None:
    budget = "budgets: {everything: {mode: observe, daily: {emergency: 0.10}}}\n"
    async with running(tmp_path, budget + "actions: {emergency: [shutdown, throttle]}\n") as aegis:
        await aegis.spend(15)
        await aegis.app.finish(wait_ms=0)

        assert aegis.stopped() == []
        assert "shutdown: not done, the budget only observes" in texts(await aegis.incident("emergency"))


async def test_two_windows_that_need_the_same_stop_keep_it_until_the_last_is_over(tmp_path: Path) -> None:
    budget = "budgets: {everything: {daily: {emergency: 0.30}, monthly: {emergency: 0.30}}}\n"
    async with running(tmp_path, budget + "actions: {emergency: [shutdown]}\n") as aegis:
        await aegis.spend(30)
        await aegis.app.finish(wait_ms=0)
        await aegis.next_day()

        assert aegis.stopped() == [{}]


async def test_rates_are_lowered_until_the_window_resets_also_across_a_restart(tmp_path: Path) -> None:
    settings, clock = BUDGET + "actions: {warning: [reduce_limits], critical: [throttle]}\n", FakeClock(NOON)
    async with running(tmp_path, settings, clock) as aegis:
        assert aegis.room("virustotal") == 4
        await aegis.spend(15)
        await aegis.app.finish(wait_ms=0)
        assert aegis.room("virustotal") == 2
        await aegis.spend(10, "call_2")
        await aegis.app.finish(wait_ms=0)
        assert aegis.room("virustotal") == 1
    async with running(tmp_path, settings, clock) as aegis:
        assert aegis.room("virustotal") == 1
        await aegis.next_day()
        assert aegis.room("virustotal") == 4


async def test_a_channel_that_is_not_configured_is_on_the_timeline_as_not_done(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET + "actions: {warning: [log, email, sms, pagerduty]}\n") as aegis:
        await aegis.spend(15)
        await aegis.app.finish(wait_ms=0)
        crossed = await aegis.incident("warning")

        assert "email: not done, no email under connectors is configured" in texts(crossed)
        assert "sms: not done" in texts(crossed)
        services = {delivery.service for delivery in await aegis.app.outbox.of_incident(crossed.id)}
        assert "pagerduty" in services, "MEDIUM alone does not page; the action does"


async def test_a_lowered_limit_holds_from_the_next_turn_on(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET) as aegis:
        await aegis.spend(8)
        word = Override(
            budget="everything", window="day", level="emergency", amount=usd("0.05"), by="me", at=aegis.clock.now()
        )
        await add(aegis.app.lookups, aegis.app.config.budgets, word)
        await aegis.app._keep_house(aegis.clock.now())

        with pytest.raises(Refused, match=r"of \$0\.05"):
            await aegis.spend(1, "call_2")
        assert (await aegis.app.governor.balances())[0].overrun == usd("0.03")
