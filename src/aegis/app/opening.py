"""Opens an Aegis: reads the store, joins the ledger, wires every part, and closes all of it in the right order."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path

from aegis.app.hub import Hub
from aegis.app.running import App
from aegis.app.services import build_parts, policies, private_hosts, quotas, used_names
from aegis.app.system import SystemClock, random_ids
from aegis.config.settings import Config
from aegis.core.incidents import Incident, Severity
from aegis.core.notifications import Change, Delivery
from aegis.core.ports import Clock, Http, NewId
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.core.telemetry import Happened
from aegis.governor.governor import Governor
from aegis.governor.pricing import load_prices
from aegis.incidents.analysis import Analysing, Policy
from aegis.incidents.delivery import Lanes
from aegis.incidents.detection import Detector
from aegis.incidents.enrichment import Enrichment
from aegis.incidents.grouping import Grouping
from aegis.incidents.metric_batches import MetricBatches
from aegis.incidents.pipeline import Pipeline
from aegis.incidents.pseudonyms import Pseudonyms
from aegis.incidents.record import Record
from aegis.incidents.routing import deliveries
from aegis.incidents.rules.pack import load_pack
from aegis.stores.answers import SqliteAnswers
from aegis.stores.database import Database
from aegis.stores.events import SqliteEvents
from aegis.stores.incidents import SqliteIncidents
from aegis.stores.ledger import SqliteLedger
from aegis.stores.lookups import SqliteLookups
from aegis.stores.outbox import SqliteOutbox
from aegis.stores.retention import Keep, Retention
from aegis.transport.http import OutboundHttp

PSEUDONYM_KEY = "pseudonym_key"
"""The setting that keeps the installation's pseudonym key: stand-ins stay the same from prompt to prompt."""


@asynccontextmanager
async def open_app(
    config: Config,
    *,
    home: Path,
    resolve: Callable[[Reference], Secret],
    clock: Clock | None = None,
    new_id: NewId | None = None,
    observers: tuple[Callable[[Happened], None], ...] = (),
    chance: random.Random | None = None,
    link_base: str = "",
    watch_http: Callable[[Http], Http] = lambda http: http,
) -> AsyncIterator[App]:
    """One whole Aegis on the store in `home`, until the block ends.

    `clock`, `new_id` and `chance` replace this machine's time and randomness (rehearsals); `watch_http` may put
    something around the outbound client. Raises `ConfigError` and `StoreError`: then nothing was started.
    """
    clock = clock or SystemClock()
    new_id = new_id or random_ids(clock)
    hub = Hub(*observers)
    async with AsyncExitStack() as opened:
        database = await Database.open(config.store.path(home))
        opened.push_async_callback(database.close)
        outbound = OutboundHttp(clock=clock, observer=hub, allow_private=private_hosts(config, resolve))
        opened.push_async_callback(outbound.close)
        http = watch_http(outbound)
        parts = build_parts(config, home=home, http=http, clock=clock, new_id=new_id, resolve=resolve)
        lookups = SqliteLookups(database)
        governor = await opened.enter_async_context(
            Governor(
                budgets=(*config.budgets, *quotas(config)),
                prices=load_prices(home, config.prices),
                ledger=SqliteLedger(database, clock),
                clock=clock,
                services=policies(config),
                answers=SqliteAnswers(database),
                observers=(hub,),
            )
        )
        pack = load_pack(config.detection.rules)
        incidents, outbox, events = SqliteIncidents(database), SqliteOutbox(database), SqliteEvents(database, clock)
        token = _token(chance)
        services = [notifier.name for notifier in parts.notifiers]
        analysing = Analysing(
            parts.analyst,
            governor=governor,
            policy=_policy(config),
            pseudonyms=Pseudonyms(await _pseudonym_key(lookups, token), kinds=config.privacy.kinds),
            technique_exists=parts.technique_exists,
            token=token,
            clock=clock,
            new_id=new_id,
        )

        def plan(incident: Incident, change: Change, *, now: datetime) -> tuple[Delivery, ...]:
            return deliveries(incident, change, services=services, now=now, routes=config.routes, link_base=link_base)

        grouping = Grouping(new_id=new_id, hubs=config.detection.stop_list)
        pipeline = Pipeline(
            detector=Detector(pack),
            record=Record(grouping=grouping, store=incidents, plan=plan, clock=clock, observe=hub),
            enrichment=Enrichment(parts.enrichers, governor=governor, clock=clock, new_id=new_id),
            analysis=analysing,
            clock=clock,
        )
        pick = (chance or random.Random()).randrange
        app = App(
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
            lanes=Lanes(outbox=outbox, notifiers=parts.notifiers, clock=clock, pick=pick, observe=hub),
            batches=tuple(MetricBatches(sink, observe=hub) for sink in parts.sinks),
            retention=Retention(database, _keep(config)),
            services_used=used_names(parts),
        )
        hub.add(app.notice)
        for batch in app.batches:
            hub.add(batch)
        await pipeline.resume()
        yield app


def _policy(config: Config) -> Policy:
    """Which models are asked about an incident of which severity, in order of preference."""
    models = config.services["anthropic"].models if "anthropic" in config.services else {}
    triage, analysis, deep = (models.get(part) for part in ("triage", "analysis", "deep"))
    high = tuple(model for model in (analysis, triage) if model)
    critical = tuple(model for model in (deep, analysis, triage) if model)
    return Policy(models={Severity.HIGH: high, Severity.CRITICAL: critical})


def _keep(config: Config) -> Keep:
    """How many days each kind of record is kept; what the configuration does not say keeps its default."""
    known = {field.name for field in fields(Keep)}
    return replace(Keep(), **{kind: days for kind, days in config.retention_days.items() if kind in known})


def _token(chance: random.Random | None) -> Callable[[], str]:
    """128 random bits as text; drawn from `chance` where a rehearsal has to repeat."""
    return (lambda: f"{chance.getrandbits(128):032x}") if chance else (lambda: secrets.token_hex(16))


async def _pseudonym_key(lookups: SqliteLookups, token: Callable[[], str]) -> bytes:
    kept = await lookups.setting(PSEUDONYM_KEY)
    if kept is None:
        kept = token() + token()
        await lookups.keep_setting(PSEUDONYM_KEY, kept)
    return bytes.fromhex(kept)
