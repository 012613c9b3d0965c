"""What `aegis stop` and `aegis recover` share: the stops of a state folder, how they read, and who takes them further."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from aegis.cli.session import Session, say, show
from aegis.core.errors import BadInput, ConfigError

if TYPE_CHECKING:
    from aegis.config.settings import Config
    from aegis.core.ports import Clock, NewId
    from aegis.core.stops import Plan, Stop, StopState
    from aegis.emergency.planning import Orders
    from aegis.stores.database import Database
    from aegis.stores.ledger import SqliteLedger
    from aegis.stores.stops import SqliteStops

WAIT_SECONDS: Final = 30
"""How long a command waits for a stop to be done: a program that is stopped has ten seconds to end by itself."""
LOOK_SECONDS: Final = 0.1
SHOWN_MAX: Final = 50
"""Targets of a plan that are shown to people; `--json` shows all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The stops of a store, and what orders are given by."""

    config: Config
    clock: Clock
    new_id: NewId
    database: Database
    stops: SqliteStops
    ledger: SqliteLedger
    orders: Orders


@asynccontextmanager
async def desk(run: Session) -> AsyncIterator[Desk]:
    """The stops of this session's store, made if need be; also while Aegis runs. Raises `StoreError`, `ConfigError`."""
    from aegis.app.auditing import audit_of
    from aegis.app.emergency import parts_of
    from aegis.app.reach import actuators
    from aegis.app.system import SystemClock, random_ids
    from aegis.emergency.planning import Orders
    from aegis.stores.database import Database
    from aegis.stores.ledger import SqliteLedger
    from aegis.stores.stops import SqliteStops

    config, clock = run.config(), SystemClock()
    database = await Database.open(config.store.path(run.make_home()))
    try:
        new_id = random_ids(clock)
        resolve, audit = run.resolver(config).resolve, audit_of(config, run.home, database, clock)
        reach = config.emergency.reach
        async with actuators(reach, database, clock=clock, observer=lambda _: None, resolve=resolve) as more:
            parts = parts_of(database, clock, new_id, audit=audit, more=more)
            orders = Orders(parts, new_id=new_id, preauthorised=config.emergency.preauthorised)
            stops, ledger = SqliteStops(database), SqliteLedger(database, clock)
            yield Desk(
                config=config, clock=clock, new_id=new_id, database=database, stops=stops, ledger=ledger, orders=orders
            )
    finally:
        await database.close()


async def needs_account(here: Desk, two_people: bool) -> bool:
    """Whether who says so has to be an account: it takes two people, and there are accounts to tell them apart by."""
    from aegis.stores.accounts import SqliteAccounts

    return two_people and await SqliteAccounts(here.database).any()


async def taken_further(run: Session, here: Desk, stop_id: str, *, state: StopState) -> Stop:
    """The stop when it has left `state`, or rests in it: the running Aegis takes it further, else this command does, as
    far as it goes at once.
    """
    import anyio

    from aegis.cli.beside import is_busy
    from aegis.cli.opened import opened

    if is_busy(run.home):
        return await _left(here, stop_id, state)
    try:
        async with opened(run) as (app, _), anyio.create_task_group() as tasks:
            tasks.start_soon(app.run)
            stop = await _left(here, stop_id, state)
            tasks.cancel_scope.cancel()
    except ConfigError as error:
        say(f"Nobody takes it further yet ({error}): `aegis up` does, as soon as it runs")
        return await here.stops.get(stop_id)
    return stop


async def _left(here: Desk, stop_id: str, state: StopState) -> Stop:
    import anyio

    stop = await here.stops.get(stop_id)
    with anyio.move_on_after(WAIT_SECONDS):
        while stop.state == state and stop.ramp is None:
            await anyio.sleep(LOOK_SECONDS)
            stop = await here.stops.get(stop_id)
    return stop


async def chosen(here: Desk, stop_id: str) -> Stop:
    """The stop that is named, or the one that stands. Raises `BadInput` when there is none, or when there are several."""
    if stop_id:
        return await here.stops.get(stop_id)
    standing = await here.stops.standing()
    if not standing:
        raise BadInput("nothing is stopped by a plan; `aegis stop` shows the switches", code="no_such_stop")
    if len(standing) > 1:
        raise BadInput(f"there are several stops, name one: {', '.join(one.id for one in standing)}", code="several")
    return standing[0]


