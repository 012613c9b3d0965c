"""What a report is gathered from: the ledger around the incident, its stop, its calls; an estimate says how it was made."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.app.test_budget_actions import BUDGET, Running, running
from tests.app.test_emergency import stop, turn

from aegis.app.reports import PARTS, report_of
from aegis.core.calls import Call
from aegis.core.errors import Refused
from aegis.core.money import usd
from aegis.incidents.report import markdown_of
from aegis.incidents.report_page import page
from aegis.incidents.report_record import Report
from aegis.stores.database import Database
from aegis.stores.reports import SqliteReports

pytestmark = pytest.mark.anyio
HIGH = "budgets: {everything: {daily: {emergency: 9.00}}}\n"


async def spend(aegis: Running, cents: int, number: int, **scope: str) -> None:
    worst = {"input_tokens": cents}
    call = Call(id=f"call_{number}", service="other", operation="ask", models=("m",), worst=worst, scope=scope)
    async with aegis.app.governor.admit(call) as reservation:
        reservation.settle(worst)


async def reported(aegis: Running, incident_id: str) -> Report:
    await aegis.app.governor.tick()
    found = await aegis.app.incidents.get(incident_id)
    assert found is not None
    return await report_of(database_of(aegis), found, aegis.app.config.budgets, now=aegis.clock.now())


def database_of(aegis: Running) -> Database:
    database = aegis.app.events._database  # type: ignore[attr-defined]
    assert isinstance(database, Database)
    return database


def values(rows: Sequence[object]) -> list[tuple[object, ...]]:
    return [(one.value, one.calls, one.cost) for one in rows]  # type: ignore[attr-defined]


async def test_a_stop_is_reported_with_its_curve_who_spent_and_what_was_avoided(tmp_path: Path) -> None:
    async with running(tmp_path, HIGH) as aegis:
        for number in range(6):
            await spend(aegis, 50, number, key="red" if number % 2 else "blue", source="importer")
            aegis.clock.pass_ms(300_000)
        await aegis.app.governor.tick()
        done = await stop(aegis)
        aegis.clock.pass_ms(2 * 3_600_000)
        with pytest.raises(Refused):
            await spend(aegis, 1, 99)
        report = await reported(aegis, done.incident)

        assert report.spend is not None
        assert (report.spend.total, report.spend.calls, report.spend.refused) == (usd("3.00"), 6, 1)
        assert len(report.spend.points) == PARTS
        assert values(report.spend.top["key"]) == [("blue", 3, usd("1.50")), ("red", 3, usd("1.50"))]
        assert values(report.spend.top["source"]) == [("importer", 6, usd("3.00"))]
        assert [one.id for one in report.stops] == [done.id]
        (avoided,) = report.avoided
        assert avoided.amount == usd("3.00") * (2 * 3_600 + 5) // 3_600, "$3.00 an hour for the two hours it stood"
        assert "what the scope cost in the hour before the stop" in avoided.how

        text = markdown_of(report)
        for said in (
            "Spent by everything",
            "| blue | 3 | $1.5000 |",
            "ada applied the plan of ada",
            "aegis recover --stop",
        ):
            assert said in text, said
        assert "<svg" in page(report)
        assert "<svg" not in text


async def test_what_a_budget_refused_is_valued_by_what_was_made(tmp_path: Path) -> None:
    async with running(tmp_path, BUDGET) as aegis:
        await aegis.spend(30)
        for number in range(3):
            with pytest.raises(Refused):
                await spend(aegis, 30, number)
        await aegis.app.governor.tick()
        report = await reported(aegis, (await aegis.incident("emergency")).id)
        assert report.spend is not None
        assert (report.spend.about, report.spend.refused) == ("the budget everything", 3)
        (avoided,) = report.avoided
        assert (avoided.amount, avoided.how) == (
            usd("0.90"), "3 refused calls at $0.3000, the mean of the 1 that were made",
        )  # fmt: skip


async def test_the_root_cause_of_a_return_stands_in_the_report_until_somebody_writes_one(tmp_path: Path) -> None:
    async with running(tmp_path, HIGH) as aegis:
        done = await stop(aegis)
        assert aegis.app.emergency is not None
        await aegis.app.emergency.orders.recover(done.id, by="ada", approver="grace", root_cause="a loop")
        await turn(aegis)
        assert "As it was given for the return: a loop" in markdown_of(await reported(aegis, done.incident))
        kept = SqliteReports(database_of(aegis))
        await kept.write(done.incident, "root-cause", "A loop, and nobody looked.", by="ada", now=aegis.clock.now())
        text = markdown_of(await reported(aegis, done.incident))
        assert "A loop, and nobody looked." in text
        assert "As it was given" not in text
