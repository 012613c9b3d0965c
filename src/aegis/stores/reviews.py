"""The reviews of record."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date
from typing import Any

from aegis.core.errors import BadInput
from aegis.core.reviews import REVIEWS_MAX, Review
from aegis.stores.database import Database
from aegis.stores.queries import read_queries
from aegis.stores.times import from_us, to_us

Q = read_queries("reviews")


class SqliteReviews:
    """Every method raises `StoreError` when the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, reviews: Sequence[Review]) -> None:
        """Put reviews on record that are not there yet."""
        rows = [_row(review) for review in reviews]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(Q["begin"], rows)

        await self._database.write(work)

    async def put(self, review: Review) -> None:
        """Keep a review as it is now. Raises `BadInput` for one too many."""
        row = _row(review)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(Q["put"], row)
            if len(connection.execute(Q["all"], {"limit": REVIEWS_MAX + 1}).fetchall()) > REVIEWS_MAX:
                raise BadInput(f"there are {REVIEWS_MAX} reviews already", code="too_many")

        await self._database.write(work)

    async def told(self, review: Review) -> None:
        """Its owner was told about this due day."""
        row = {"id": review.id, "due": review.due.isoformat()}
        await self._database.write(lambda connection: connection.execute(Q["told"], row))

    async def all(self) -> Sequence[Review]:
        """Every review, the one that is due first before the others."""
        rows = await self._database.read(lambda c: c.execute(Q["all"], {"limit": REVIEWS_MAX}).fetchall())
        return [
            Review(
                id=name,
                title=title,
                every=every,
                due=date.fromisoformat(due),
                owner=owner,
                how=how,
                done_at=None if done_us is None else from_us(done_us),
                done_by=done_by,
                told=date.fromisoformat(told) if told else None,
            )
            for name, title, every, due, owner, how, done_us, done_by, told in rows
        ]


def _row(review: Review) -> dict[str, Any]:
    return {
        "id": review.id,
        "title": review.title,
        "every": review.every,
        "due": review.due.isoformat(),
        "owner": review.owner,
        "how": review.how,
        "done_us": None if review.done_at is None else to_us(review.done_at),
        "done_by": review.done_by,
        "told": review.told.isoformat() if review.told else "",
    }
