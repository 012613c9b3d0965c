"""`aegis escalate` and `aegis route`: who would be told, when, by which channel, and why. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.contact import moment_of, roster_of
from aegis.cli.exits import Exit
from aegis.cli.session import Session, session, show, show_json

if TYPE_CHECKING:
    from aegis.core.incidents import Incident, Severity
    from aegis.core.matching import Labels

SEVERITIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")


def _about(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which incident it is about: one on record, or one that might come."""
    options = (
        click.argument("incident_id", required=False),
        click.option(
            "--severity", type=click.Choice(SEVERITIES, case_sensitive=False), default="HIGH", show_default=True
        ),
        click.option("--kind", type=click.Choice(["security", "spend"]), default="security", show_default=True),
        click.option("--source", default="", help="Log source of its events."),
        click.option("--tag", "tags", multiple=True, help="A technique, tactic or rule."),
        click.option("--team", "teams", multiple=True, help="Whose it is."),
        click.option("--at", default="", metavar="TIME", help="At this time, with its offset; now unless said."),
    )
    for option in reversed(options):
        command = option(command)
    return command


async def _labels(
    run: Session, incident_id: str | None, given: dict[str, Any]
) -> tuple[Severity, Labels, Incident | None]:
    """What is known of the incident that was asked about. Raises `BadInput`."""
    from aegis.core.incidents import Severity
    from aegis.core.matching import labels_of, plain_tag

    if incident_id:
        from aegis.cli.reading import incident_of, reading

        async with reading(run) as database:
            incident = await incident_of(database, incident_id)
        return incident.severity, labels_of(incident, run.config().teams), incident
    tags = {plain_tag(tag) for tag in given["tags"]}
    return (
        Severity[given["severity"].upper()],
        {
            "severity": frozenset({given["severity"].lower()}),
            "kind": frozenset({given["kind"]}),
            "source": frozenset({given["source"].lower()} - {""}),
            "tag": frozenset(tags | {tag.partition(".")[0] for tag in tags}),
            "team": frozenset(team.lower() for team in given["teams"]),
        },
        None,
    )


# --- escalate ----------------------------------------------------------------------------------------------------


@click.group(
    cls=Group,
    name="escalate",
    examples=(
        "aegis escalate simulate --severity CRITICAL",
        "aegis escalate simulate inc_01J... --at 2026-12-24T03:00Z",
    ),
)
def escalate() -> None:
    """Who is told next when nobody acts."""


@escalate.command("simulate")
@_about
@json_option
def simulate(incident_id: str | None, at: str, as_json: bool, **given: Any) -> int:
    """Every step of the chain as it would come if nobody acted. Sends nothing."""
    import anyio

    return anyio.run(_simulate, session(), incident_id, at, given, as_json)


async def _simulate(run: Session, incident_id: str | None, at: str, given: dict[str, Any], as_json: bool) -> int:
    from aegis.core.escalations import in_words
    from aegis.core.escalations import simulate as simulated

    roster, now = roster_of(run), moment_of(run, at)
    severity, labels, _ = await _labels(run, incident_id, given)
    chain = roster.chain_for(labels, now)
    planned = simulated(roster, chain, labels, severity, now) if chain else ()
    if as_json:
        from aegis.web.views import stamp

        rows = [
            {
                "step": one.number,
                "at": stamp(one.at),
                "tell": [{"contact": told.contact, "by": told.channel} for told in one.rung.told],
                "remarks": list(one.rung.remarks),
                "bridge": roster.bridge if one.step.bridge else None,
            }
            for one in planned
        ]
        show_json("escalation", chain=chain.name if chain else None, steps=rows, sent=0)
        return Exit.OK
    if chain is None:
        why = "no chain fits it" if roster.chains else "there are no contacts in aegis.yaml"
        show(f"Nobody is told alone: {why}. The channels are told all the same; see `aegis route explain`.")
        return Exit.OK
    show(f"Chain {chain.name}, from {now:%Y-%m-%d %H:%M} UTC, if nobody acts (nothing is sent):")
    for one in planned:
        whom = in_words(one.rung.told)
        bridge = f"; conference {roster.bridge}" if one.step.bridge and roster.bridge else ""
        show(f"  {_offset(now, one.at)}  step {one.number}: {whom}{bridge}")
        for remark in one.rung.remarks:
            show(f"           {remark}")
    return Exit.OK


def _offset(begin: datetime, at: datetime) -> str:
    minutes = (at - begin) // timedelta(minutes=1)
    return f"+{minutes // 60:02d}:{minutes % 60:02d}"


# --- route -------------------------------------------------------------------------------------------------------


@click.group(
    cls=Group,
    name="route",
    examples=("aegis route explain inc_01J...", "aegis route explain --severity MEDIUM --tag T1110"),
)
def route() -> None:
    """Which services are told, and why."""


@route.command("explain")
@_about
@json_option
def explain(incident_id: str | None, at: str, as_json: bool, **given: Any) -> None:
    """Every service that is told about an incident, on record or imagined, with the reason; every route that is not
    taken, with what does not fit.
    """
    import anyio

    anyio.run(_explain, session(), incident_id, at, given, as_json)


async def _explain(run: Session, incident_id: str | None, at: str, given: dict[str, Any], as_json: bool) -> None:
    from aegis.app.spend_telling import spend_routes
    from aegis.core.deliveries import RECORDING
    from aegis.incidents.routing import choose

    config, now = run.config(), moment_of(run, at)
    severity, labels, incident = await _labels(run, incident_id, given)
    there = {*config.connectors, *(("sms", "phone") if "twilio" in config.connectors else ())}
    routes = (*config.routes, *spend_routes(config.actions, sorted(there)))
    choice = choose(severity, labels, routes, now)
    hold = incident.held if incident else None
    chain = roster_of(run).chain_for(labels, now)
    rows: list[dict[str, Any]] = [
        {
            "service": name,
            "why": list(why),
            "told": name in there and not (hold and name not in RECORDING),
            "configured": name in there,
        }
        for name, why in choice.services.items()
    ]
    looked: list[dict[str, Any]] = [
        {"route": number, "to": list(one.route.to), "fits": one.holds, "why_not": one.why_not, "last": one.route.last}
        for number, one in enumerate(choice.looked, start=1)
    ]
    if as_json:
        held = hold.why if hold else None
        show_json("route", services=rows, routes=looked, held=held, chain=chain.name if chain else None)
        return
    if hold:
        show(f"held back by {hold.why}: only services that keep a record are told")
    for row in rows:
        where = "" if row["configured"] else " (no such connector: not told)"
        show(f"{row['service']:<12} {' and '.join(row['why'])}{where}")
    for one in looked:
        fits = "fits" if one["fits"] else f"does not fit: {one['why_not']}"
        end = "; no route after it is looked at" if one["fits"] and one["last"] else ""
        show(f"route {one['route']} to {', '.join(one['to'])}: {fits}{end}")
    show(f"people: {f'chain {chain.name}; see `aegis escalate simulate`' if chain else 'no chain fits'}")