def plan_row(stop: Stop) -> dict[str, Any]:
    """A stop with its plan, for programs."""
    from aegis.core.money import format_usd

    plan = stop.plan
    return {
        "id": stop.id,
        "state": stop.state,
        "hash": stop.hashed,
        "grade": plan.grade.name,
        "scope": dict(plan.scope),
        "reason": plan.reason,
        "by": plan.by,
        "at": stamp(plan.at_ms),
        "expires_at": stamp(plan.expires_ms) if plan.expires_ms else None,
        "percent": plan.percent,
        "pool_usd": format_usd(plan.pool),
        "cancel": plan.cancel,
        "doing_nothing_costs_usd": format_usd(plan.burn),
        "targets": [
            {"kind": t.kind, "id": t.id, "name": t.name, "second_person": t in plan.second_person} for t in plan.targets
        ],
        "unseen": list(plan.unseen),
        "applied_by": stop.applied_by,
        "approver": stop.approver,
        "root_cause": stop.root_cause,
        "incident": stop.incident,
        "failed": dict(stop.failed),
        "checks": [{"name": c.name, "good": c.good, "text": c.text, "blocking": c.blocking} for c in stop.checks],
        "share": None if stop.ramp is None else stop.ramp.share,
        "why": "" if stop.ramp is None else stop.ramp.why,
    }


def show_plan(plan: Plan) -> None:
    """A plan, for people."""
    from aegis.core.money import show_usd
    from aegis.core.stops import Grade

    effects = {
        Grade.G0: f"rates are lowered to {plan.percent} %",
        Grade.G1: "no call is admitted",
        Grade.G2: "no call is admitted, what processes were lent is taken back, virtual keys are held",
        Grade.G3: "as G2, and credentials are disabled at their provider",
        Grade.G4: "as G3, and registered programs are stopped",
    }
    show(f"{plan.grade.name} on {scope_text(plan.scope)}: {effects[plan.grade]}")
    show(f"  until    {stamp(plan.expires_ms) if plan.expires_ms else 'somebody gives it back (aegis recover)'}")
    if plan.pool:
        show(f"  exempt   CRITICAL calls, up to {show_usd(plan.pool)}")
    show(f"  calls    under way {'are ended and counted at their worst case' if plan.cancel else 'end by themselves'}")
    show(f"  doing nothing costs {show_usd(plan.burn)} an hour (what it came to in the last one)")
    for target in plan.targets[:SHOWN_MAX]:
        who = "needs a second person" if target in plan.second_person else "pre-authorised"
        show(f"  target   {target.key}  {target.name}  ({who})")
    if len(plan.targets) > SHOWN_MAX:
        show(f"  and {len(plan.targets) - SHOWN_MAX} targets more (--json shows all)")
    for words in plan.unseen:
        show(f"  UNSEEN   {words}")
    if not plan.targets:
        show("  target   none: only Aegis' own switches are turned")


def show_stop(stop: Stop) -> None:
    """A stop of record, for people."""
    show(f"{stop.id}  {stop.state}  {stop.plan.grade.name} on {scope_text(stop.plan.scope)}: {stop.plan.reason}")
    for check in stop.checks:
        show(f"  {'good   ' if check.good else 'WRONG  ' if check.blocking else 'look at'} {check.name}: {check.text}")
    if stop.ramp is not None:
        show(f"  {stop.ramp.share} % of the calls since {stamp(stop.ramp.since_ms)}; {stop.ramp.why}")
    for at_ms, words in stop.said[-SHOWN_MAX:]:
        show(f"  {stamp(at_ms)}  {words}")


def scope_text(scope: Mapping[str, str]) -> str:
    """A scope as people read it."""
    from aegis.governor.switch import scope_text as text

    return text(scope)


def stamp(at_ms: int) -> str:
    """A moment of a record, RFC 3339."""
    from aegis.core.wording import rfc3339

    return rfc3339(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms))
