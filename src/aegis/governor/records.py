"""Journal entries of attempts, and what they explain afterwards: which gate, which line, need, free, resets at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from aegis.core.budgets import MONEY
from aegis.core.calls import Call, Priority, Usage
from aegis.core.errors import BudgetExceeded, Refused
from aegis.core.ledger import Entry, EntryState, Shortage
from aegis.core.money import Nanos, show_usd

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PRIORITIES = ("", *(priority.name for priority in sorted(Priority)))
"""The names of priorities by their number: asking one for its name costs as much as the rest of a record."""
TEXT_MAX = 500
"""Characters of a refusal's sentence that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineNeed:
    """What an attempt reserved of one budget line."""

    line: str
    unit: str
    need: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an attempt was admitted or refused, and how it ended. Amounts of a refusal are in the line's unit."""

    call_id: str
    attempt: str
    state: EntryState
    service: str
    model: str
    operation: str
    scope: Mapping[str, str]
    priority: str
    at: datetime
    worst: Nanos
    cost: Nanos
    usage: Mapping[str, int] = field(default_factory=dict)
    lines: tuple[LineNeed, ...] = ()
    gate: str = ""
    message: str = ""
    refusal: Mapping[str, Any] = field(default_factory=dict)


def budget_refusal(shortage: Shortage, now: datetime) -> BudgetExceeded:
    """The refusal for a line that is short, in words: who, how much, and when it opens again."""
    line = shortage.line
    left = max(0, shortage.limit - shortage.settled - shortage.held)
    when = f"; resets at {shortage.resets_at:%Y-%m-%d %H:%M} UTC" if shortage.resets_at else ""
    retry_ms = (shortage.resets_at - now) // timedelta(milliseconds=1) if shortage.resets_at else None
    return BudgetExceeded(
        f"{line.name} has {amount(left, line.unit)} left of {amount(shortage.limit, line.unit)} "
        f"({amount(shortage.settled, line.unit)} settled, {amount(shortage.held, line.unit)} held), "
        f"the call needs up to {amount(shortage.need, line.unit)}{when}",
        budget=line.budget,
        line=line.name,
        limit=shortage.limit,
        settled=shortage.settled,
        held=shortage.held,
        need=shortage.need,
        row=shortage.row,
        retry_after_ms=retry_ms,
    )


def amount(units: int, unit: str) -> str:
    """An amount as people read it."""
    return show_usd(units, decimals=4) if unit == MONEY else f"{units:,} {unit}"


def sent_body(call: Call) -> bytes:
    """What the journal keeps of a call when it is sent."""
    name = PRIORITIES[call.priority]
    return orjson.dumps({"operation": call.operation, "scope": call.scope, "priority": name, "usage": call.worst})


def ended_body(call: Call, usage: Usage, failure: str = "", served: str = "") -> bytes:
    """What the journal keeps of a call that ended: its true usage, or the worst case where that is what counts. A call
    that another model served than the one it asked for first says which one that was.
    """
    name = PRIORITIES[call.priority]
    body = {"operation": call.operation, "scope": call.scope, "priority": name, "usage": usage, "message": failure}
    if served and served != call.models[0]:
        body["wanted"] = call.models[0]
        body["tier"] = call.tier
    return orjson.dumps(body)


def refused_body(call: Call, refusal: Refused) -> bytes:
    """What the journal keeps of a refusal: everything that explains it."""
    why: dict[str, Any] = {"retry_after_ms": refusal.retry_after_ms}
    if isinstance(refusal, BudgetExceeded):
        names = ("budget", "line", "limit", "settled", "held", "need")
        why |= {name: getattr(refusal, name) for name in names}
    return orjson.dumps(
        {
            "operation": call.operation,
            "scope": call.scope,
            "priority": PRIORITIES[call.priority],
            "usage": call.worst,
            "gate": refusal.gate,
            "message": str(refusal)[:TEXT_MAX],
            "refusal": why,
        }
    )


def explanation(entry: Entry, lines: Mapping[int, tuple[str, str]]) -> Explanation:
    """The explanation of one journal entry; `lines` gives the name and unit of each row it holds."""
    body = orjson.loads(entry.body)
    needs: Sequence[LineNeed] = [
        LineNeed(line=lines[row][0], unit=lines[row][1], need=need)
        for rows, need in entry.holds
        for row in rows
        if row in lines
    ]
    return Explanation(
        call_id=entry.call_id,
        attempt=entry.attempt,
        state=entry.state,
        service=entry.service,
        model=entry.model,
        operation=body.get("operation", ""),
        scope=body.get("scope", {}),
        priority=body.get("priority", ""),
        at=_EPOCH + timedelta(milliseconds=entry.at_ms),
        worst=entry.worst,
        cost=entry.cost,
        usage=body.get("usage", {}),
        lines=tuple(needs),
        gate=body.get("gate", ""),
        message=body.get("message", ""),
        refusal=body.get("refusal", {}),
    )
