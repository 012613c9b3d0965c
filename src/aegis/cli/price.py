"""`aegis price`: what each model and service costs, where that comes from, and taking over a newer price list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.core.prices import Price, PriceBook

LIST_BYTES_MAX = 32 << 20
"""The published list has about 1 MB."""


@click.group(cls=Group, name="price", examples=("aegis price list anthropic", "aegis price diff"))
def group() -> None:
    """Prices: unknown is never free; an explicit zero is."""


@group.command("list", examples=("aegis price list", "aegis price list anthropic --json"))
@click.argument("service", required=False)
@json_option
def list_(service: str | None, as_json: bool) -> None:
    """Every price that holds today, or those of one SERVICE, in USD per million units."""
    today = _today()
    book = _book(session())
    found = [price for price in _all(book, today) if service in (None, price.service)]
    if not found:
        raise BadInput(f"there is no price for {str(service)[:64]}", code="no_such_price")
    if as_json:
        show_json("prices", prices=[_row(price) for price in found])
        return
    for price in found:
        show(f"{price.service:<12} {price.model or '-':<36} {_rates(price)}")


@group.command("explain", examples=("aegis price explain anthropic claude-sonnet-5-5", "aegis price explain athena"))
@click.argument("service")
@click.argument("model", default="")
@click.option("--on", "day", type=click.DateTime(["%Y-%m-%d"]), help="On this day instead of today (UTC).")
@json_option
def explain(service: str, model: str, day: Any, as_json: bool) -> None:
    """What a MODEL of a SERVICE costs, since when, and who says so."""
    from aegis.core.errors import UnknownPrice

    on = day.date() if day else _today()
    try:
        price = _book(session()).price(service, model, on)
    except UnknownPrice as error:
        raise BadInput(str(error), code="no_such_price") from error
    if as_json:
        show_json("price", on=on.isoformat(), **_row(price))
        return
    show(f"{service} {model}: {_rates(price)}".replace(" :", ":"))
    since = "" if price.since == date.min else f", since {price.since.isoformat()}"
    for tier, there in price.tiers.items():
        show(f"  as {tier}: {_rates(there)}")
    show(f"  {price.source or 'listed'}{since}")


@group.command("update", examples=("aegis price update", "aegis price update data.json"))
@click.argument("source", required=False)
@json_option
def update(source: str | None, as_json: bool) -> None:
    """Take over a newer list from SOURCE, a file or an https address; without SOURCE from where the list is published.
    Prices in the configuration still win. It holds from the next start of Aegis on.
    """
    import anyio

    anyio.run(_update, session(), source, as_json)


async def _update(run: Session, source: str | None, as_json: bool) -> None:
    from aegis.governor.pricing import keep_table, table_in_use

    home = run.make_home()
    table = await _table(source or _published_at())
    changes = list(_changes(table_in_use(home), table))
    keep_table(home, table)
    if as_json:
        show_json("price-update", changes=changes)
    else:
        show(f"{len(changes)} models changed; the prices hold from the next start on")


@group.command("diff", examples=("aegis price diff", "aegis price diff data.json --json"))
@click.argument("source", required=False)
@json_option
def diff(source: str | None, as_json: bool) -> None:
    """What `aegis price update SOURCE` would change; without SOURCE, how the list in use differs from the one that came
    with this version of Aegis.
    """
    import anyio

    anyio.run(_diff, session(), source, as_json)


async def _diff(run: Session, source: str | None, as_json: bool) -> None:
    from aegis.governor.pricing import compile_list, table_in_use

    kept = table_in_use(run.make_home())
    changes = list(_changes(kept, await _table(source)) if source else _changes(compile_list(), kept))
    if as_json:
        show_json("price-diff", changes=changes)
        return
    for change in changes:
        show(
            f"{change['service']:<10} {change['model']:<36} {change['meter']:<24} {change['before']} -> {change['after']}"
        )
    if not changes:
        say("No price differs")


async def _table(source: str) -> bytes:
    """The compiled table of a published list. Raises `BadInput` and `ServiceError`."""
    from aegis.governor.pricing import LIST, compile_list

    if "://" in source:
        return compile_list(await _fetched(source), f"{LIST}, taken over {_today().isoformat()}")
    path = Path(source)
    return compile_list(_read(path) or b"null", f"{LIST}, {path.name} of {_today().isoformat()}")


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LIST_BYTES_MAX:
            raise BadInput(f"{path} is larger than any price list", code="too_large")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", code="no_such_file") from error


def _published_at() -> str:
    from genai_prices.update_prices import DEFAULT_UPDATE_URL

    return str(DEFAULT_UPDATE_URL)


async def _fetched(address: str) -> bytes:
    from aegis.app.system import SystemClock
    from aegis.core.errors import ServiceError
    from aegis.core.ports import HttpRequest
    from aegis.transport.http import OutboundHttp

    http = OutboundHttp(clock=SystemClock(), observer=lambda _: None)
    request = HttpRequest(
        service="prices", method="GET", url=address, timeout_ms=60_000, answer_bytes_max=LIST_BYTES_MAX
    )
    try:
        answer = await http.send(request)
    finally:
        await http.close()
    if answer.status != 200:
        raise ServiceError("prices", f"answered {answer.status}", retryable=True, status=answer.status)
    return answer.body or b"null"


def _changes(before: bytes, after: bytes) -> Iterator[dict[str, str]]:
    """Every rate that differs between two tables: model, meter and the prices of today, in USD per million."""
    old, new = _flat(before), _flat(after)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            service, model, meter = key
            yield {
                "service": service,
                "model": model,
                "meter": meter,
                "before": old.get(key, "none"),
                "after": new.get(key, "none"),
            }


def _flat(table: bytes) -> Mapping[tuple[str, str, str], str]:
    from aegis.core.prices import PriceBook
    from aegis.governor.pricing import listed

    rows = _all(PriceBook(listed=list(listed(table))), _today())
    return {
        (one.service, one.model, meter): _tiers(steps)
        for price in rows
        for one in (price, *price.tiers.values())
        for meter, steps in one.rates.items()
    }


def _all(book: PriceBook, day: date) -> Iterator[Price]:
    """Overrides first, as they win; then the listed models."""
    yield from book.overrides.values()
    for entry in book.listed:
        if (entry.service, entry.name) not in book.overrides and (price := entry.on(day)) is not None:
            yield price


def _book(run: Session) -> PriceBook:
    from aegis.governor.pricing import load_prices

    return load_prices(run.make_home(), run.config().prices)


def _row(price: Price) -> dict[str, Any]:
    since = None if price.since == date.min else price.since.isoformat()
    tiers = {tier: _per_million(there) for tier, there in price.tiers.items()}
    row = {"service": price.service, "model": price.model, "rates": _per_million(price)}
    return {**row, "tiers": tiers, "since": since, "source": price.source}


def _per_million(price: Price) -> dict[str, Any]:
    from aegis.core.money import format_usd

    return {
        meter: [{"above_input_tokens": above, "per_million_usd": format_usd(rate)} for above, rate in steps]
        for meter, steps in price.rates.items()
    }


def _rates(price: Price) -> str:
    texts = [f"{meter} {_tiers(tiers)}" for meter, tiers in price.rates.items()]
    return f"{', '.join(texts)} USD per million" if texts else "free"


def _tiers(tiers: tuple[tuple[int, int], ...]) -> str:
    from aegis.core.money import format_usd

    return " / ".join(format_usd(rate) + (f" above {above:,}" if above else "") for above, rate in tiers)


def _today() -> date:
    from aegis.app.system import SystemClock

    return SystemClock().now().date()
