"""What one crossed level set off, as it is kept on record, and when its window is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aegis.core.budgets import Balance, Budget, Level
from aegis.core.telemetry import LevelCrossed, WindowReset
from aegis.core.windows import SLOTS


@dataclass(slots=True, kw_only=True)
class Standing:
    """What one crossing set off. `waiting` are actions still to be done; `slowed` and `stopped` (scope, reason) are
    in force until the window is over.
    """

    budget: str
    window: str
    level: Level
    incident: str
    at: datetime
    waiting: list[str]
    percent: int = 100
    slowed: list[str] = field(default_factory=list)
    stopped: list[tuple[dict[str, str], str]] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    """Stops of record that hold keys."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.budget, self.window, self.level

    @property
    def kind(self) -> str:
        """The kind of window: `day` of `day 2026-11-21`."""
        return self.window.partition(" ")[0]

    @property
    def holds(self) -> bool:
        return bool(self.waiting or self.slowed or self.stopped or self.held)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Standing:
        stopped = [(dict(scope), str(reason)) for scope, reason in row["stopped"]]
        return cls(**{**row, "at": datetime.fromisoformat(row["at"]), "stopped": stopped})


def part_of(budget: Budget, named: str) -> str | None:
    """The part that a told name is about (`keys [red]`), empty for a whole budget; None for another budget's name."""
    if named == budget.name:
        return ""
    head = f"{budget.name} ["
    return named[len(head) : -1] if named.startswith(head) and named.endswith("]") else None


def named(balance: Balance) -> str:
    return f"{balance.budget} [{balance.part}]" if balance.part else balance.budget


def window_of(balance: Balance) -> str:
    return balance.window if balance.window == "rolling" else f"{balance.window} {balance.window_key}"


def crossings(balance: Balance, now: datetime) -> Iterable[LevelCrossed]:
    for level in balance.crossed:
        yield LevelCrossed(
            at=now,
            budget=named(balance),
            window=window_of(balance),
            level=level,
            spent=balance.settled,
            limit=balance.limit,
        )


def ends(reset: WindowReset, standing: Standing) -> bool:
    """Whether a window that opened ends the one of a crossing."""
    same = reset.budget == standing.budget and reset.window.partition(" ")[0] == standing.kind
    return same and (standing.kind == "rolling" or reset.window != standing.window)


def is_over(standing: Standing, balance: Balance | None, now: datetime) -> bool:
    """Whether the window of a crossing is over, or its budget is no longer there. A rolling one is over for a
    crossing when it holds less than the lowest level again, a slot of it after the crossing at the earliest.
    """
    if balance is None:
        return True
    if balance.window == "rolling":
        slid = now - standing.at >= (balance.resets_at - now) / SLOTS
        return slid and bool(balance.levels) and balance.settled < min(balance.levels.values())
    return window_of(balance) != standing.window


def scope_words(scope: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in scope.items()) or "everything"
