"""Reviews: things that people look at every month or quarter, each with an owner and a day on which it is due.

Policy: what was done is due again one period after it was done, not after it was due; the list that is shipped is the first
specification's, word for word in meaning. Nothing here knows time or store.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, Literal, TypeAlias, get_args

from aegis.core.errors import BadInput

Every: TypeAlias = Literal["month", "quarter"]
EVERY: Final[tuple[Every, ...]] = get_args(Every)
MONTHS: Final[dict[Every, int]] = {"month": 1, "quarter": 3}
REVIEWS_MAX: Final = 200
"""More than anybody does in a quarter."""
TITLE_CHARS_MAX, OWNER_CHARS_MAX, HOW_CHARS_MAX = 120, 80, 300
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One of them. `owner` is a contact (or a name); empty: whoever leads. `how` is a command or a page that helps. `done_by`
    is empty while it was never done; `told` is the due day about which its owner was told.
    """

    id: str
    title: str
    every: Every
    due: date
    owner: str = ""
    how: str = ""
    done_at: datetime | None = None
    done_by: str = ""
    told: date | None = None

    def overdue(self, today: date) -> bool:
        """From the day after it was due."""
        return today > self.due


def later(day: date, every: Every) -> date:
    """The same day one period later, or the last of that month."""
    months = day.year * 12 + day.month - 1 + MONTHS[every]
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def done(review: Review, *, at: datetime, by: str) -> Review:
    """The review after somebody did it."""
    return replace(review, done_at=at, done_by=by[:OWNER_CHARS_MAX], due=later(at.date(), review.every))


def named(title: str) -> str:
    """The id of a review from its title: `Review incident reports` is `review-incident-reports`. Raises `BadInput`."""
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:64].strip("-")
    if not _NAME.fullmatch(name):
        raise BadInput("a review needs a title with letters, such as 'Look at the routes'", code="bad_title")
    return name


_MONTHLY: Final = (
    ("Review and update cost thresholds", "aegis budget list; aegis forecast"),
    ("Test emergency shutdown procedures", "aegis drill budget; aegis drill stolen-key"),
    ("Update contact information", "aegis contact list; aegis contact test NAME"),
    ("Review incident reports", "aegis incident list; aegis report incident ID"),
    ("Update monitoring dashboards", "aegis doctor; docs/connectors"),
    ("Test backup and recovery procedures", "aegis drill restore; aegis db verify FILE"),
)
_QUARTERLY: Final = (
    ("Analyze cost trends and adjust limits", "aegis spend --days 90; aegis forecast"),
    ("Improve monitoring coverage", "aegis doctor; aegis drill alert-flood"),
    ("Update emergency procedures", "aegis drill list: what to improve; docs/emergency.md"),
    ("Team training on new procedures", "aegis demo; aegis drill provider-outage"),
    ("Review and update documentation", "your runbooks, beside docs/"),
)


def shipped(today: date) -> tuple[Review, ...]:
    """The lists of the first specification, due one period from today."""
    lists: tuple[tuple[Every, tuple[tuple[str, str], ...]], ...] = (("month", _MONTHLY), ("quarter", _QUARTERLY))
    return tuple(
        Review(id=named(title), title=title, every=every, due=later(today, every), how=how)
        for every, items in lists
        for title, how in items
    )
