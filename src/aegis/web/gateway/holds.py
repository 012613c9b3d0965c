"""What batches hold: the worst case of all their requests until their results are known, then what each really used.

Policy: a batch is held whole or not made; what its results do not say counts at the worst case of that request, and what
was not answered counts nothing. A hold whose process is gone counts as spent and is corrected by whoever learns more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import anyio

from aegis.app.gateway import Upstream
from aegis.app.keyring import Grant
from aegis.core.calls import Call, Usage
from aegis.core.errors import BadInput, BudgetExceeded, UnknownPrice
from aegis.core.metering.batches import Result
from aegis.core.money import CALL_MAX, Nanos, format_usd
from aegis.core.prices import Price
from aegis.governor.governor import Governor
from aegis.governor.reservation import Admission, Reservation
from aegis.stores.batches import Line, SqliteBatches, StoredBatch
from aegis.web.gateway.refusals import Refusal, refusal_of

TIER: Final = "batch"
MODELS_MAX: Final = 32
"""Models in one batch: each is a reservation."""


@dataclass(slots=True)
class _Sum:
    """What one model's requests come to."""

    cost: Nanos = 0
    usage: Counter[str] = field(default_factory=Counter)

    def add(self, cost: Nanos, usage: Usage) -> None:
        self.cost += cost
        self.usage.update(usage)
        self.usage["requests"] += 1

    @property
    def used(self) -> Usage:
        return {"requests": 0, **self.usage}


class Held:
    """The open reservations of one batch, one for each model."""

    def __init__(self) -> None:
        self.opened: list[tuple[Admission, Reservation]] = []

    @property
    def worst(self) -> Nanos:
        return sum(reservation.worst for _, reservation in self.opened)

    def attempts(self) -> Mapping[str, str]:
        return {reservation.model: reservation.id for _, reservation in self.opened}

    async def end(self) -> None:
        """End all of them: what was not settled counts at its worst case."""
        opened, self.opened = self.opened, []
        for admission, _ in opened:
            await admission.__aexit__(None, None, None)

    async def void(self) -> None:
        """Nothing was made: everything goes back."""
        for _, reservation in self.opened:
            reservation.void()
        await self.end()


