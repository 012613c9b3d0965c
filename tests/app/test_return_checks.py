"""What is looked at before a return keeps it from beginning, and what a stop left undone is done newest and worst first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.app.test_budget_actions import BUDGET, Running, running
from tests.app.test_emergency import stop, turn
from tests.incidents.stage import NOON, detection, incident

from aegis.app.emergency import STOP_WHY, Checklist, Telling
from aegis.app.trying import Tried
from aegis.core.calls import Call
from aegis.core.incidents import AnalysisSource, Incident, Severity
from aegis.core.stops import Grade, Plan, Stop
from aegis.incidents.offline import analyse_offline

pytestmark = pytest.mark.anyio


async def asked_back(aegis: Running, done: Stop) -> Stop:
    assert aegis.app.emergency is not None
    await aegis.app.emergency.orders.recover(done.id, by="ada", approver="grace", root_cause="a loop")
    await turn(aegis)
    return await aegis.app.emergency.parts.stops.get(done.id)


async def test_a_call_from_before_the_stop_without_an_end_keeps_it_stopped_until_it_has_one(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET) as aegis:
        call = Call(id="call_1", service="other", operation="ask", models=("m",), worst={"input_tokens": 2})
        async with aegis.app.governor.admit(call) as reservation:
            aegis.clock.pass_ms(1_000)
            done = await stop(aegis, Grade.G1)  # G2 ends it at its worst case
            back = await asked_back(aegis, done)
            assert (back.state, back.ramp) == ("stopped", None)
            assert "1 calls from before it have no end yet" in back.said[-1][1]
            reservation.settle({"input_tokens": 1})
        await aegis.app.governor.tick()
        assert (await asked_back(aegis, done)).ramp is not None


async def test_what_runs_again_by_itself_keeps_it_stopped(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET) as aegis:
        done = await stop(aegis)
        await aegis.app.governor.resume({}, "by mistake")
        back = await asked_back(aegis, done)
        assert back.state == "stopped"
        assert "not stopped: admissions of everything" in back.said[-1][1]


@pytest.mark.parametrize(("ok", "ramped"), [(False, False), (True, True)], ids=["refused", "taken"])
async def test_a_key_that_its_service_does_not_take_keeps_it_stopped(tmp_path: Path, ok: bool, ramped: bool) -> None:
    async with running(tmp_path, BUDGET) as aegis:
        emergency = aegis.app.emergency
        assert emergency is not None

        async def ask() -> Sequence[Tried]:
            return [Tried(service="slack", ok=ok, asked=True, text="invalid_auth")]

        found = await Checklist(
            parts=emergency.parts,
            governor=aegis.app.governor,
            outbox=aegis.app.outbox,
            incidents=aegis.app.incidents,
            ask=ask,
        ).after(await stop(aegis))
        assert [(check.name, check.good, check.blocking) for check in found] == [
            ("keys", ramped, True), ("providers", True, True),
        ]  # fmt: skip


def left(number: int, severity: Severity, why: str = STOP_WHY) -> Incident:
    made = incident(detection(severity=severity, entity=f"203.0.113.{number}"))
    at = NOON + timedelta(minutes=number)
    analysis = replace(analyse_offline(made, why=why, at=at), source=AnalysisSource.OFFLINE)
    return replace(made, id=f"inc_{number}", severity=severity, opened_at=at, analysis=analysis)


@dataclass
class Waiting:
    """`Incidents` and the pipeline: what is unresolved, and what is done again."""

    found: Sequence[Incident]
    again: Sequence[Incident] = ()

    async def unresolved(self) -> Sequence[Incident]:
        return self.found

    def redo(self, incidents: Sequence[Incident]) -> None:
        self.again = incidents


async def test_what_was_left_undone_is_taken_up_worst_first_and_newest_first_by_its_share() -> None:
    high, critical = Severity.HIGH, Severity.CRITICAL
    there = Waiting(
        [
            *(left(number, high) for number in range(1, 8)),
            *(left(number, critical) for number in range(11, 14)),
            left(20, high, "the budget is used up"),
            left(21, Severity.MEDIUM),
        ]
    )
    unused: Any = None
    telling = Telling(there, there, unused)  # type: ignore[arg-type]
    plan = Plan(id="stp_1", grade=Grade.G1, scope={}, reason="x", by="ada", at_ms=0)
    done = Stop(plan=plan, hashed="", incident="inc_1")
    expected = ["inc_13", "inc_12", "inc_11", "inc_7", "inc_6", "inc_5", "inc_4", "inc_3", "inc_2"]
    for share, count in ((10, 1), (50, 5), (100, 9)):
        assert await telling.replay(done, share) == count
        assert [one.id for one in there.again] == expected[:count], share
