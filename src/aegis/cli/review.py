"""`aegis review`: what people look at every month or quarter, who owns it, and when it is due."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import Session, session, show, show_json

if TYPE_CHECKING:
    from aegis.core.escalations import Roster
    from aegis.core.reviews import Review
    from aegis.stores.database import Database


@click.group(
    cls=Group,
    name="review",
    examples=("aegis review list", "aegis review done test-emergency-shutdown-procedures", "aegis review add TITLE"),
)
def group() -> None:
    """Monthly and quarterly reviews: thresholds, contacts, drills, backups, ... Who owns one that is overdue is told once by a
    running Aegis; aegis doctor shows it.
    """


@group.command("list")
@click.option("--overdue", is_flag=True, help="Only those that are overdue.")
@json_option
def list_(overdue: bool, as_json: bool) -> None:
    """Every review: when it is due, who owns it, when it was done."""
    import anyio

    anyio.run(_list, session(), overdue, as_json)


@group.command("done", examples=("aegis review done update-contact-information --by grace",))
@click.argument("name")
@click.option("--by", default="", metavar="NAME", help="Who did it; whoever runs this unless said.")
@json_option
def done(name: str, by: str, as_json: bool) -> None:
    """NAME was done today: it is due again in a month or a quarter."""
    import anyio

    anyio.run(_done, session(), name, by, as_json)


@group.command(
    "add",
    examples=(
        "aegis review add 'Look at the routes' --every quarter --owner grace --due 2027-01-15",
        "aegis review add 'Update contact information' --owner grace",
    ),
)
@click.argument("title")
@click.option("--every", type=click.Choice(["month", "quarter"]), help="How often; a month for a new one.")
@click.option("--owner", default=None, metavar="CONTACT", help="Who does it; whoever leads unless said.")
@click.option(
    "--due", default="", metavar="DAY", help="When it is due first: 2027-01-15; one period from today unless said."
)
@click.option("--how", default=None, metavar="TEXT", help="A command or a page that helps.")
@json_option
def add(title: str, every: str | None, owner: str | None, due: str, how: str | None, as_json: bool) -> None:
    """Put a review on the list, or give a known one another owner, rhythm or day."""
    import anyio

    anyio.run(_add, session(), title, {"every": every, "owner": owner, "how": how}, due, as_json)


async def _list(run: Session, only_overdue: bool, as_json: bool) -> None:
    from aegis.app.reviewing import on_record
    from aegis.stores.reviews import SqliteReviews

    now, roster = _now(run), run.config().roster
    async with _store(run) as database:
        found = await on_record(SqliteReviews(database), now)
    rows = [_row(one, roster, now.date()) for one in found]
    rows = [row for row in rows if row["overdue"] or not only_overdue]
    if as_json:
        show_json("reviews", reviews=rows)
        return
    for row in rows:
        state = f"OVERDUE since {row['due']}" if row["overdue"] else f"due {row['due']}"
        last = f"done {row['done_at'][:10]} by {row['done_by']}" if row["done_at"] else "never done"
        show(f"{row['id']:<40} {state:<26} {row['every']:<8} {row['owner'] or 'nobody':<16} {last}")
        if row["overdue"] and row["how"]:
            show(f"    {row['how']}")
    if not rows:
        show("Nothing is overdue." if only_overdue else "There is no review.")


async def _done(run: Session, name: str, by: str, as_json: bool) -> None:
    from aegis.cli.books import who
    from aegis.core.reviews import done as made

    now = _now(run)

    def change(found: Review | None) -> Review:
        return made(_known(found, name), at=now, by=by or who(run))

    await _changed(run, name, change, "review.done", now, as_json=as_json)


async def _add(run: Session, title: str, wanted: dict[str, str | None], due: str, as_json: bool) -> None:
    from dataclasses import replace

    from aegis.core.reviews import HOW_CHARS_MAX, OWNER_CHARS_MAX, TITLE_CHARS_MAX, Every, Review, later, named

    now = _now(run)
    name = named(title)
    given: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
    given |= {"owner": given["owner"][:OWNER_CHARS_MAX]} if "owner" in given else {}
    given |= {"how": given["how"][:HOW_CHARS_MAX]} if "how" in given else {}
    given |= {"due": _day(due)} if due else {}

    def change(found: Review | None) -> Review:
        if found is not None:
            return replace(found, **given)
        every: Every = given.get("every", "month")
        fresh = Review(id=name, title=title.strip()[:TITLE_CHARS_MAX], every=every, due=later(now.date(), every))
        return replace(fresh, **given)

    await _changed(run, name, change, "review.added", now, as_json=as_json)


async def _changed(run: Session, name: str, change: Any, what: str, now: datetime, *, as_json: bool) -> None:
    """Change one review, note who did it, and show it."""
    from aegis.app.auditing import audit_of
    from aegis.app.reviewing import on_record
    from aegis.app.system import SystemClock
    from aegis.cli.books import who
    from aegis.stores.reviews import SqliteReviews

    config = run.config()
    async with _store(run) as database:
        kept = SqliteReviews(database)
        found = next((one for one in await on_record(kept, now) if one.id == name), None)
        after: Review = change(found)
        await kept.put(after)
        facts = {"review": after.id, "due": after.due.isoformat(), "owner": after.owner}
        await audit_of(config, run.home, database, SystemClock()).note(who(run), what, facts)
    row = _row(after, config.roster, now.date())
    if as_json:
        show_json("review", **row)
    else:
        show(f"{row['id']}: every {row['every']}, due {row['due']}, {row['owner'] or 'nobody'}")


def _known(found: Review | None, name: str) -> Review:
    from aegis.core.errors import BadInput

    if found is None:
        raise BadInput(f"there is no review {name[:64]}; aegis review list shows them", code="no_such_review")
    return found


def _row(review: Review, roster: Roster, today: date) -> dict[str, Any]:
    from aegis.app.reviewing import owner_name
    from aegis.core.wording import rfc3339

    return {
        "id": review.id,
        "title": review.title,
        "every": review.every,
        "due": review.due.isoformat(),
        "overdue": review.overdue(today),
        "owner": owner_name(review, roster),
        "how": review.how,
        "done_at": rfc3339(review.done_at) if review.done_at else None,
        "done_by": review.done_by,
    }


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.UsageError("--due is a day such as 2027-01-15") from None


def _now(run: Session) -> datetime:
    from aegis.app.system import SystemClock

    return (run.machine.clock if run.machine else SystemClock()).now()


@asynccontextmanager
async def _store(run: Session) -> AsyncIterator[Database]:
    """The store of this session, made if need be; also while Aegis runs."""
    from aegis.stores.database import Database

    database = await Database.open(run.config().store.path(run.make_home()))
    try:
        yield database
    finally:
        await database.close()
