"""One total everywhere: ledger, API, command line, dashboard, cost report and FOCUS are equal to the nano-dollar."""

import csv
import io
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from tests.cli.running import place
from tests.web.faces import Face, faced

from aegis.app.costs import costs_of
from aegis.app.exporting import charges_of
from aegis.core.calls import Call, Priority
from aegis.core.errors import Refused
from aegis.core.sheets import csv_lines
from aegis.finance.focus import columns, rows

pytestmark = pytest.mark.anyio
ODD = {"input_tokens": 101, "output_tokens": 37, "cache_read_tokens": 13}
"""Amounts that come to no round number of anything."""


async def spend(face: Face) -> None:
    """Calls of several models, keys and teams; one fails with unknown usage, one is refused."""
    for number, (model, key) in enumerate(
        [
            ("claude-haiku-5-5", "red"),
            ("claude-sonnet-5-5", "blue"),
            ("claude-haiku-5-5", ""),
            ("claude-sonnet-5-5", "red"),
        ]
    ):
        call = Call(
            id=f"call-{number}",
            service="anthropic",
            operation="messages",
            models=(model,),
            worst={**ODD, "output_tokens": 400},
            scope={"key": key, "team": "t"} if key else {},
            priority=Priority.HIGH,
        )
        with suppress(ValueError, Refused):
            async with face.app.governor.admit(call) as reservation:
                if number == 2:
                    raise ValueError("the answer was lost: nobody knows what it used")
                reservation.settle({meter: units + number for meter, units in ODD.items()})
    with suppress(Refused):
        async with face.app.governor.admit(
            Call(id="too-much", service="anthropic", operation="messages", models=("nobody-knows",), worst=ODD)
        ):
            pass
    await face.app.governor.tick()


async def json_of(face: Face, path: str) -> dict[str, object]:
    async with face.client.get(f"{face.address}{path}", headers=face.bearer) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, object] = await answer.json()
        return found


async def totals(face: Face) -> dict[str, str]:
    """What each of them says that was spent today."""
    app, now = face.app, face.app.clock.now()
    watch = app.spendwatch
    assert watch is not None
    database, prices = watch.hours.database, app.governor.prices
    ledger = sum(one.cost for one in await app.governor.spent(now.date()))
    focus = csv_lines(
        columns("1.2"), rows(await charges_of(database, prices, now.date(), now.date()), "1.2", account="a")
    )
    async with face.client.get(f"{face.address}/spend?span=24h", headers=face.bearer) as answer:
        page = await answer.text()
    shown = re.search(r'<data value="([0-9.]+)">', page)
    assert shown, "the page says its total exactly"
    balances = await app.governor.balances()
    everything = next(line.settled for line in balances if line.budget == "everything" and line.window == "day")
    return {
        "ledger": str(Decimal(ledger).scaleb(-9)),
        "budget": str(Decimal(everything).scaleb(-9)),
        "api spend": str((await json_of(face, "/api/spend"))["total_usd"]),
        "api spend by key and model": str((await json_of(face, "/api/spend?by=key,model"))["total_usd"]),
        "api costs": str((await json_of(face, "/api/costs?days=1"))["total_usd"]),
        "cost report": str(Decimal((await costs_of(database, prices, now, 1)).total.cost).scaleb(-9)),
        "focus": str(_sum(list(focus))),
        "dashboard": shown[1],
    }


def _sum(lines: Sequence[str]) -> Decimal:
    return sum((Decimal(row["BilledCost"]) for row in csv.DictReader(io.StringIO("".join(lines)))), Decimal())


MORE = "budgets: {everything: {scope: all, daily: {warning: 5, critical: 8, emergency: 10}}}\n"


async def test_every_total_is_the_same_to_the_nano_dollar(tmp_path: Path) -> None:
    async with faced(tmp_path, MORE) as face:
        await spend(face)
        found = {name: Decimal(total) for name, total in (await totals(face)).items()}

    assert len(set(found.values())) == 1, found
    assert found["ledger"] > 0
    assert found["ledger"] != round(found["ledger"], 6), "the amount is odd enough to tell rounding"


async def test_the_command_line_says_the_same(tmp_path: Path) -> None:
    async with faced(tmp_path, MORE) as face:
        await spend(face)
        found = await totals(face)
    (tmp_path / "cli").mkdir()
    here = place(tmp_path / "cli")
    here.home.mkdir(mode=0o700, exist_ok=True)
    (here.home / "aegis.db").write_bytes((tmp_path / "aegis.db").read_bytes())
    said = await anyio.to_thread.run_sync(lambda: here.run("spend", "--json").stdout)

    assert Decimal(json.loads(said)["total_usd"]) == Decimal(found["ledger"])
