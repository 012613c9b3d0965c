"""Whoever owns a review that is overdue is told once, quietly."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aegis.app.reviewing import Reviewing, on_record, owner_name
from aegis.core.contacts import Contact
from aegis.core.errors import ServiceError
from aegis.core.escalations import Roster
from aegis.core.notifications import Notification, Receipt
from aegis.core.reviews import done
from aegis.stores.database import Database
from aegis.stores.reviews import SqliteReviews

pytestmark = pytest.mark.anyio
NOVEMBER = datetime(2026, 11, 21, 12, tzinfo=UTC)
JANUARY = NOVEMBER + timedelta(days=45)
MAIL, PHONE = "lead@example.com", "+15550100"


class Way:
    """A way to one person that remembers what it carried."""

    def __init__(self, name: str) -> None:
        self.name, self.said, self.away = name, list[tuple[str, str]](), False

    def accepts(self, to: str) -> bool:
        return bool(to)

    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt:
        if self.away:
            raise ServiceError(self.name, "is away", retryable=True)
        self.said.append((to, notification.title))
        return Receipt()


ROSTER = Roster(
    contacts={
        "finance": Contact(name="finance", addresses={"email": "finance@example.com"}),
        "lead": Contact(name="lead", addresses={"email": MAIL, "phone": PHONE}, roles=frozenset({"lead"})),
    }
)


async def test_the_owner_hears_of_an_overdue_review_once(tmp_path: Path) -> None:
    database, mail, phone = await Database.open(tmp_path / "aegis.db"), Way("email"), Way("phone")
    kept = SqliteReviews(database)
    ways = {"email": mail, "phone": phone}
    watch = Reviewing(kept, roster=ROSTER, messengers=lambda: ways, new_id=lambda kind: f"{kind}_1")
    await watch.tick(NOVEMBER)
    assert not mail.said

    mail.away = True
    await watch.tick(JANUARY)
    mail.away = False
    for _ in range(3):
        await watch.tick(JANUARY)
    assert len(mail.said) == 6, "the monthly ones; the quarter is not over"
    assert {to for to, _ in mail.said} == {MAIL}
    assert not phone.said, "a review rings for nobody"

    first = (await kept.all())[0]
    await kept.put(done(first, at=JANUARY, by="ada"))
    await watch.tick(JANUARY + timedelta(days=32))
    assert [title for _, title in mail.said].count(f"a review is overdue: {first.title}") == 2
    await database.close()


async def test_what_is_on_record_stays_as_people_left_it(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "aegis.db")
    kept = SqliteReviews(database)
    first = (await on_record(kept, NOVEMBER))[0]
    await kept.put(done(first, at=NOVEMBER + timedelta(days=3), by="ada"))

    again = {one.id: one for one in await on_record(kept, JANUARY)}
    assert len(again) == 11
    assert again[first.id].done_by == "ada"
    assert owner_name(again[first.id], ROSTER) == "lead"
    assert owner_name(again[first.id], Roster()) == ""
    await database.close()
