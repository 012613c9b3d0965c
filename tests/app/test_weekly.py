"""Claims about the weekly mail: at its hour, once, late rather than never, and the same mail when it is handed in again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.app.weekly import LATE_MAX, WeeklyMail
from aegis.config.settings import WeeklySettings
from aegis.core.costs import CostReport, Counted, IncidentCount, Recorded, WeekInCosts
from aegis.core.errors import Billed, ServiceError
from aegis.core.outlets import Written
from aegis.core.prices import PriceBook
from aegis.finance.costs import cost_report
from aegis.finance.weekly import last_due, written
from aegis.stores.database import Database
from aegis.stores.lookups import SqliteLookups

pytestmark = pytest.mark.anyio
MONDAY = datetime(2026, 3, 2, 7, tzinfo=UTC)
WEEKLY = WeeklySettings(to=("boss@example.com",), weekday=0, minute=7 * 60, zone="UTC")


@dataclass
class Box:
    """A mailbox that remembers, and can be shut."""

    got: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    shut: bool = False

    async def deliver(self, report: Written, to: Sequence[str]) -> str:
        if self.shut:
            raise ServiceError("email", "shut", retryable=True, billed=Billed.NO)
        self.got.append((report.key, tuple(to)))
        return ""


def costs(now: datetime) -> CostReport:
    first = now.date() - timedelta(days=7)
    found = Recorded(
        days={first: {"anthropic": Counted(calls=3, cost=2_000_000_000)}},
        routes={},
        gates={},
        by={"key": {"<b>red</b>": Counted(calls=3, cost=2_000_000_000)}},
        served=(),
        analyses=Counted(),
        incidents=IncidentCount(by_severity={"HIGH": 2}, detections={"HIGH": 9}),
        emergencies=0,
    )
    return cost_report(found, PriceBook(), first=first, last=now.date() - timedelta(days=1), now=now)


async def week(now: datetime) -> WeekInCosts:
    return WeekInCosts(week=costs(now), before=4_000_000_000, forecasts=())


async def mailer(tmp_path: Path, box: Box) -> tuple[WeeklyMail, Database]:
    database = await Database.open(tmp_path / "aegis.db")
    return WeeklyMail(settings=WEEKLY, mailbox=box, lookups=SqliteLookups(database), week=week), database


async def test_it_leaves_once_a_week_at_its_hour(tmp_path: Path) -> None:
    box = Box()
    mail, database = await mailer(tmp_path, box)
    for hour in range(-3, 24 * 15):  # two weeks and a day, looked at every hour
        await mail.tick(MONDAY + timedelta(hours=hour))
    await database.close()

    assert [to for _, to in box.got] == [("boss@example.com",)] * 3
    assert len({key for key, _ in box.got}) == 3


async def test_the_first_look_sends_nothing_of_a_week_that_nobody_asked_for(tmp_path: Path) -> None:
    box = Box()
    mail, database = await mailer(tmp_path, box)
    await mail.tick(MONDAY + timedelta(hours=1))
    await database.close()

    assert box.got == []


async def test_a_mail_that_was_not_taken_is_the_same_mail_when_it_is_tried_again(tmp_path: Path) -> None:
    box = Box()
    mail, database = await mailer(tmp_path, box)
    await mail.tick(MONDAY - timedelta(hours=1))
    box.shut = True
    with pytest.raises(ServiceError):
        await mail.tick(MONDAY)
    box.shut = False
    await mail.tick(MONDAY + timedelta(minutes=1))
    await mail.tick(MONDAY + timedelta(minutes=2))
    await database.close()

    assert [key for key, _ in box.got] == [written(await week(MONDAY), f"weekly {MONDAY.isoformat()}").key]


async def test_one_that_is_days_late_is_left_out(tmp_path: Path) -> None:
    box = Box()
    mail, database = await mailer(tmp_path, box)
    await mail.tick(MONDAY - timedelta(hours=1))
    await mail.tick(MONDAY + LATE_MAX + timedelta(minutes=1))
    await database.close()

    assert box.got == []


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone follows
    st.integers(0, 6),
    st.integers(0, 1439),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland"]),
)
def test_the_newest_due_moment_is_on_that_day_at_that_hour_within_the_last_week(
    now: datetime, weekday: int, minute: int, zone: str
) -> None:
    due = last_due(now, weekday=weekday, minute=minute, zone=zone)

    wall = due.astimezone(ZoneInfo(zone))
    assert timedelta() <= now - due < timedelta(days=7, hours=2)  # a week with a change of clocks is longer
    assert wall.weekday() == weekday
    assert abs(wall.hour * 60 + wall.minute - minute) <= 60  # an hour that the clocks skip is taken after it


async def test_the_mail_says_how_the_week_went_and_keeps_hostile_names_inert() -> None:
    made = written(await week(MONDAY), "k")

    assert made.title == "Aegis, the week of 2026-02-23: $2.0000"
    assert "$2.0000, 50 % less than the week before ($4.0000); 2 incidents." in made.text
    assert "<b>" not in made.html
    assert "\\<b>" in made.text
    assert "<script" not in made.html
