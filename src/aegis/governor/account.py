"""What has been spent and what is left: the answers that people, pages and commands read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from aegis.core.budgets import Balance, BudgetBook, Line
from aegis.core.ledger import Row
from aegis.core.money import Nanos
from aegis.core.ports import Clock, Ledger
from aegis.governor.records import Explanation, explanation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What the calls of one service came to: `calls` were made, `cached` answered for nothing, `refused` not made."""

    service: str
    calls: int = 0
    cached: int = 0
    refused: int = 0
    cost: Nanos = 0


class Account:
    """Reads the ledger. `idle` says what this process has free of each row: lent to it, but held by no call."""

    def __init__(self, ledger: Ledger, book: BudgetBook, clock: Clock, idle: Callable[[], Mapping[int, int]]) -> None:
        self._ledger, self._book, self._clock, self._idle = ledger, book, clock, idle

    async def balances(self) -> Sequence[Balance]:
        """How every budget stands: one balance per part and window, in the order of the configuration."""
        lines: list[Line] = []
        for budget in self._book.budgets:
            parts = await self._ledger.parts(budget.name) if "*" in budget.scope.values() else [""]
            lines += [line for part in parts for line in self._book.part(budget, part) if not line.share]
        rows = await self._ledger.rows(lines)
        idle = self._idle()
        return [self._balance(line, row, idle.get(row.id, 0)) for line, row in zip(lines, rows, strict=True)]

    async def spent(self, since: date | None = None) -> Sequence[Spend]:
        """What each service came to since a day (UTC), or in all."""
        sums: dict[str, Spend] = {}
        for total in await self._ledger.totals(since or date.min):
            sum_ = sums.get(total.service, Spend(service=total.service))
            match total.state:
                case "refused":
                    sum_ = replace(sum_, refused=sum_.refused + total.calls)
                case "cached":
                    sum_ = replace(sum_, cached=sum_.cached + total.calls)
                case _:
                    sum_ = replace(sum_, calls=sum_.calls + total.calls, cost=sum_.cost + total.cost)
            sums[total.service] = sum_
        return list(sums.values())

    async def explain(self, call_id: str) -> Sequence[Explanation]:
        """Every attempt of a call, oldest first: what it needed of which line, which gate refused it and why."""
        entries = await self._ledger.attempts(call_id)
        numbers = sorted({row for entry in entries for rows, _ in entry.holds for row in rows})
        names = {row.id: (_name(row), row.unit) for row in await self._ledger.numbered(numbers)}
        return [explanation(entry, names) for entry in entries]

    def _balance(self, line: Line, row: Row, idle: int) -> Balance:
        ends = _EPOCH + timedelta(milliseconds=row.ends_ms)
        return Balance(
            budget=line.budget,
            part=line.part,
            window=line.window.kind,
            window_key=row.window,
            unit=line.unit,
            limit=line.limit,
            settled=row.settled,
            held=max(0, row.leased - idle),
            crossed=tuple(level for bit, (level, _) in enumerate(row.levels) if row.crossed & 1 << bit),
            levels=dict(line.levels),
            resets_at=self._clock.now() + timedelta(milliseconds=line.window.span_ms) if row.rolling else ends,
            refused=row.refused,
            overrun=row.overrun,
            observe=line.observe,
        )


def _name(row: Row) -> str:
    part = f" [{row.part}]" if row.part else ""
    share = f", kept for {row.share} and up" if row.share else ""
    return f"{row.budget}{part} ({row.kind} {row.window}{share})"
