"""Limits that a person set by command: kept in the store with who and when, over what the configuration says.

Policy: the configuration file is never rewritten; the newest word about an amount holds; an amount below what is spent
already is allowed and refuses from then on; a lowered limit pulls the levels below it down with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Final

import orjson

from aegis.core.budgets import LEVELS, Amounts, Budget, Level
from aegis.core.errors import BadInput
from aegis.core.thresholds import check_order
from aegis.core.windows import WindowKind, WindowPolicy
from aegis.governor.governor import Governor
from aegis.stores.lookups import SqliteLookups

SETTING: Final = "budget_overrides"
"""The setting of the store that keeps them."""
KEPT_MAX: Final = 1_000
"""Words on record, the newest; those in force are never dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One word of a person about one amount, in the budget's unit; `amount` None takes earlier words back."""

    budget: str
    window: WindowKind
    level: Level
    amount: int | None
    by: str
    at: datetime

    @property
    def about(self) -> tuple[str, str, str]:
        return self.budget, self.window, self.level


def read(kept: str | None) -> list[Override]:
    """The words on record, oldest first."""
    rows = orjson.loads(kept) if kept else []
    return [Override(**{**row, "at": datetime.fromisoformat(row["at"])}) for row in rows]


async def add(lookups: SqliteLookups, budgets: Sequence[Budget], word: Override) -> Budget:
    """Put a word on record; the budget as it stands then. Raises `BadInput` for a budget or amount that cannot be,
    and `StoreError`.
    """
    words = [*read(await lookups.setting(SETTING)), word]
    found = next((b for b in overridden(budgets, words) if b.name == word.budget), None)
    if found is None:
        names = ", ".join(budget.name for budget in budgets)
        raise BadInput(f"there is no budget {word.budget[:64]}; the budgets are {names}", code="no_such_budget")
    _check(found, word)
    force = {one.about: one for one in words}
    spare = len(words) - KEPT_MAX
    kept = [one for number, one in enumerate(words) if number >= spare or force[one.about] is one]
    await lookups.keep_setting(SETTING, orjson.dumps([asdict(one) for one in kept]).decode())
    return found


def overridden(budgets: Sequence[Budget], words: Sequence[Override]) -> tuple[Budget, ...]:
    """The budgets under the words on record. Words about what is no longer configured change nothing."""
    force = {word.about: word for word in words}  # the newest word counts, also when it takes earlier ones back
    return tuple(_changed(budget, [w for w in force.values() if w.budget == budget.name]) for budget in budgets)


def _changed(budget: Budget, words: Sequence[Override]) -> Budget:
    windows = {amounts.window.kind: amounts for amounts in budget.windows}
    for word in sorted(words, key=lambda one: -LEVELS.index(one.level)):  # the limit first: the others stay below it
        if word.amount is None:
            continue
        amounts = windows.get(word.window)
        if amounts is not None:
            windows[word.window] = _set(amounts, word.level, word.amount)
        elif word.level == "emergency":
            like = budget.windows[0].window
            policy = WindowPolicy(kind=word.window, zone=like.zone, week_start=like.week_start)
            windows[word.window] = Amounts(window=policy, emergency=word.amount)
    return replace(budget, windows=tuple(windows.values())) if words else budget


def _set(amounts: Amounts, level: Level, amount: int) -> Amounts:
    match level:
        case "warning":
            return replace(amounts, warning=min(amount, amounts.emergency))
        case "critical":
            return replace(amounts, critical=min(amount, amounts.emergency))
    lower = {name: min(have, amount) for name, have in amounts.levels() if name != "emergency"}
    return replace(amounts, emergency=amount, warning=lower.get("warning"), critical=lower.get("critical"))


def _check(budget: Budget, word: Override) -> None:
    amounts = next((one for one in budget.windows if one.window.kind == word.window), None)
    if amounts is None:
        raise BadInput(
            f"{budget.name} has no {word.window} window; give it one by its emergency amount first",
            code="no_such_window",
        )
    if word.amount is not None and word.amount > amounts.emergency:
        raise BadInput(f"{word.level} must not be above emergency, which is the hard limit", code="bad_amount")
    if wrong := check_order(amounts):
        raise BadInput(f"{budget.name}, {word.window}: {wrong}", code="bad_amount")


class Overrides:
    """Holds a running Aegis to the words on record: `turn` looks whether somebody has said something new."""

    def __init__(
        self,
        budgets: Sequence[Budget],
        *,
        governor: Governor,
        lookups: SqliteLookups,
        more: Callable[[], Sequence[Budget]] = tuple,
    ) -> None:
        """`more` are budgets that come and go while Aegis runs: those of virtual keys."""
        self._budgets, self._governor, self._lookups, self._more = tuple(budgets), governor, lookups, more
        self._seen: tuple[str | None, Sequence[Budget]] = None, ()

    async def change(self, budgets: Sequence[Budget]) -> None:
        """From now on the configuration says this. Raises `StoreError`: then it holds from the next turn on."""
        self._budgets, self._seen = tuple(budgets), ("not read yet", ())
        await self.turn()

    async def turn(self) -> None:
        """Take over what is new. Raises `StoreError`."""
        seen = await self._lookups.setting(SETTING), self._more()
        if seen != self._seen:
            self._governor.rebudget(overridden((*self._budgets, *seen[1]), read(seen[0])))
            self._seen = seen
