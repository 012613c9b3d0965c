"""Opens an Aegis: reads the store, joins the ledger, wires every part, and closes all of it in the right order."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path

from aegis.app.actions import BudgetActions
from aegis.app.auditing import accounts_of, audit_of
from aegis.app.backing import backups_of
from aegis.app.emergency import stop_and_return
from aegis.app.gateway import GatewayParts, Upstream, upstreams
from aegis.app.hub import Hub
from aegis.app.inbound import act_links, open_inbound, senders
from aegis.app.keyring import KeyRing, pepper
from aegis.app.lookup_quota import learning
from aegis.app.overrides import Overrides
from aegis.app.reach import actuators
from aegis.app.reconciling import reconciling
from aegis.app.reviewing import reviewing
from aegis.app.running import LONG_AGO, App
from aegis.app.services import (
    Parts,
    Resolve,
    build_parts,
    governed,
    outlets,
    policies,
    private_hosts,
    quotas,
    reporters,
    trust,
    used_names,
)
from aegis.app.shown import shown_of
from aegis.app.spendwatch import watching
from aegis.app.system import SystemClock, random_ids
from aegis.app.telling import Told, heartbeat_of, tell_by
from aegis.app.trying import Tried, ask_all
from aegis.app.weekly import weekly_of
from aegis.config.settings import Config
from aegis.core.budgets import Budget
from aegis.core.incidents import Severity
from aegis.core.ports import Clock, Http, NewId
from aegis.core.prices import PriceBook
from aegis.core.telemetry import Observer
from aegis.emergency.audit import AuditLog
from aegis.governor.governor import Governor
from aegis.governor.pricing import load_prices
from aegis.governor.sealing import SealedAnswers
from aegis.incidents.analysis import Analysing, Policy
from aegis.incidents.delivery import Lanes
from aegis.incidents.detection import Detector
from aegis.incidents.enrichment import Enrichment
from aegis.incidents.fallback import Fallbacks, instead_of
from aegis.incidents.lane import LaneRule
from aegis.incidents.metric_batches import PUSH_MS, MetricBatches
from aegis.incidents.pipeline import Pipeline
from aegis.incidents.pseudonyms import Pseudonyms
from aegis.incidents.record import Record
from aegis.incidents.rules.pack import load_pack
from aegis.secrets.keys import Keys
from aegis.stores.answers import SqliteAnswers
from aegis.stores.arrivals import SqliteArrivals
from aegis.stores.batches import SqliteBatches
from aegis.stores.database import Database
from aegis.stores.events import SqliteEvents
from aegis.stores.incidents import SqliteIncidents
from aegis.stores.keys import SqliteKeys
from aegis.stores.ledger import SqliteLedger
from aegis.stores.lookups import SqliteLookups
from aegis.stores.outbox import SqliteOutbox
from aegis.stores.retention import Keep, Retention
from aegis.transport.http import OutboundHttp

PSEUDONYM_KEY = "pseudonym_key"
"""The setting that keeps the installation's pseudonym key: stand-ins stay the same from prompt to prompt."""
WARMED_EVENTS_MAX = 20_000
"""Worked events that are fed to correlations at a start, the newest by their own time: a file that is imported may be
old, and a kill in its middle must not forget what was counted.
"""


