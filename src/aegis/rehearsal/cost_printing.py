"""What a person sees of the cost demo in the terminal: a few lines for each chapter, fewer than sixty in all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

WIDTH = 72
"""Characters of a query, question or answer that are shown."""


def show(console: Console, played: Mapping[str, Any]) -> None:
    """Print a played cost demo."""
    console.print("[bold]Aegis cost demo[/]  AWS is the sandbox on this machine; no account, no key, nothing leaves it")
    for title, lines in (
        ("Which model answers", _models(played["models"])),
        ("Athena: a query, the same again, then one that names its columns and day", _queries(played["athena"])),
        ("Bedrock: the model that fits, then an answer used again", _questions(played["bedrock"])),
        ("The fuller the quota, the slower: seconds between two calls", _throttle(played["throttle"])),
        ("Emergency mode", _emergency(played["emergency"])),
        ("What would save most", (f"{one['priority']}  {one['text']}" for one in played["recommendations"])),
        ("The dashboard: get_optimization_dashboard()", _dashboard(played["dashboard"])),
    ):
        console.print()
        console.print(Text(title, style="bold"))
        for line in lines:
            console.print(Text(f"  {line}"), no_wrap=True, overflow="ellipsis", crop=True)


def _models(rows: list[dict[str, str]]) -> Iterator[str]:
    for row in rows:
        yield f"{row['complexity']:<9} {row['length']:<7} {row['accuracy']:<9} {row['model'].rpartition('.')[2]}"


def _queries(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        how = "from the cache, free" if row["from_cache"] else f"{row['scanned_gb']:.3f} GB, ${row['cost_usd']:.6f}"
        yield f"{_cut(row['sql']):<{WIDTH}}  {how}"


def _questions(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        how = "from the cache, free" if row["from_cache"] else f"{row['tokens']} tokens, ${row['cost_usd']:.6f}"
        yield f"{_cut(row['prompt']):<{WIDTH}}  {how}"
        yield f"    {row['model'].rpartition('.')[2]}: {_cut(row['text'])}"


def _throttle(rows: list[dict[str, Any]]) -> Iterator[str]:
    names = list(rows[0]["seconds_between_calls"])
    yield f"{'used':>6}  {'step':<9}" + "".join(f"{name:>10}" for name in names)
    for row in rows:
        waits = (row["seconds_between_calls"][name] for name in names)
        shown = "".join(f"{'blocked' if wait is None else f'{wait:g} s':>10}" for wait in waits)
        yield f"{row['used_percent']:>4} %  {row['level']:<9}{shown}"


def _emergency(row: Mapping[str, Any]) -> Iterator[str]:
    yield from row["actions"]
    yield "calls now: " + ", ".join(f"{name} {'passes' if ok else 'stopped'}" for name, ok in row["passes"].items())


def _dashboard(found: Mapping[str, Any]) -> Iterator[str]:
    cost, cache = found["cost_analysis"], found["cache_performance"]["stats"]
    yield f"free_tier_status: {cost['free_tier_status']}"
    for service, row in found["usage_summary"].items():
        dollars = cost["estimated_cost_usd"][service]
        yield f"{service:<8} {row['usage_percentage']:>5.1f} % of its quota   {row['calls']:>3} calls   ${dollars:.4f}"
    yield f"cache hit rate {cache['hit_rate']:.1f} %, {len(found['alerts'])} alerts, total ${cost['total_estimated_cost_usd']:.4f}"


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
