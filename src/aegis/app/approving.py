"""The two-person rule: raising a budget above a set amount waits until somebody else agrees.

Policy: two persons are two accounts (by their API tokens) where there are accounts, else two users of the operating system;
a variable of the environment is nobody. What waits is over after a day; lowering a limit never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Final

import orjson

from aegis.app.overrides import SETTING, Override, add, overridden, read
from aegis.core.budgets import MONEY, Budget
from aegis.core.errors import BadInput
from aegis.stores.accounts import Approval, SqliteAccounts
from aegis.stores.lookups import SqliteLookups

WAITS: Final = timedelta(days=1)
BUDGET_SET: Final = "budget.set"


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
    approval = Approval(
        id=new_id("apr"),
        what=BUDGET_SET,
        asked_by=by,
        asked_at=now,
        expires_at=now + WAITS,
        body=orjson.dumps(asdict(word)).decode(),
        decided_by="",
        decided_at=None,
    )
    await kept.ask(approval)
    return approval


async def approve(
    kept: SqliteAccounts, lookups: SqliteLookups, budgets: Sequence[Budget], approval_id: str, *, by: str, now: datetime
) -> tuple[Approval, Override, Budget]:
    """Agree to what somebody else asked for; it counts from now on. Raises `BadInput` and `StoreError`."""
    found = await kept.approval(approval_id)
    if found is None:
        raise BadInput(f"nothing called {approval_id[:64]} waits: aegis approve", code="no_such_approval")
    if found.decided_at is not None:
        raise BadInput(f"{found.id} was agreed to by {found.decided_by} already", code="decided")
    if now >= found.expires_at:
        raise BadInput(f"{found.id} waited for more than a day: ask again", code="expired")
    if found.asked_by == by:
        raise BadInput(f"{found.id} was asked for by {by}: a second person has to agree", code="second_person")
    if not await kept.decide(found.id, by, now=now):
        raise BadInput(f"{found.id} was agreed to by somebody else meanwhile", code="decided")
    fields = orjson.loads(found.body)
    word = Override(**{**fields, "at": now, "by": f"{found.asked_by} and {by}"})
    return found, word, await add(lookups, budgets, replace(word, by=word.by[:120]))
