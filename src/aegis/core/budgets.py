"""Budgets: hard limits on money or a meter, per scope and window, and the one comparison that decides.

A budget becomes *lines*: one per window, one per value where a scope says `*`, and one more for every share kept for a
severity. A share needs no rule of its own: "30 % for CRITICAL" is a line with 70 % of the limit that every call
below CRITICAL has to fit as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Literal

from aegis.core.calls import Call, Priority, Usage
from aegis.core.throttles import ThrottleCurve
from aegis.core.usage import units_of
from aegis.core.windows import WindowPolicy

Level = Literal["warning", "critical", "emergency"]
LEVELS: tuple[Level, ...] = ("warning", "critical", "emergency")

MONEY = "usd"
"""The unit of money lines; any other unit is the name of a meter."""

ROUTES_REMEMBERED = 10_000
"""Combinations of scope values whose lines are remembered: values come from callers, so the memory is bounded."""


def fits(*, limit: int, settled: int, held: int, need: int) -> bool:
    """The one comparison: refuse when settled + held + need > limit."""
    return settled + held + need <= limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """The amounts of one window, in the budget's unit. `emergency` is the hard limit."""

    window: WindowPolicy
    emergency: int
    warning: int | None = None
    critical: int | None = None

    def levels(self) -> tuple[tuple[Level, int], ...]:
        """The levels that are set, lowest first."""
        pairs: tuple[tuple[Level, int | None], ...] = (
            ("warning", self.warning),
            ("critical", self.critical),
            ("emergency", self.emergency),
        )
        return tuple((level, amount) for level, amount in pairs if amount is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One budget of the configuration.

    `scope` names who or what it covers (empty: all; a value of `*` gives every value a budget of its own).
    `unit` is `usd` or a meter. `observe` decides and records but refuses nothing. `reserve` keeps percents of the
    limit for priorities: nobody below may use them. `throttle` slows calls down as the budget fills.
    """

    name: str
    windows: tuple[Amounts, ...]
    scope: Mapping[str, str] = field(default_factory=dict)
    unit: str = MONEY
    observe: bool = False
    reserve: Mapping[Priority, int] = field(default_factory=dict)
    throttle: ThrottleCurve | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What the ledger keeps count of: one budget, one part of its scope, one kind of window, perhaps one share.

    `journalled` lines count only calls whose record was durable before they were sent (money); the others count
    allowances handed out, and a crash forfeits what was out.
    """

    key: str
    budget: str
    part: str
    unit: str
    window: WindowPolicy
    limit: int
    levels: tuple[tuple[Level, int], ...] = ()
    share: str = ""
    observe: bool = False
    throttle: ThrottleCurve | None = None

    @property
    def journalled(self) -> bool:
        return self.unit == MONEY

    @property
    def name(self) -> str:
        """How people are told which line it was: `everything (day)`, `keys [red] (month)`."""
        part = f" [{self.part}]" if self.part else ""
        share = f", kept for {self.share} and up" if self.share else ""
        return f"{self.budget}{part} ({self.window.kind}{share})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """How one budget stands in its current window, in its own unit: what people, pages and `aegis budget` read.

    `window` is the kind (`day`), `window_key` the window itself (`2026-11-21`); `held` is reserved by calls under
    way; `crossed` are the levels crossed so far, `levels` the amounts of those that are set.
    """

    budget: str
    part: str
    window: str
    window_key: str
    unit: str
    limit: int
    settled: int
    held: int
    crossed: tuple[Level, ...]
    levels: Mapping[Level, int]
    resets_at: datetime
    refused: int = 0
    overrun: int = 0
    observe: bool = False


def lines_of(budget: Budget, part: str) -> tuple[Line, ...]:
    """All lines of a budget for one part of its scope (empty where the scope has no `*`)."""
    return tuple(chain.from_iterable(_window_lines(budget, amounts, part) for amounts in budget.windows))


def _window_lines(budget: Budget, amounts: Amounts, part: str) -> Iterator[Line]:
    key = f"{budget.name}|{part}|{amounts.window.kind}|{budget.unit}"
    line = Line(
        key=key,
        budget=budget.name,
        part=part,
        unit=budget.unit,
        window=amounts.window,
        limit=amounts.emergency,
        levels=amounts.levels(),
        observe=budget.observe,
        throttle=budget.throttle,
    )
    yield line
    kept = 0
    for priority in sorted(budget.reserve, reverse=True):
        kept += budget.reserve[priority]
        yield Line(
            key=f"{key}|below {priority.name}",
            budget=budget.name,
            part=part,
            unit=budget.unit,
            window=amounts.window,
            limit=amounts.emergency * (100 - kept) // 100,
            share=priority.name,
            observe=budget.observe,
        )


class Route:
    """The lines that one kind of call has to fit, grouped by unit: all lines of a unit need the same of it."""

    __slots__ = ("groups", "lines", "paid", "throttled", "units")

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = tuple(lines)
        self.units = tuple(dict.fromkeys(line.unit for line in lines))
        self.groups = tuple(tuple(line for line in lines if line.unit == unit) for unit in self.units)
        self.throttled = tuple(line for line in lines if line.throttle is not None)
        self.paid = self.units == (MONEY,)

    def needs(self, cost: int, usage: Usage) -> tuple[int, ...]:
        """What a cost and a usage take of each unit: money, or units of the meter."""
        if self.paid:
            return (cost,)
        if len(self.units) == 1:
            return (units_of(usage, self.units[0]),)
        return tuple([cost if unit == MONEY else units_of(usage, unit) for unit in self.units])


class BudgetBook:
    """Finds the lines of a call, at the same cost for ten budgets and for ten thousand.

    Budgets are grouped by the names of their scope; within a group the values are a dictionary key.
    """

    def __init__(self, budgets: Sequence[Budget]) -> None:
        self.budgets = tuple(budgets)
        self._groups: dict[tuple[str, ...], dict[tuple[str, ...], list[Budget]]] = {}
        for budget in budgets:
            names = tuple(sorted(budget.scope))
            exact = tuple(budget.scope[name] for name in names)
            self._groups.setdefault(names, {}).setdefault(exact, []).append(budget)
        self.names = tuple(sorted({name for names in self._groups for name in names}))
        """What budgets ask calls about: the names in any of their scopes."""
        self._shares = any(budget.reserve for budget in budgets)
        self._remembered: dict[tuple[str | Priority, ...], Route] = {}
        self._lines: dict[tuple[str, str], tuple[Line, ...]] = {}

    def route(self, call: Call, model: str) -> Route:
        """Every line that `call`, made with `model`, has to fit, in the order of their keys."""
        values: tuple[str | Priority, ...] = tuple([_value(call, model, name) for name in self.names])
        key = (*values, call.priority) if self._shares else values
        if call.alarm:
            key = (*key, "alarm")
        found = self._remembered.get(key)
        if found is None:
            found = self._find(dict(zip(self.names, map(str, values), strict=True)), call.priority, alarm=call.alarm)
            if len(self._remembered) >= ROUTES_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = found
        return found

    def part(self, budget: Budget, part: str) -> tuple[Line, ...]:
        """The lines of one part of a budget: the same objects every time, while they are remembered."""
        found = self._lines.get((budget.name, part))
        if found is None:
            if len(self._lines) >= ROUTES_REMEMBERED:
                self._lines.clear()
            found = self._lines[budget.name, part] = lines_of(budget, part)
        return found

    def _find(self, values: Mapping[str, str], priority: Priority, *, alarm: bool = False) -> Route:
        lines: list[Line] = []
        for names, by_value in self._groups.items():
            if alarm and not names_service(names):
                continue
            have = tuple(values[name] for name in names)
            for wanted, budgets in _matching(by_value, have):
                parts = [value for want, value in zip(wanted, have, strict=True) if want == "*"]
                for budget in budgets:
                    lines += self.part(budget, "/".join(parts))
        lines.sort(key=lambda line: line.key)
        return Route([line for line in lines if not line.share or priority < Priority[line.share]])


def names_service(names: Collection[str]) -> bool:
    """Whether a scope with these names says which service it is for: nothing wider covers an alarm."""
    return "service" in names or "provider" in names


def _matching(
    by_value: Mapping[tuple[str, ...], list[Budget]], have: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], list[Budget]]]:
    """The entries whose every value is the same or `*`. An empty value (the call does not say) matches neither."""
    if not all(have):
        return
    wanted: list[tuple[str, ...]] = [()]
    for value in have:
        wanted = [(*head, tail) for head in wanted for tail in dict.fromkeys((value, "*"))]
    for candidate in wanted:
        if candidate in by_value:
            yield candidate, by_value[candidate]


def _value(call: Call, model: str, name: str) -> str:
    """What a call says about one name of a scope."""
    value = call.scope.get(name)
    if value is not None:
        return value
    match name:
        case "service" | "provider":
            return call.service
        case "model":
            return model
        case "operation":
            return call.operation
        case "severity":
            return call.priority.name
    return ""
