"""`aegis drill`: an emergency rehearsed against the sandbox, scored, and kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.exits import Exit
from aegis.cli.session import Session, say, session, show, show_json

if TYPE_CHECKING:
    from aegis.rehearsal.drills.report import Report

LIST_MAX = 20
LINES = {
    "budget": "A program empties its team's budget: warned, refused, stopped, given back.",
    "provider-outage": "The model's provider is down: breaker, offline analysis, pages.",
    "stolen-key": "A virtual key is used from elsewhere: detected, told, revoked, replaced.",
    "alert-flood": "10,000 detections within a minute: folded, told in digests, none lost.",
    "injection": "Log lines that give orders, and a model that obeys them: nothing changes.",
    "restore": "The machine is lost: a backup comes back elsewhere, damaged ones are refused.",
}


@click.group(cls=Group, name="drill", examples=("aegis drill budget", "aegis drill list", "aegis drill show budget"))
def group() -> None:
    """Rehearse an emergency on the real parts, against the sandbox: scored, with what to improve. Nothing real is
    contacted, no key of yours is read, and nothing of yours is stopped; the report says how that was watched. Exit code 10 when a target was missed.
    """


def _drill(kind: str) -> click.Command:
    @group.command(kind, help=LINES[kind], examples=(f"aegis drill {kind} --fast", f"aegis drill {kind} --json"))
    @click.option(
        "--fast", is_flag=True, help="Smaller where a drill is large (the flood): seconds instead of minutes."
    )
    @click.option("--seed", default=7, show_default=True, help="The same seed writes exactly the same report.")
    @click.option("--plant", default="", metavar="FAULT", help="Put a fault in on purpose and see the score fall.")
    @json_option
    def command(fast: bool, seed: int, plant: str, as_json: bool) -> int:
        return _run(session(), [kind], fast=fast, seed=seed, plant=plant, as_json=as_json)

    return command


for _kind in LINES:
    _drill(_kind)


@group.command("all", examples=("aegis drill all --fast",))
@click.option("--fast", is_flag=True, help="Smaller where a drill is large.")
@click.option("--seed", default=7, show_default=True, help="The same seed writes exactly the same reports.")
def all_(fast: bool, seed: int) -> int:
    """Every drill, one after the other."""
    return _run(session(), list(LINES), fast=fast, seed=seed, plant="", as_json=False)


@group.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The drills that were run here, newest first, and their scores."""
    from aegis.core.wording import rfc3339
    from aegis.rehearsal.drills.history import ran

    rows = [
        {
            "name": one.name,
            "at": rfc3339(one.at),
            **{key: one.document.get(key) for key in ("drill", "score", "planted")},
        }
        for one in ran(session().home)
    ]
    if as_json:
        show_json("drills", drills=rows)
        return
    for row in rows[:LIST_MAX]:
        planted = f"  planted: {row['planted']}" if row["planted"] else ""
        show(f"{row['name']:<40} {row['score']:>3} of 100{planted}")
    if not rows:
        show("No drill was run here yet: aegis drill budget")


@group.command("show", examples=("aegis drill show budget", "aegis drill show 20261121T163000Z-budget"))
@click.argument("name")
@json_option
def show_(name: str, as_json: bool) -> None:
    """One report, by its NAME in the list; or the newest of a kind."""
    from aegis.rehearsal.drills.history import page_of

    found, page = page_of(session().home, name)
    if as_json:
        _print(found.document)
    else:
        show(page.rstrip("\n"))


def _run(run: Session, kinds: list[str], *, fast: bool, seed: int, plant: str, as_json: bool) -> int:
    import anyio

    from aegis.app.system import SystemClock
    from aegis.governor.pricing import compile_list
    from aegis.rehearsal.drills.catalogue import run as play
    from aegis.rehearsal.drills.history import SCHEMA, keep

    home, table, passed = run.make_home(), compile_list(), True
    _quiet()
    for kind in kinds:
        work = partial(play, kind, table=table, seed=seed, fast=fast, planted=plant)
        report: Report = anyio.run(work)
        page = keep(home, report, at=SystemClock().now())
        passed = passed and report.passed
        if as_json:
            _print({"schema": SCHEMA, **report.to_json()})
        elif len(kinds) > 1:
            show(f"{kind:<16} {report.score:>3} of 100   {report.improve[0]}")
        else:
            _show(report)
        say(f"Report: {page}")
    return Exit.OK if passed else Exit.WARNING


def _show(report: Report) -> None:
    """The measures, what to improve, and whether it kept to itself: what fits on a screen."""
    show(f"{report.title}: score {report.score} of 100, {'passed' if report.passed else 'NOT passed'}")
    if report.planted:
        show(f"planted fault: {report.planted}")
    show("")
    for measure in report.measures:
        target = "" if measure.target is None else f"at most {measure.shown(measure.target)}"
        show(f"  {measure.title:<16} {measure.shown(measure.value):>14}  {target:<16} {measure.verdict}")
    show("")
    for one in report.looked:
        show(f"  {'good' if one.good else 'BAD '}  {one.name}: {one.text}")
    for sentence in report.secluded.sentences():
        show(f"  {'good' if report.secluded.good else 'BAD '}  {sentence}")
    show("")
    for words in report.improve:
        show(f"  {words}")


def _print(document: Any) -> None:
    rest = dict(document)
    schema = rest.pop("schema").removeprefix("aegis.").removesuffix("/1")
    show_json(schema, **rest)


def _quiet() -> None:
    """What the drill's Aegis logs is none of this terminal's business."""
    import os
    from datetime import UTC, datetime
    from pathlib import Path

    from aegis.secrets.logs import set_up
    from aegis.secrets.redaction import Redactor

    nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    set_up(nowhere, redactor=Redactor(), now=lambda: datetime.now(UTC))
