"""A cost report as one HTML page that stands alone: no script, nothing fetched, two themes, fit for print and mail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from aegis.core.costs import CostReport
from aegis.core.pictures import day_columns
from aegis.core.plaintext import one_line
from aegis.core.wording import when
from aegis.finance.cost_words import METHODS, against, avoided_row, days, key_figures, money, rows, span

STYLE: Final = """
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #1c2127; --soft: #5d6670; --line: #dedbd3; --free: #ece9e1; --calm: #2c7fb8; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e7e9ec; --soft: #9aa4af; --line: #2d333b; --free: #2a3038; --calm: #4c9fd6; }
}
body { margin: 2rem auto; max-width: 52rem; padding: 0 1rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; }
p { max-width: 42rem; } .soft { color: var(--soft); }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem 0 .3rem .8rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.5rem; } dt { color: var(--soft); } dd { margin: 0; }
svg { width: 100%; height: auto; max-height: 12rem; } .bar-free { fill: var(--free); } .bar-calm { fill: var(--calm); }
.label { fill: var(--soft); font-size: 11px; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
@media print { body { margin: 0; background: #fff; color: #000; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""
"""Inside the page: it is read from a disk or in a mail, where no other file is at hand."""


def page(report: CostReport, *, above: str = "") -> str:
    """The report as a whole HTML document. Text from outside is escaped; `above` is HTML of ours that comes first."""
    picture = day_columns(
        [(f"{day.day:%d %b}", day.cost, f"{day.day}: {money(day.cost)}") for day in report.days],
        spoken=f"Cost by day, {span(report)}: {money(report.total.cost)} in all, {money(report.average_day)} a day",
    )
    parts = [
        "<h1>What it cost</h1>",
        f"<p class=soft>{escape(span(report))} · generated {when(report.generated_at)}, from the ledger; days are UTC</p>",
        above,
        "<dl>"
        + "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in key_figures(report))
        + "</dl>",
        "<h2>By day</h2>" + picture + table_of(("Day", "Cost", "Dearest service"), days(report)),
    ]
    for name, shares in report.by.items():
        if shares:
            head = (name.capitalize(), "Calls", "Cached", "Refused", "Cost")
            parts.append(f"<h2>By {_text(name)}</h2>" + table_of(head, rows(shares)))
    how = "".join(f"<li>{_text(METHODS[one.method].capitalize())}: {_text(one.how)}.</li>" for one in report.avoided)
    parts.append(
        "<h2>Avoided</h2><p>An estimate, each line with its method. What could not be valued counts as nothing.</p>"
        + table_of(("What", "Events", "Not valued", "Avoided"), map(avoided_row, report.avoided))
        + f"<ul class=soft>{how}</ul>"
    )
    parts.append(f"<h2>Analysis against a baseline</h2><p>{_text(against(report.saving).replace('`', ''))}</p>")
    title = f"What it cost, {span(report)}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def table_of(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table of text: every cell is escaped."""
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: str) -> str:
    return escape(one_line(value))
