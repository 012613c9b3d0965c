"""A cost report as Markdown: what a finance lead reads, in the order in which questions are asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from aegis.core.costs import BASELINES, Avoided, CostReport, Counted, Saving, Share
from aegis.core.incidents import Severity
from aegis.core.markdown import plain, table
from aegis.core.money import show_usd
from aegis.core.plaintext import fit, one_line
from aegis.core.wording import when

SHOWN = 12
"""Rows of a breakdown that people are shown; the rest is one row with its sum."""
OTHERS = "{count:,} others"
METHODS = {
    "gate": "refused",
    "folding": "folded",
    "severity": "not worth a model",
    "cache": "answered from the cache",
    "downgrade": "served by a cheaper model",
}


def markdown(report: CostReport) -> str:
    """The report in Markdown. Text that came from outside (names of keys, models, teams) is escaped."""
    blocks = [
        f"# What it cost: {span(report)}",
        f"Generated {when(report.generated_at)}, from the ledger. Days are UTC.",
        "\n".join(f"- **{name}**: {value}" for name, value in key_figures(report)),
        "## By day",
        table(("Day", "Cost", "Dearest service"), days(report)),
    ]
    for name, shares in report.by.items():
        if shares:
            blocks += [f"## By {name}", table((name.capitalize(), "Calls", "Cached", "Refused", "Cost"), rows(shares))]
    blocks += [
        "## Avoided",
        "An estimate, each line with its method. What could not be valued counts as nothing.",
        table(("What", "Events", "Not valued", "Avoided"), map(avoided_row, report.avoided)),
        "\n".join(f"- {METHODS[one.method].capitalize()}: {plain(one.how)}." for one in report.avoided),
        "## Analysis against a baseline",
        against(report.saving),
    ]
    return "\n\n".join(blocks) + "\n"


def span(report: CostReport) -> str:
    """The days of a report, as people say them."""
    days = len(report.days)
    return f"{report.first} to {report.last} ({days} day{'s' * (days != 1)})"


def key_figures(report: CostReport) -> Sequence[tuple[str, str]]:
    """The figures that stand at the top: name and value."""
    dearest, total, incidents = report.dearest_day, report.total, report.incidents
    worst_first = (severity.name for severity in sorted(Severity, reverse=True))
    counts = ((name, incidents.by_severity.get(name, 0)) for name in worst_first)
    split = ", ".join(f"{count:,} {name}" for name, count in counts if count)
    top = f"{dearest.day}, {money(dearest.cost)}" if dearest.cost else "none: nothing was spent"
    return (
        ("Total", money(total.cost)),
        ("Average daily cost", money(report.average_day)),
        ("Most expensive day", top),
        ("Calls", f"{total.calls:,} made, {total.cached:,} from the cache, {total.refused:,} refused"),
        ("Total incidents", f"{incidents.total:,}{f' ({split})' if split else ''}"),
        ("Budgets that reached their emergency level", f"{report.emergencies:,}"),
        ("Avoided, as estimated below", money(sum(one.amount for one in report.avoided))),
    )


def days(report: CostReport) -> Iterator[Sequence[str]]:
    """Each day: its cost, and which service cost most."""
    for day in report.days:
        top = max(day.by_service.items(), key=lambda item: item[1], default=("", 0))
        yield str(day.day), money(day.cost), f"{top[0]} {money(top[1])}" if top[1] else ""


def rows(shares: Sequence[Share]) -> Iterator[Sequence[str]]:
    """A breakdown as rows of text; what is beyond the first dozen is added up."""
    for share in shares[:SHOWN]:
        yield row(share.value, share.counted)
    rest = [share.counted for share in shares[SHOWN:]]
    if rest:
        together = Counted(
            calls=sum(one.calls for one in rest),
            cached=sum(one.cached for one in rest),
            refused=sum(one.refused for one in rest),
            cost=sum(one.cost for one in rest),
        )
        yield row(OTHERS.format(count=len(rest)), together)


def row(name: str, counted: Counted) -> Sequence[str]:
    return name, f"{counted.calls:,}", f"{counted.cached:,}", f"{counted.refused:,}", money(counted.cost)


def avoided_row(one: Avoided) -> Sequence[str]:
    return METHODS[one.method], f"{one.events:,}", f"{one.unvalued:,}", money(one.amount)


def against(saving: Saving) -> str:
    """Spending on analysis beside the baseline, in one or two sentences."""
    if saving.before is None or saving.saved is None or saving.each is None:
        return (
            f"No model was asked in these days, so nothing compares with the baseline ({BASELINES[saving.baseline]})."
        )
    return (
        f"Baseline `{saving.baseline}`: {BASELINES[saving.baseline]}. That would be {saving.would_be:,} analyses, at "
        f"{money(saving.each)} each {money(saving.before)}; {saving.analyses:,} were made for {money(saving.spent)}: "
        f"{money(saving.saved)} saved{_percent(saving)}."
    )


def _percent(saving: Saving) -> str:
    if not saving.before or saving.saved is None:
        return ""
    return f", {saving.saved * 100 // saving.before} %"


def money(nanos: int) -> str:
    """Four decimals: a call often costs less than a cent."""
    return show_usd(nanos, decimals=4)


def in_a_terminal(report: CostReport) -> str:
    """The report for a terminal: the key figures, then each breakdown in columns."""
    return "\n".join(_terminal(report)) + "\n"


def _terminal(report: CostReport) -> Iterator[str]:
    yield f"What it cost, {span(report)}"
    for name, value in key_figures(report):
        yield f"  {name:<44} {value}"
    yield from _columns("by day", ((day, top, cost) for day, cost, top in days(report)))
    for name, shares in report.by.items():
        if shares:
            calls = ((value, f"{made} calls", cost) for value, made, _, _, cost in rows(shares))
            yield from _columns(f"by {name}", calls)
    yield from _columns("avoided (an estimate)", _avoided_columns(report))
    yield ""
    yield against(report.saving).replace("`", "")


def _avoided_columns(report: CostReport) -> Iterator[tuple[str, str, str]]:
    for one in report.avoided:
        what, events, unvalued, amount = avoided_row(one)
        yield what, f"{events} events{f', {unvalued} not valued' if one.unvalued else ''}", amount


def _columns(head: str, found: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    yield ""
    yield head
    for first, second, third in found:
        yield f"  {fit(one_line(first), 40):<40} {second:>28} {third:>14}"
