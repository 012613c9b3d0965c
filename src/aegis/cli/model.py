"""`aegis model`: which models are asked for what, and which one a prompt would get, at which price, from which budget."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import Session, session, show, show_json
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.cli.books import Books
    from aegis.core.calls import Call
    from aegis.core.prices import PriceBook

PROMPT_CHARS_MAX = 4 << 20
"""Of stdin: more than any model reads."""
SEVERITIES = ("HIGH", "CRITICAL")
"""The severities for which a model is asked at all."""


@click.group(cls=Group, name="model", examples=("aegis model list", 'aegis model explain "What happened here?"'))
def group() -> None:
    """Models: candidates in order of preference, the first that every gate lets through."""


@group.command("list", examples=("aegis model list", "aegis model list --json"))
@json_option
def list_(as_json: bool) -> None:
    """The models that the configuration names, what they are for, and what they cost."""
    from aegis.app.opening import analysis_policy
    from aegis.governor.pricing import load_prices

    run = session()
    config = run.config()
    asked, book = analysis_policy(config).models, load_prices(run.make_home(), config.prices)
    rows = [
        {
            "service": name,
            "part": part,
            "model": model,
            "asked_for": [s.name for s, models in asked.items() if name == "anthropic" and model in models],
            "price": _price(book, name, model),
        }
        for name, service in config.services.items()
        for part, model in service.models.items()
    ]
    if as_json:
        show_json("models", models=rows)
        return
    for row in rows:
        use = f"{row['part']} ({', '.join(row['asked_for']) or 'on request'})"
        show(f"{row['service']:<10} {row['model']:<24} {use:<32} {row['price']}")


@group.command(
    "explain",
    examples=(
        'aegis model explain "What happened here?"',
        "aegis model explain --severity CRITICAL --json < prompt.txt",
    ),
)
@click.argument("prompt", required=False)
@click.option("--severity", type=click.Choice(SEVERITIES, case_sensitive=False), default="HIGH", show_default=True)
@click.option("--output-tokens", type=click.IntRange(1, 1_000_000), help="The cap of the answer.")
@json_option
def explain(prompt: str | None, severity: str, output_tokens: int | None, as_json: bool) -> None:
    """Which model PROMPT (or stdin) would get for a severity, what that could cost at most, and which budget line would
    refuse. Nothing is asked and nothing is spent.
    """
    import anyio

    text = prompt if prompt is not None else sys.stdin.read(PROMPT_CHARS_MAX)
    anyio.run(_explain, session(), text, severity.upper(), output_tokens, as_json)


async def _explain(run: Session, prompt: str, severity: str, output_tokens: int | None, as_json: bool) -> None:
    from aegis.app.opening import analysis_policy
    from aegis.cli.books import books
    from aegis.connectors.anthropic import FRAMING_TOKENS, NAME, tokens_bound
    from aegis.core.calls import Call, Priority
    from aegis.core.incidents import Severity
    from aegis.governor.pricing import load_prices
    from aegis.governor.selection import candidates

    policy = analysis_policy(run.config())
    models = policy.models.get(Severity[severity], ())
    if not models:
        raise BadInput(f"no model is configured for {severity}; set services.anthropic.models", code="no_such_model")
    call = Call(
        id="explain",
        service=NAME,
        operation="analyse",
        models=models,
        worst={
            "input_tokens": tokens_bound(prompt) + FRAMING_TOKENS,
            "output_tokens": output_tokens or policy.output_tokens_max,
        },
        scope={"purpose": "incident", "severity": severity},
        priority=Priority[severity],
    )
    async with books(run, make=True) as here:
        prices = load_prices(run.home, here.config.prices)
        rows = [await _candidate(prices, here, call, model) for model in candidates(call)]
    chosen = next((row["model"] for row in rows if not row["refused_by"]), None)
    if as_json:
        show_json("model-choice", severity=severity, worst=dict(call.worst), chosen=chosen, candidates=rows)
        return
    usage = ", ".join(f"{units:,} {meter.replace('_', ' ')}" for meter, units in call.worst.items())
    show(f"{severity}: at most {usage}")
    for row in rows:
        mark = "->" if row["model"] == chosen else "  "
        cost = "price unknown" if row["worst_usd"] is None else f"at most {row['worst_usd']} USD"
        refused = "".join(f"; refused by {why}" for why in row["refused_by"])
        show(f"{mark} {row['model']:<24} {cost}{refused}")
    if chosen is None:
        show("no model would be asked: the analysis would be the offline one")


async def _candidate(prices: PriceBook, here: Books, call: Call, model: str) -> dict[str, Any]:
    """One candidate: what it could cost, and everything that would refuse it as the store stands."""
    from aegis.core.budgets import BudgetBook, fits
    from aegis.core.errors import Stopped, UnknownPrice
    from aegis.core.money import format_usd
    from aegis.governor.selection import under_one_name
    from aegis.governor.switch import StopSwitch

    refused: list[str] = []
    day = here.clock.now().date()
    now_ms = int(here.clock.now().timestamp() * 1_000)
    switch = StopSwitch(lambda service, name: prices.name(service, name, day), lambda: now_ms)
    switch.learn(await here.ledger.switches())
    try:
        switch.check(call, model)
    except Stopped as stopped:
        refused.append(f"the stop switch ({stopped})")
    try:
        price, name = prices.found(call.service, model, day)
        worst = price.worst(call.worst)
    except UnknownPrice as unknown:
        return {"model": model, "worst_usd": None, "refused_by": [*refused, f"the price ({unknown})"]}
    route = BudgetBook(tuple(under_one_name(here.book.budgets, prices, day))).route(call, name)
    needs = dict(zip(route.units, route.needs(worst, call.worst), strict=True))
    for line, row in zip(route.lines, await here.ledger.rows(route.lines), strict=True):
        need = needs[line.unit]
        if not line.observe and not fits(limit=line.limit, settled=row.settled, held=row.leased, need=need):
            left = max(0, line.limit - row.settled - row.leased)
            refused.append(f"{line.name}: {_amount(left, line.unit)} left, {_amount(need, line.unit)} needed")
    return {"model": model, "worst_usd": format_usd(worst), "refused_by": refused}


def _amount(units: int, unit: str) -> str:
    from aegis.governor.records import amount

    return amount(units, unit)


def _price(book: PriceBook, service: str, model: str) -> str:
    """The price of a model in one line; what nobody knows is said so."""
    from aegis.app.system import SystemClock
    from aegis.core.errors import UnknownPrice

    try:
        line = book.explain(service, model, SystemClock().now().date())
    except UnknownPrice:
        return "price unknown: calls are refused"
    return line.partition(": ")[2]