class Holds:
    """The holds of all batches; those that this process made are kept open in memory."""

    def __init__(self, governor: Governor, store: SqliteBatches) -> None:
        self._governor, self._store = governor, store
        self._live: dict[tuple[str, str], Held] = {}
        self._unwanted: dict[str, str] = {}
        self._settling = anyio.Lock()

    async def reserve(self, call_id: str, grant: Grant, upstream: Upstream, lines: Sequence[Line]) -> Held:
        """Hold the worst case of every line, or nothing. Raises `Refusal`, which says how many lines need how much, and
        `StoreError`.
        """
        sums = await self._needs(upstream, lines)
        held = Held()
        try:
            for model, one in sums.items():
                admission = self._governor.admit(_call(call_id, grant, upstream, model, one))
                held.opened.append((admission, await admission.__aenter__()))
        except BudgetExceeded as error:
            await held.void()
            raise _refusal(error, len(lines), sum(one.cost for one in sums.values())) from error
        except BaseException:
            await held.void()
            raise
        return held

    async def _needs(self, upstream: Upstream, lines: Sequence[Line]) -> dict[str, _Sum]:
        """What the lines need at most, by model. Raises `Refusal`, and `UnknownPrice`."""
        prices = {model: self.price(upstream, model) for model in dict.fromkeys(line.model for line in lines)}
        if len(prices) > MODELS_MAX:
            raise Refusal(400, f"a batch asks at most {MODELS_MAX} models", code="too_many_models")
        sums: dict[str, _Sum] = {}
        await anyio.to_thread.run_sync(_add_up, lines, prices, sums)
        if sum(one.cost for one in sums.values()) > CALL_MAX:
            raise Refusal(400, "no batch costs that much", code="too_large")
        return sums

    def keep(self, batch: StoredBatch, held: Held) -> None:
        """The batch was made: it is held until it is settled."""
        name = batch.upstream, batch.id
        self._live[name] = held
        for _, reservation in held.opened:
            reservation.interrupted = partial(self._unwanted.__setitem__, batch.id, batch.owner)

    def unwanted(self) -> Sequence[tuple[str, str]]:
        """Id and owner of batches under way when a stop came that ends calls: their vendors are to cancel them."""
        return tuple(self._unwanted.items())

    def cancelled(self, batch_id: str) -> None:
        """The vendor has heard of it, or there is nothing to cancel any more."""
        self._unwanted.pop(batch_id, None)

    async def settle(self, batch: StoredBatch, results: AsyncIterator[Result], upstream: Upstream | None) -> bool:
        """Count a batch's results, once. False while another process holds it. Raises `StoreError`, and whatever
        `results` raise: then nothing is settled.
        """
        async with self._settling:
            now = await self._store.batch(batch.id, batch.owner)
            if now is None or now.settled:
                return True
            sums = await self._sums(now, results, upstream)
            with anyio.CancelScope(shield=True):
                return await self._count(now, sums)
            raise AssertionError("a shielded scope is never cancelled")

    async def lose(self, batch: StoredBatch) -> None:
        """Nobody will ever know what it came to: the worst case counts."""
        with anyio.CancelScope(shield=True):
            held = self._live.pop((batch.upstream, batch.id), None)
            worst = 0
            if held is not None:
                worst = held.worst
                await held.end()
            await self._store.settle(batch, worst)

    async def _sums(
        self, batch: StoredBatch, results: AsyncIterator[Result], upstream: Upstream | None
    ) -> dict[str, _Sum]:
        lines = {line.name: line for line in batch.lines}
        sums = {model: _Sum() for model in batch.held}
        prices: dict[str, Price] = {}
        async for result in results:
            line = lines.pop(result.name, None)
            if line is None or not result.billed or upstream is None:
                continue  # not billed, not asked for, or told twice
            if line.model not in prices:
                prices[line.model] = self.price(upstream, line.model)
            cost, used = _cost(prices[line.model], line, result)
            sums[line.model].add(cost, used)
        return sums

    async def _count(self, batch: StoredBatch, sums: Mapping[str, _Sum]) -> bool:
        held = self._live.pop((batch.upstream, batch.id), None)
        if held is not None:
            for _, reservation in held.opened:
                one = sums[reservation.model]
                reservation.settle(one.used, cost=one.cost)
            await held.end()
        else:
            for model, attempt in batch.held.items():
                if not await self._governor.correct(attempt, sums[model].used, sums[model].cost):
                    return False
        await self._store.settle(batch, sum(one.cost for one in sums.values()))
        return True

    def price(self, upstream: Upstream, model: str) -> Price:
        """What a model costs in a batch. Raises `UnknownPrice`."""
        return self._governor.price(upstream.service, model, TIER)


def _call(call_id: str, grant: Grant, upstream: Upstream, model: str, one: _Sum) -> Call:
    return Call(
        id=call_id,
        service=upstream.service,
        operation="batches",
        worst=one.used,
        models=(model,),
        scope=grant.scope,
        tier=TIER,
        cost=one.cost,
    )


def _add_up(lines: Iterable[Line], prices: Mapping[str, Price], sums: dict[str, _Sum]) -> None:
    for line in lines:
        sums.setdefault(line.model, _Sum()).add(prices[line.model].worst(line.worst), line.worst)


def _cost(price: Price, line: Line, result: Result) -> tuple[Nanos, Usage]:
    """What one result cost; the worst case of its request where it does not say what can be priced."""
    if result.usage is not None:
        try:
            return price.cost(result.usage), result.usage
        except (UnknownPrice, BadInput):
            pass
    return price.worst(line.worst), line.worst


def _refusal(error: BudgetExceeded, lines: int, need: Nanos) -> Refusal:
    refusal = refusal_of(error)
    said = f"{refusal}; the batch has {lines} lines and needs up to {format_usd(need)} USD"
    return Refusal(429, said, code=refusal.code, retry_after_ms=refusal.retry_after_ms)
