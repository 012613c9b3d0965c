"""What people may say about a return besides asking for it: break it off, and agree to it as the second person.

Policy: credentials and workloads come back when two persons agree; the first one's word is on record for a day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from aegis.app import approving
from aegis.core.errors import BadInput
from aegis.core.stops import Grade, Stop, broken_off, heard
from aegis.emergency.planning import Orders, returnable
from aegis.emergency.ports import Parts
from aegis.emergency.stopping import switch_of
from aegis.stores.accounts import Approval, SqliteAccounts

WORDS_MAX: Final = 1_000


async def ask(
    kept: SqliteAccounts,
    orders: Orders,
    stop: Stop,
    *,
    by: str,
    root_cause: str,
    new_id: Callable[[str], str],
    now: datetime,
) -> Approval | None:
    """Ask for the return of a stop, or for what its return could not give back: it begins at once up to G2 (None), beyond
    it waits for a second person. Raises `BadInput` and `StoreError`.
    """
    if stop.plan.grade <= Grade.G2:
        await orders.recover(stop.id, by=by, approver=by, root_cause=root_cause[:WORDS_MAX])
        return None
    returnable(stop)
    if not root_cause.strip():
        raise BadInput("A return needs its root cause in words", code="not_approved")
    return await approving.ask_for_return(kept, stop.id, root_cause[:WORDS_MAX], new_id=new_id, by=by, now=now)


async def agree(kept: SqliteAccounts, orders: Orders, approval: Approval, *, by: str, now: datetime) -> Stop:
    """Agree to a return that somebody else asked for: it begins. Raises `BadInput` and `StoreError`."""
    await approving.agree(kept, approval, by=by, now=now)
    stop_id, root_cause = approving.return_of(approval)
    return await orders.recover(stop_id, by=approval.asked_by, approver=by, root_cause=root_cause)


async def break_off(parts: Parts, stop_id: str, *, by: str) -> Stop:
    """Break a return off: the stop is again what it was, and what was given back already is stopped again. Raises
    `BadInput` when nothing returns, and `StoreError`.
    """
    stop, now_ms = await parts.stops.get(stop_id), parts.now_ms()
    if stop.state != "returning":
        raise BadInput(f"{stop_id} is {stop.state}: there is no return to break off", code="not_returning")
    after = broken_off(heard(stop, now_ms, f"{by} broke the return off"))
    after = replace(after, ramp=None, version=stop.version + 1)
    if not await parts.stops.save(after):
        raise BadInput(f"{stop_id} went on meanwhile; look again", code="changed")
    if not stop.plan.only_targets:
        await parts.board.turn(switch_of(after, stop.plan.percent, now_ms))
    await parts.audit.note(by, "return.broken_off", {"stop": stop.id, "by": by})
    return after
