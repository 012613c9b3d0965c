"""`aegis report cost`: what the last days came to, by day and by everything a call is made for, and what was avoided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from aegis.cli.commands import Speaking
from aegis.cli.session import Session, say, session, show
from aegis.cli.spend import names_of
from aegis.core.costs import NAMES

if TYPE_CHECKING:
    from aegis.core.costs import Baseline, CostReport

Form = Literal["text", "markdown", "html", "json"]
FORMS: dict[str, Form] = {".md": "markdown", ".html": "html", ".htm": "html", ".json": "json", ".txt": "text"}
"""What the name of a file says about its form."""


@click.command(
    "cost",
    cls=Speaking,
    examples=("aegis report cost", "aegis report cost --days 30 --out costs.html", "aegis report cost --format json"),
)
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True, help="Days (UTC), today included.")
@click.option("--by", "names", callback=names_of, metavar="NAMES", help=f"Break down by any of {', '.join(NAMES)}.")
@click.option(
    "--baseline",
    type=click.Choice(["per-detection", "per-incident"]),
    default="per-detection",
    show_default=True,
    help="What spending on analysis is compared with: a model asked about every detection, or about every incident.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown", "html", "json"]), help="Else by --out's name, or text."
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of stdout; it is replaced."
)
def command(days: int, names: tuple[str, ...] | None, baseline: Baseline, form: Form | None, out: Path | None) -> None:
    """What the last days cost: by day, service, model, key, team, incident and severity, with the dearest day and what was
    avoided, each with its method.
    """
    import anyio

    report = anyio.run(_report, session(), days, names, baseline)
    text = written(report, form or (FORMS.get(out.suffix.lower(), "text") if out else "text"))
    if out is None:
        show(text.rstrip("\n"))
    else:
        out.write_text(text, encoding="utf-8")
        say(f"written: {out}")


def written(report: CostReport, form: Form) -> str:
    """The report in one of its forms."""
    from aegis.finance import cost_words

    match form:
        case "markdown":
            return cost_words.markdown(report)
        case "html":
            from aegis.finance.cost_page import page

            return page(report)
        case "json":
            import orjson

            from aegis.finance.cost_document import document

            return orjson.dumps(document(report), option=orjson.OPT_INDENT_2).decode() + "\n"
        case "text":
            return cost_words.in_a_terminal(report)


async def _report(run: Session, days: int, names: tuple[str, ...] | None, baseline: Baseline) -> CostReport:
    from aegis.app.costs import costs_of
    from aegis.app.system import SystemClock
    from aegis.cli.reading import reading
    from aegis.finance import costs
    from aegis.governor.pricing import load_prices

    prices = load_prices(run.home if run.home.exists() else None, run.config().prices)
    async with reading(run) as database:
        now = SystemClock().now()
        return await costs_of(database, prices, now, days, names=names or costs.NAMES, baseline=baseline)
