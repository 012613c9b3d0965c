"""What one process may spend of each budget line without asking: plain counters, changed only on its event loop.

At any moment free + freed + held + spent = lent + excess: nothing is spent that was not lent, unless a true cost was
above its worst case, and then it is known as `excess`. What an ended call did not use is only `freed` until the journal
knows that the call ended: a crash before counts that call at its worst case, so nobody else may use it yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from aegis.core.budgets import ROUTES_REMEMBERED, Line, Route
from aegis.core.ledger import Grant, Holds, Spent

IDLE_NS: Final = 2_000_000_000
"""Allowance unused this long goes back, so that other holders find it."""


class Allowance:
    """What this holder has of one row: `lent` by the store, `free` to reserve, `spent` and `freed` by calls that ended
    and were not reported yet; `freeing` is being reported now. What calls hold is all the rest: counting it, too, would
    be one more number to change on every line of every call.
    """

    __slots__ = (
        "ends_at",
        "excess",
        "free",
        "freed",
        "freeing",
        "lent",
        "limit",
        "line",
        "others",
        "row",
        "settled",
        "spent",
        "used_ns",
    )

    def __init__(self, line: Line, grant: Grant) -> None:
        self.line, self.row, self.ends_at = line, grant.row, grant.ends_at
        self.lent = self.free = self.freed = self.freeing = self.spent = self.excess = self.used_ns = 0
        self.limit = self.settled = self.others = 0

    def stands(self, grant: Grant) -> None:
        """Remember how the row stood in the store: for the throttle, never for a decision about money."""
        self.limit, self.settled = grant.limit, grant.settled
        self.others = grant.leased - self.idle - self.held - self.spent

    @property
    def idle(self) -> int:
        """Lent, and needed by no call."""
        return self.free + self.freed + self.freeing

    @property
    def held(self) -> int:
        """By calls under way."""
        return self.lent + self.excess - self.free - self.freed - self.freeing - self.spent

    @property
    def used(self) -> int:
        """Settled and held, as far as this holder knows."""
        return self.settled + self.spent + self.held + self.others

    def settle(self, need: int, amount: int) -> None:
        """A call that held `need` ended with `amount`."""
        self.spent += amount
        if amount <= need:
            self.freed += need - amount
            return
        beyond = amount - need
        covered = min(self.free, beyond)
        self.free -= covered
        self.excess += beyond - covered


class Bundle:
    """The allowances of one route, grouped by unit as the route is, looked up once and used for many calls."""

    __slots__ = ("ends_at", "groups", "money", "rows", "units", "used_ns")

    def __init__(self, groups: Sequence[Sequence[Allowance]]) -> None:
        self.groups = tuple(tuple(group) for group in groups)
        self.units = tuple(enumerate(self.groups))
        self.rows = tuple(tuple(allowance.row for allowance in group) for group in groups)
        self.money = next((i for i, group in enumerate(self.groups) if group[0].line.journalled), None)
        self.ends_at: datetime | None = min((a.ends_at for group in groups for a in group), default=None)
        self.used_ns = 0

    def take(self, needs: Sequence[int]) -> bool:
        """Hold every need on every line, or nothing on any."""
        for unit, group in self.units:
            need = needs[unit]
            for allowance in group:
                if allowance.free < need:
                    return False
        for unit, group in self.units:
            need = needs[unit]
            for allowance in group:
                allowance.free -= need
        return True

    def settle(self, needs: Sequence[int], amounts: Sequence[int]) -> None:
        """A call that held `needs` ended with `amounts`."""
        for unit, group in self.units:
            need, amount = needs[unit], amounts[unit]
            if amount > need:
                for allowance in group:
                    allowance.settle(need, amount)
                continue
            back = need - amount
            for allowance in group:
                allowance.spent += amount
                allowance.freed += back

    def give_back(self, needs: Sequence[int]) -> None:
        """Hold less by `needs`, of which the journal never knew or no longer holds."""
        for group, need in zip(self.groups, needs, strict=True):
            for allowance in group:
                allowance.free += need


class Hold:
    """What one attempt has reserved, and under which epoch."""

    __slots__ = ("_rows", "attempt", "bundle", "ended", "epoch", "journalled", "needs")

    def __init__(self, attempt: str, epoch: int, bundle: Bundle, needs: tuple[int, ...]) -> None:
        self.attempt, self.epoch, self.bundle, self.needs = attempt, epoch, bundle, needs
        self.ended = False
        self._rows: Holds | None = None
        self.journalled = bundle.money is not None and needs[bundle.money] > 0

    def rows(self) -> Holds:
        """The numbers of rows and what is held of each of them, for the journal."""
        if self._rows is None:
            self._rows = self.rows_at(self.needs)
        return self._rows

    def rows_at(self, needs: Sequence[int]) -> Holds:
        """The same for other needs."""
        return tuple([(rows, need) for rows, need in zip(self.bundle.rows, needs, strict=True) if need])

    def shrink(self, needs: Sequence[int]) -> None:
        """Hold less: the rest is free again."""
        self.bundle.give_back([had - has for had, has in zip(self.needs, needs, strict=True)])
        self.needs, self._rows = tuple(needs), None

    def units(self, amounts: Sequence[int]) -> dict[int, int]:
        """Amounts by row number."""
        return {row: amount for rows, amount in zip(self.bundle.rows, amounts, strict=True) for row in rows}


class Allowances:
    """Everything that this process was lent and has not given back."""

    def __init__(self) -> None:
        self._current: dict[str, Allowance] = {}
        self._retired: set[Allowance] = set()
        self._bundles: dict[Route, Bundle] = {}
        self._used: set[Bundle] = set()
        self._dirty: set[Allowance] = set()
        self._reporting: list[Allowance] = []

    @property
    def unreported(self) -> bool:
        """Whether anything was spent or is to go back."""
        return bool(self._used or self._dirty)

    def __bool__(self) -> bool:
        return bool(self._current)

    def get(self, line: Line) -> Allowance | None:
        return self._current.get(line.key)

    def current(self) -> Iterable[Allowance]:
        return list(self._current.values())

    def idle(self) -> Mapping[int, int]:
        """What is free of every row: lent, but held by no call."""
        idle: Counter[int] = Counter()
        for allowance in (*self._current.values(), *self._retired):
            idle[allowance.row] += allowance.idle
        return idle

    def free(self, lines: Iterable[Line]) -> dict[int, int]:
        """What will be free of the rows of these lines when the report that is being made is applied."""
        held = [a for line in lines if (a := self._current.get(line.key)) is not None]
        return {a.row: a.free + a.freeing for a in held}

    def reported(self) -> None:
        """The report was applied: what it told of is free."""
        for allowance in self._reporting:
            allowance.free += allowance.freeing
            allowance.freeing = 0
        self._reporting = []

    def bundle(self, route: Route) -> Bundle | None:
        """The allowances of a route, if every line has one under the limit and levels that it has now."""
        found = self._bundles.get(route)
        if found is not None:
            return found
        groups = []
        for lines in route.groups:
            group = [a for line in lines if (a := self._current.get(line.key)) is not None and a.line == line]
            if len(group) < len(lines):
                return None
            groups.append(group)
        if len(self._bundles) >= ROUTES_REMEMBERED:
            self._forget_bundles()
        bundle = self._bundles[route] = Bundle(groups)
        return bundle

    def settle(self, hold: Hold, amounts: Sequence[int]) -> None:
        """A call that held something ended."""
        hold.bundle.settle(hold.needs, amounts)
        self._used.add(hold.bundle)

    def lend(self, line: Line, grant: Grant) -> None:
        """The ledger lent some of a line, perhaps of a new window of it."""
        allowance = self._current.get(line.key)
        if allowance is None or allowance.row != grant.row:
            if allowance is not None:
                self.retire(allowance)
            self._forget_bundles()
            allowance = self._current[line.key] = Allowance(line, grant)
        elif allowance.line is not line:
            self._forget_bundles()
            allowance.line = line
        allowance.lent += grant.granted
        allowance.free += grant.granted
        allowance.stands(grant)

    def retire(self, allowance: Allowance) -> None:
        """Its window is over: what is free goes back, what is held stays until it is settled."""
        self._forget_bundles()
        del self._current[allowance.line.key]
        self._retired.add(allowance)
        self._dirty.add(allowance)

    def recall(self, rows: Iterable[int], now_ns: int) -> None:
        """Another holder was short of these rows: what no call holds goes back with the next report."""
        wanted = set(rows)
        self._forget_bundles()
        for bundle in self._used:
            bundle.used_ns = 0  # the report that follows must not take it for in use
        for allowance in self._current.values():
            if allowance.row in wanted and allowance.idle:
                allowance.used_ns = min(allowance.used_ns, now_ns - IDLE_NS - 1)
                self._dirty.add(allowance)

    def return_all(self) -> None:
        """Nothing more will be admitted: all that is free goes back with the next report."""
        for allowance in list(self._current.values()):
            self.retire(allowance)

    def mark_idle(self, now_ns: int) -> None:
        """What was not used for a while goes back with the next report."""
        _remember(self._bundles.values())
        self._dirty.update(a for a in self._current.values() if a.idle and now_ns - a.used_ns > IDLE_NS)

    def reports(self, now_ns: int) -> list[Spent]:
        """What is to be reported of every row that changed; what nobody will use goes back with it."""
        # Only of what was used: a holder may have thousands of lines, and few of them change between two reports.
        _remember(self._used)
        for bundle in self._used:
            for group in bundle.groups:
                self._dirty.update(group)
        dirty = list(self._dirty)
        # A call whose hold had shrunk to nothing ended in a window that was given back whole: back for this report.
        self._retired.update(a for a in dirty if self._current.get(a.line.key) is not a)
        self._used.clear()
        self._dirty.clear()
        self._reporting = dirty
        return [report for allowance in dirty if (report := self._report(allowance, now_ns)) is not None]

    def drop(self, *, journalled_only: bool = False) -> None:
        """Forget what was lent: the ledger has taken it back, or may have."""
        self._forget_bundles()
        if journalled_only:
            self._current = {key: a for key, a in self._current.items() if not a.line.journalled}
            # Of the rest the ledger takes back the whole lease in any case; what ended calls freed of it stays unused,
            # since the correction of such a call refunds it.
            self._reporting = []
            return
        self._used.clear()
        self._dirty.clear()
        self._current.clear()
        self._retired.clear()

    def _report(self, allowance: Allowance, now_ns: int) -> Spent | None:
        retired = allowance in self._retired
        allowance.freeing, allowance.freed = allowance.freed, 0
        returned = 0
        if retired or now_ns - allowance.used_ns > IDLE_NS:
            returned = allowance.free + allowance.freeing
            allowance.free = allowance.freeing = 0
        units, excess = allowance.spent, allowance.excess
        allowance.settled += units
        allowance.lent += excess - units - returned
        allowance.spent = allowance.excess = 0
        if retired and not allowance.held:
            self._retired.discard(allowance)
        if not (units or excess or returned):
            return None
        return Spent(row=allowance.row, units=units, excess=excess, returned=returned)

    def _forget_bundles(self) -> None:
        _remember(self._bundles.values())
        self._bundles.clear()


def _remember(bundles: Iterable[Bundle]) -> None:
    """When the allowances of these bundles were last used."""
    for bundle in bundles:
        used_ns = bundle.used_ns
        for group in bundle.groups:
            for allowance in group:
                allowance.used_ns = max(allowance.used_ns, used_ns)
