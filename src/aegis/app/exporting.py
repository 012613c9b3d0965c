"""Exports from a store: the bill as FOCUS, the journal as rows, incidents as OCSF findings and CloudEvents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from aegis import __version__
from aegis.core.charges import Charge, EndedAttempt
from aegis.core.money import format_usd
from aegis.core.prices import PriceBook
from aegis.core.wording import rfc3339
from aegis.finance.charges import Charges
from aegis.incidents import cloudevents, ocsf
from aegis.incidents.compose import document
from aegis.stores.attempts import attempts, day_totals, incidents
from aegis.stores.database import Database

CALL_COLUMNS: Final = (
    "at", "ended_at", "call", "attempt", "state", "service", "model", "model_requested", "operation", "priority", "cost_usd",
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "requests",
    "key", "team", "source", "severity", "purpose", "incident", "gate", "message",
)  # fmt: skip
_METERS: Final = tuple(name for name in CALL_COLUMNS if name.endswith("_tokens") or name == "requests")
_SCOPE: Final = ("key", "team", "source", "severity", "purpose", "incident")


def span_of(first: date, last: date) -> tuple[datetime, datetime]:
    """The moments, in UTC, at which the days from `first` to `last` begin and end."""
    return datetime.combine(first, time(), UTC), datetime.combine(last + timedelta(days=1), time(), UTC)


async def charges_of(database: Database, prices: PriceBook, first: date, last: date) -> Sequence[Charge]:
    """Every charge of the days `first` to `last` (UTC); they add up to the ledger's own total. Raises `StoreError`."""
    found = Charges(prices)
    async for page in attempts(database, *span_of(first, last)):
        found.add(page)
    found.level(await day_totals(database, first, last))
    return found.of()


async def call_rows(database: Database, first: date, last: date) -> AsyncIterator[Iterator[Mapping[str, Any]]]:
    """The journal as rows, in pages: money as decimal text, times RFC 3339. Raises `StoreError`."""
    async for page in attempts(database, *span_of(first, last)):
        yield map(_call, page)


async def incident_documents(
    database: Database, first: date, last: date, form: str, *, source: str
) -> AsyncIterator[Iterator[Mapping[str, Any]]]:
    """Incidents that opened in these days, in pages: `ocsf`, `cloudevents` (their timelines), or `json` (`aegis.incident/1`).
    Raises `StoreError`.
    """
    async for page in incidents(database, *span_of(first, last)):
        match form:
            case "ocsf":
                yield (ocsf.finding(one, product_version=__version__) for one in page)
            case "cloudevents":
                yield (event for one in page for event in cloudevents.events(one, source=source))
            case _:
                yield (document(one) for one in page)


def _call(one: EndedAttempt) -> Mapping[str, Any]:
    return {
        "at": rfc3339(one.at),
        "ended_at": rfc3339(one.ended_at),
        "call": one.call_id,
        "attempt": one.attempt,
        "state": one.state,
        "service": one.service,
        "model": one.model,
        "model_requested": one.wanted or one.model,
        "operation": one.operation,
        "priority": one.priority,
        "cost_usd": format_usd(one.cost),
        **{meter: one.usage.get(meter, 0) for meter in _METERS},
        **{name: one.scope.get(name, "") for name in _SCOPE},
        "gate": one.gate,
        "message": one.message,
    }
