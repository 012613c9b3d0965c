"""`aegis explain`: why a call was admitted or refused, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.books import books, exact
from aegis.cli.commands import Speaking, json_option
from aegis.cli.session import Session, say, session, show, show_json
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.core.ledger import Row
    from aegis.governor.records import Explanation

LISTED = 20


@click.command(cls=Speaking, name="explain", examples=("aegis explain", "aegis explain call_01J..."))
@click.argument("call_id", required=False)
@json_option
def explain(call_id: str | None, as_json: bool) -> None:
    """Why a call was admitted or refused: for every attempt the gate, and of each budget line limit, settled, held, need
    and when it resets. Without CALL_ID the newest attempts.
    """
    import anyio

    if call_id is None:
        anyio.run(_newest, session(), as_json)
    else:
        anyio.run(_explain, session(), call_id, as_json)


async def _newest(run: Session, as_json: bool) -> None:
    from aegis.core.money import format_usd, show_usd
    from aegis.stores.spending import newest
    from aegis.web.views import stamp

    async with books(run) as here:
        found = await newest(here.database, LISTED)
    if as_json:
        rows = [
            {
                "call": one.call_id,
                "state": one.state,
                "at": stamp(one.at),
                "service": one.service,
                "model": one.model,
                "gate": one.gate,
                "cost_usd": format_usd(one.cost),
            }
            for one in found
        ]
        show_json("attempts", attempts=rows)
        return
    for one in found:
        end = f"refused by {one.gate}" if one.gate else one.state
        show(
            f"{one.call_id:<32} {one.at:%d %b %H:%M:%S} {one.service:<12} {end:<20} {show_usd(one.cost, decimals=4):>12}"
        )
    if not found:
        say("No call was asked for yet")


async def _explain(run: Session, call_id: str, as_json: bool) -> None:
    async with books(run) as here:
        entries = await here.ledger.attempts(call_id)
        numbers = sorted({row for entry in entries for rows, _ in entry.holds for row in rows})
        held = {row.id: row for row in await here.ledger.numbered(numbers)}
        explanations = await here.account.explain(call_id)
        units = {budget.name: budget.unit for budget in here.written}
    if not entries:
        raise BadInput(f"there is no call {call_id[:64]}; `aegis explain` shows the newest", code="no_such_call")
    needs = [{row: need for rows, need in entry.holds for row in rows} for entry in entries]
    found = [
        _attempt(explanation, units, [_line(held[row], need) for row, need in of.items() if row in held])
        for explanation, of in zip(explanations, needs, strict=True)
    ]
    if as_json:
        show_json("explanation", call=call_id, attempts=found)
        return
    for attempt in found:
        _show_attempt(attempt)


def _attempt(why: Explanation, units: Mapping[str, str], lines: list[dict[str, Any]]) -> dict[str, Any]:
    """One attempt as data. Lines of an admitted one stand as they are now, that of a refused one as it stood then."""
    from aegis.core.money import format_usd
    from aegis.web.views import stamp

    if "line" in why.refusal:
        after_ms = why.refusal.get("retry_after_ms")
        then = {name: why.refusal[name] for name in ("line", "limit", "settled", "held", "need")}
        resets_at = None if after_ms is None else stamp(why.at + timedelta(milliseconds=after_ms))
        lines = [{**then, "unit": units.get(why.refusal["budget"], "usd"), "resets_at": resets_at}]
    return {
        "attempt": why.attempt,
        "state": why.state,
        "at": stamp(why.at),
        "service": why.service,
        "model": why.model,
        "operation": why.operation,
        "scope": dict(why.scope),
        "priority": why.priority,
        "gate": why.gate,
        "message": why.message,
        "worst_usd": format_usd(why.worst),
        "cost_usd": format_usd(why.cost),
        "usage": dict(why.usage),
        "lines": lines,
    }


def _line(row: Row, need: int) -> dict[str, Any]:
    """A line that an attempt reserved something of."""
    from aegis.web.views import stamp

    part = f" [{row.part}]" if row.part else ""
    share = f", kept for {row.share} and up" if row.share else ""
    return {
        "line": f"{row.budget}{part} ({row.kind} {row.window}{share})",
        "limit": row.limit,
        "settled": row.settled,
        "held": row.leased,
        "need": need,
        "unit": row.unit,
        "resets_at": None if row.rolling else stamp(datetime.fromtimestamp(row.ends_ms // 1_000, UTC)),
    }


def _show_attempt(attempt: Mapping[str, Any]) -> None:
    what = " ".join(word for word in (attempt["service"], attempt["model"], attempt["operation"]) if word)
    end = f"refused by the gate {attempt['gate']}" if attempt["gate"] else attempt["state"]
    show(f"{attempt['at']}  {what}: {end}, held {attempt['worst_usd']} USD, cost {attempt['cost_usd']} USD")
    if attempt["message"]:
        show(f"  {attempt['message']}")
    for line in attempt["lines"]:
        figures = ", ".join(
            f"{name} {exact(line[name], line['unit'])}" for name in ("limit", "settled", "held", "need")
        )
        show(f"  {line['line']}: {figures}; resets {line['resets_at'] or 'as time goes on'}")
