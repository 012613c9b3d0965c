"""Wires who is told: routes, silences, chains, and the lanes that carry it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from aegis.app.heartbeat import Heartbeat, Vitals
from aegis.app.services import Resolve
from aegis.app.spend_telling import spend_chains, spend_routes
from aegis.config.settings import Config
from aegis.core.incidents import Incident
from aegis.core.notifications import Button, Change, Delivery
from aegis.core.ports import Http, Messenger, Notifier
from aegis.core.telemetry import Observer
from aegis.incidents.act_links import ActLinks, buttons
from aegis.incidents.delivery import Lanes, WakingIncidents
from aegis.incidents.escalation import Watch
from aegis.incidents.grouping import Grouping
from aegis.incidents.people import with_people
from aegis.incidents.record import Plans, Record
from aegis.incidents.routing import deliveries
from aegis.incidents.telling import Telling
from aegis.loops import Health
from aegis.stores.database import Database
from aegis.stores.incidents import SqliteIncidents
from aegis.stores.outbox import SqliteOutbox
from aegis.stores.silences import SqliteSilences

if TYPE_CHECKING:
    from aegis.app.opening import Machine
    from aegis.app.running import App


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Everything between a change of an incident and the services that are told: one for each Aegis."""

    record: Record
    lanes: Lanes
    telling: Telling
    silences: SqliteSilences
    watch: Watch


async def tell_by(
    config: Config,
    machine: Machine,
    database: Database,
    notifiers: Sequence[Notifier],
    messengers: Mapping[str, Messenger],
    link_base: str,
    links: ActLinks | None,
    observe: Observer,
) -> Told:
    """Wire it. Raises `StoreError`."""
    clock, silences, outbox = machine.clock, SqliteSilences(database), SqliteOutbox(database)
    telling = _telling(config, messengers)
    telling.learn(await silences.in_force(clock.now()))
    lanes = _lanes(machine, outbox, with_people(notifiers, messengers, config.roster.contacts), observe)
    record = Record(
        grouping=Grouping(new_id=machine.ids(), hubs=config.detection.stop_list),
        store=WakingIncidents(SqliteIncidents(database), lanes),
        plan=_plans(config, [notifier.name for notifier in notifiers], link_base, links),
        clock=clock,
        observe=observe,
        telling=telling,
    )
    watch = Watch(record=record, telling=telling, silences=silences, unsent=outbox, clock=clock)
    return Told(record=record, lanes=lanes, telling=telling, silences=silences, watch=watch)


def _telling(config: Config, messengers: Mapping[str, Messenger]) -> Telling:
    """Silences, inhibition and escalation by this installation's people, and the channels it can use."""
    chains = (*spend_chains(config.actions, config.roster), *config.roster.chains)
    roster = replace(config.roster, usable=tuple(messengers), chains=chains)
    return Telling(roster=roster, teams=config.teams, inhibitions=config.inhibitions)


def _lanes(machine: Machine, outbox: SqliteOutbox, notifiers: Sequence[Notifier], observe: Observer) -> Lanes:
    pick = (machine.chance or random.Random()).randint
    return Lanes(
        outbox=outbox,
        notifiers=notifiers,
        clock=machine.clock,
        pick=pick,
        observe=observe,
        rules=machine.lane_rules,
    )


def _plans(config: Config, services: Sequence[str], link_base: str, links: ActLinks | None) -> Plans:
    """Who is told about a change, with this installation's services and routes."""
    routes = (*config.routes, *spend_routes(config.actions, services))
    offered = links.links if links else buttons

    def links_for(incident: Incident, contact: str) -> tuple[Button, ...]:
        return links.links(incident, contact=contact) if links else buttons(incident)

    def plan(incident: Incident, change: Change, *, now: datetime) -> tuple[Delivery, ...]:
        return deliveries(
            incident,
            change,
            services=services,
            now=now,
            routes=routes,
            teams=config.teams,
            link_base=link_base,
            links=offered,
            links_for=links_for,
            bridge=config.roster.bridge,
        )

    return plan


def heartbeat_of(app: App, http: Http, resolve: Resolve) -> Heartbeat | None:
    """The sign of life of one Aegis, where one is configured. Raises `ConfigError` for a secret that is missing."""
    if (wanted := app.config.heartbeat) is None:
        return None

    def health() -> Mapping[str, Health]:
        return app.health()  # the loops are there only once they run

    vitals = Vitals(
        events=app.events,
        lookups=app.lookups,
        health=health,
        progress=lambda: app.worked_at,
        grace_ms=wanted.grace_ms,
    )
    return Heartbeat(resolve(wanted.url), stuck=vitals.stuck, http=http, clock=app.clock, observe=app.hub)
