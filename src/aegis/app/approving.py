"""The two-person rule: raising a budget above a set amount, and giving back credentials and programs where there are
accounts, wait until somebody else agrees.

Policy: two persons are two accounts (by their API tokens) where there are accounts, else two users of the operating system;
a variable of the environment is nobody. What waits is over after a day; lowering a limit never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from aegis.app.overrides import SETTING, Override, add, overridden, read
from aegis.core.budgets import MONEY, Budget
from aegis.core.errors import BadInput
from aegis.stores.accounts import Approval, SqliteAccounts
from aegis.stores.lookups import SqliteLookups

WAITS: Final = timedelta(days=1)
BUDGET_SET: Final = "budget.set"
STOP_RETURN: Final = "stop.return"


async def needs_two(lookups: SqliteLookups, budgets: Sequence[Budget], word: Override, above: int | None) -> bool:
    """Whether a word raises an amount of money above what one person may set. Raises `StoreError`."""
    if above is None:
        return False
    words = read(await lookups.setting(SETTING))
    before, after = (_amounts(overridden(budgets, heard), word.budget) for heard in (words, [*words, word]))
    return any(amount > above and amount > before.get(about, 0) for about, amount in after.items())


def _amounts(budgets: Sequence[Budget], name: str) -> dict[tuple[str, str], int]:
    found = [budget for budget in budgets if budget.name == name and budget.unit == MONEY]
    return {
        (amounts.window.kind, level): amount
        for budget in found
        for amounts in budget.windows
        for level, amount in amounts.levels()
    }


async def ask(
    kept: SqliteAccounts, word: Override, *, new_id: Callable[[str], str], by: str, now: datetime
) -> Approval:
    """Put a word on record that counts when a second person agrees. Raises `StoreError`."""
    return await _ask(kept, BUDGET_SET, asdict(word), new_id=new_id, by=by, now=now)


async def ask_for_return(
    kept: SqliteAccounts, stop_id: str, root_cause: str, *, new_id: Callable[[str], str], by: str, now: datetime
) -> Approval:
    """The same for the return of a stop. Raises `StoreError`."""
    return await _ask(kept, STOP_RETURN, {"stop": stop_id, "root_cause": root_cause}, new_id=new_id, by=by, now=now)


async def _ask(
    kept: SqliteAccounts, what: str, body: Mapping[str, Any], *, new_id: Callable[[str], str], by: str, now: datetime
) -> Approval:
    approval = Approval(
        id=new_id("apr"),
        what=what,
        asked_by=by,
        asked_at=now,
        expires_at=now + WAITS,
        body=orjson.dumps(body).decode(),
        decided_by="",
        decided_at=None,
    )
    await kept.ask(approval)
    return approval


async def asked_for(kept: SqliteAccounts, approval_id: str) -> Approval:
    """What waits under an id. Raises `BadInput` when nothing does, and `StoreError`."""
    found = await kept.approval(approval_id)
    if found is None:
        raise BadInput(f"nothing called {approval_id[:64]} waits: aegis approve", code="no_such_approval")
    return found


async def agree(kept: SqliteAccounts, found: Approval, *, by: str, now: datetime) -> None:
    """A second person says yes, once. Raises `BadInput` and `StoreError`."""
    if found.decided_at is not None:
        raise BadInput(f"{found.id} was agreed to by {found.decided_by} already", code="decided")
    if now >= found.expires_at:
        raise BadInput(f"{found.id} waited for more than a day: ask again", code="expired")
    if found.asked_by == by:
        raise BadInput(f"{found.id} was asked for by {by}: a second person has to agree", code="second_person")
    if not await kept.decide(found.id, by, now=now):
        raise BadInput(f"{found.id} was agreed to by somebody else meanwhile", code="decided")


async def set_agreed(
    lookups: SqliteLookups, budgets: Sequence[Budget], found: Approval, *, by: str, now: datetime
) -> tuple[Override, Budget]:
    """Set the budget that two have agreed to; it counts from now on. Raises `BadInput` and `StoreError`."""
    fields = orjson.loads(found.body)
    word = Override(**{**fields, "at": now, "by": f"{found.asked_by} and {by}"[:120]})
    return word, await add(lookups, budgets, word)


def return_of(found: Approval) -> tuple[str, str]:
    """The stop and the root cause of a return that waits."""
    fields = orjson.loads(found.body)
    return str(fields["stop"]), str(fields["root_cause"])