def _same(http: Http) -> Http:
    return http


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a rehearsal replaces: time, identifiers, randomness, and the outbound client by one around it."""

    clock: Clock = field(default_factory=SystemClock)
    new_id: NewId | None = None
    chance: random.Random | None = None
    watch_http: Callable[[Http], Http] = _same
    lane_rules: Mapping[str, LaneRule] = field(default_factory=dict)
    """How services may be used where that differs from the real ones: a sandbox needs no pace."""

    def ids(self) -> NewId:
        return self.new_id or random_ids(self.clock)

    def token(self) -> str:
        """128 random bits as text."""
        return f"{self.chance.getrandbits(128):032x}" if self.chance else secrets.token_hex(16)


@asynccontextmanager
async def open_app(
    config: Config,
    *,
    home: Path,
    resolve: Resolve,
    machine: Machine | None = None,
    observers: tuple[Observer, ...] = (),
    link_base: str = "",
    locks: Keys | None = None,
) -> AsyncIterator[App]:
    """One whole Aegis on the store in `home`, until the block ends.

    `resolve` gives the secrets that the configuration refers to; `link_base` is the dashboard's address, for links in
    messages; `locks` are the keys of backups, where those are made by the clock. Raises `ConfigError` and `StoreError`: then nothing was started.
    """
    machine = machine or Machine()
    hub = Hub(*observers)
    async with AsyncExitStack() as opened:
        private, own = private_hosts(config, resolve), trust(config, resolve)
        outbound = OutboundHttp(clock=machine.clock, observer=hub, allow_private=private, trust=own)
        opened.push_async_callback(outbound.close)
        http, found = machine.watch_http(outbound), senders(config, resolve)
        clock, ways = machine.clock, outlets(machine.clock, hub)
        parts = build_parts(config, home=home, http=http, clock=clock, new_id=machine.ids(), resolve=resolve, ways=ways)
        for reporter in reporters(config, resolve):
            hub.add(reporter)
            opened.callback(reporter.close)
        detector, behind = _detector(config), upstreams(config.gateway, resolve)
        prices = load_prices(home, config.prices)
        # Only now, when nothing in the configuration can be wrong any more, is a store made or migrated.
        database = await Database.open(config.store.path(home))
        opened.push_async_callback(database.close)
        governor = await opened.enter_async_context(_governor(config, home, prices, database, machine, hub))
        parts, messengers = governed(parts, governor, machine.ids())
        links = await act_links(config, SqliteLookups(database), machine.token)
        told = await tell_by(config, machine, database, parts.notifiers, messengers, link_base, links, hub)
        app = await _wired(config, home, machine, hub, database, parts, governor, detector, told)
        ask = partial(ask_all, config, parts, http, resolve=resolve, clock=clock)
        await _stop_and_return(app, opened, database, hub, resolve, ask)
        _figures(app, database, prices, parts, http, resolve)
        app.inbound = open_inbound(app, SqliteArrivals(database), http, found, links)
        app.messengers, app.heartbeat = messengers, heartbeat_of(app, http, resolve)
        opened.push_async_callback(_gateway(app, behind, database).close)
        app.backups = backups_of(config, home, resolve, locks, machine.ids())
        hub.add(app.notice, app.actions.notice, *app.batches)
        await app.pipeline.resume()
        for chore in app.chores:
            await chore()
        app.crossings += await app.actions.restore()
        yield app


def _gateway(app: App, behind: tuple[Upstream, ...], database: Database) -> GatewayParts:
    kept = SqliteBatches(database)
    app.gateway = GatewayParts(settings=app.config.gateway, upstreams=behind, keys=app.keys, batches=kept)
    return app.gateway


def _figures(app: App, database: Database, prices: PriceBook, parts: Parts, http: Http, resolve: Resolve) -> None:
    """What looks at spending, what shows it, what mails it, and what reminds people of reviews; what faces sign in with."""
    app.http, app.secret = http, resolve
    app.spendwatch, app.shown = watching(app, database), shown_of(app, database)
    app.weekly = weekly_of(app, database, prices, parts.connectors)
    app.background += (
        reviewing(app, database),
        *learning(app, http, resolve),
        *reconciling(app, database, http, resolve),
    )


def _detector(config: Config) -> Detector:
    rules = config.detection
    return Detector(load_pack(rules.rules, shipped=rules.shipped, off=rules.off))


def _governor(
    config: Config, home: Path, prices: PriceBook, database: Database, machine: Machine, hub: Hub
) -> Governor:
    return Governor(
        budgets=_budgets(config),
        prices=prices,
        ledger=SqliteLedger(database, machine.clock),
        clock=machine.clock,
        services=policies(config),
        answers=SealedAnswers(SqliteAnswers(database), pepper(home)),
        observers=(hub,),
        cache_bytes=config.store.answers_bytes,
    )


async def _wired(
    config: Config,
    home: Path,
    machine: Machine,
    hub: Hub,
    database: Database,
    parts: Parts,
    governor: Governor,
    detector: Detector,
    told: Told,
) -> App:
    clock, new_id = machine.clock, machine.ids()
    incidents, outbox = SqliteIncidents(database), SqliteOutbox(database)
    events, lookups = SqliteEvents(database, clock), SqliteLookups(database)
    detector.warm(worked := await events.worked_since(LONG_AGO, WARMED_EVENTS_MAX))
    channels = [notifier.name for notifier in parts.notifiers]
    analysing = await _analysing(config, machine, parts, governor, lookups)
    pipeline = _pipeline(detector, told.record, parts, governor, analysing, machine)
    keys = KeyRing(SqliteKeys(database), clock, pepper(home))
    overrides = Overrides(_budgets(config), governor=governor, lookups=lookups, more=keys.budgets)
    fallbacks = _fallbacks(config, outbox, machine, channels, told.lanes)
    return App(
        config=config,
        home=home,
        clock=clock,
        new_id=new_id,
        hub=hub,
        events=events,
        incidents=incidents,
        outbox=outbox,
        lookups=lookups,
        governor=governor,
        pipeline=pipeline,
        lanes=told.lanes,
        batches=_batches(parts, hub),
        retention=Retention(database, _keep(config)),
        services_used=used_names(parts),
        actions=_actions(config, governor, pipeline, outbox, lookups, clock, channels),
        overrides=overrides,
        chores=(keys.turn, overrides.turn, fallbacks.turn, told.watch.turn),
        silences=told.silences,
        telling=told.telling,
        keys=keys,
        audit=_audit(config, home, database, clock, pipeline),
        accounts=accounts_of(config, home, database, clock),
        store_under_way=lambda: database.under_way,
        problems=tuple(str(problem) for problem in detector.problems),
        forget=detector.expire,
        newest=worked[-1].at if worked else LONG_AGO,
    )


def _audit(config: Config, home: Path, database: Database, clock: Clock, pipeline: Pipeline) -> AuditLog:
    """The audit log, which hears what people say about incidents, too."""
    audit = audit_of(config, home, database, clock)
    pipeline.desk.noted = audit.note
    return audit


def _batches(parts: Parts, hub: Hub) -> tuple[MetricBatches, ...]:
    return tuple(MetricBatches(sink, observe=hub, push_ms=getattr(sink, "push_ms", PUSH_MS)) for sink in parts.sinks)


def _pipeline(
    detector: Detector, record: Record, parts: Parts, governor: Governor, analysing: Analysing, machine: Machine
) -> Pipeline:
    return Pipeline(
        detector=detector,
        record=record,
        enrichment=Enrichment(parts.enrichers, governor=governor, clock=machine.clock, new_id=machine.ids()),
        analysis=analysing,
        clock=machine.clock,
    )


def _fallbacks(
    config: Config, outbox: SqliteOutbox, machine: Machine, channels: Sequence[str], lanes: Lanes
) -> Fallbacks:
    instead = instead_of(config.fallback, channels)
    return Fallbacks(outbox=outbox, clock=machine.clock, instead=instead, wake=lanes.wake)


def _budgets(config: Config) -> tuple[Budget, ...]:
    return (*config.budgets, *quotas(config))


def _actions(
    config: Config,
    governor: Governor,
    pipeline: Pipeline,
    outbox: SqliteOutbox,
    lookups: SqliteLookups,
    clock: Clock,
    channels: Sequence[str],
) -> BudgetActions:
    return BudgetActions(
        actions=config.actions,
        budgets=_budgets(config),
        governor=governor,
        pipeline=pipeline,
        outbox=outbox,
        lookups=lookups,
        clock=clock,
        channels=channels,
        models={name: tuple(service.models.values()) for name, service in config.services.items()},
    )


async def _analysing(
    config: Config, machine: Machine, parts: Parts, governor: Governor, lookups: SqliteLookups
) -> Analysing:
    kept = await lookups.setting(PSEUDONYM_KEY)
    if kept is None:
        kept = machine.token() + machine.token()
        await lookups.keep_setting(PSEUDONYM_KEY, kept)
    return Analysing(
        parts.analyst,
        governor=governor,
        policy=analysis_policy(config),
        pseudonyms=Pseudonyms(bytes.fromhex(kept), kinds=config.privacy.kinds),
        technique_exists=parts.technique_exists,
        token=machine.token,
        clock=machine.clock,
        new_id=machine.ids(),
    )


def analysis_policy(config: Config) -> Policy:
    """Which models are asked about an incident of which severity, in order of preference."""
    models = config.services["anthropic"].models if "anthropic" in config.services else {}
    triage, analysis, deep = (models.get(part) for part in ("triage", "analysis", "deep"))
    high = tuple(model for model in (analysis, triage) if model)
    critical = tuple(model for model in (deep, analysis, triage) if model)
    return Policy(models={Severity.HIGH: high, Severity.CRITICAL: critical})


def _keep(config: Config) -> Keep:
    """How many days each kind of record is kept; what the configuration does not say keeps its default."""
    known = {kept.name for kept in fields(Keep)}
    return replace(Keep(), **{kind: days for kind, days in config.retention_days.items() if kind in known})


async def _stop_and_return(
    app: App,
    opened: AsyncExitStack,
    database: Database,
    hub: Hub,
    resolve: Resolve,
    ask: Callable[[], Awaitable[Sequence[Tried]]],
) -> None:
    reach = app.config.emergency.reach
    more = await opened.enter_async_context(actuators(reach, database, clock=app.clock, observer=hub, resolve=resolve))
    app.emergency = app.actions.emergency = stop_and_return(app, database, more, ask)
    opened.push_async_callback(app.emergency.stepper.leave)
