"""`aegis monitoring`: what Prometheus and Grafana are given."""

from __future__ import annotations

from pathlib import Path

import click

from aegis.cli.commands import Group
from aegis.cli.session import say, show


@click.group(
    cls=Group,
    name="monitoring",
    examples=("aegis monitoring prometheus --out /etc/prometheus", "aegis monitoring dashboards --out ./dashboards"),
)
def group() -> None:
    """Scrape configuration and rules for Prometheus, dashboards for Grafana."""


@group.command("prometheus")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="A folder for both files instead of stdout."
)
def prometheus(out: Path | None) -> None:
    """The scrape configuration (job `api-cost-exporter`) and the rules: recordings and alerts."""
    from importlib.resources import files

    found = {
        name: (files("aegis.web.monitoring") / name).read_text("utf-8")
        for name in ("prometheus.yml", "aegis.rules.yml")
    }
    _give(found, out)


@group.command("dashboards")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="A folder, a file for each, instead of stdout."
)
@click.option("--cloudwatch", is_flag=True, help="With AWS' own estimated charges, from a CloudWatch data source.")
def dashboards(out: Path | None, cloudwatch: bool) -> None:
    """Four dashboards as JSON: costs, budgets, incidents, guardrails. Import them, or let Grafana's provisioning read the folder."""
    import orjson

    from aegis.web.monitoring.dashboards import DASHBOARDS, costs

    made = {f"aegis-{name}.json": make() for name, make in DASHBOARDS.items()}
    if cloudwatch:
        made["aegis-costs.json"] = costs(cloudwatch=True)
    _give({name: orjson.dumps(one, option=orjson.OPT_INDENT_2).decode() + "\n" for name, one in made.items()}, out)


def _give(found: dict[str, str], out: Path | None) -> None:
    if out is None:
        for text in found.values():
            show(text.rstrip("\n"))
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        (out / name).write_text(text, encoding="utf-8")
        say(f"written: {out / name}")
