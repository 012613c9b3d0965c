"""A holder of allowances: it admits calls from memory, and reports to the ledger in batches.

Policy: a call that touches money is in the journal, durably, before it is sent; everything that waits at one moment
shares one transaction. When the ledger does not answer, nobody knows what was applied: the holder gives up all it was
lent, joins again under a new epoch, and corrects what its lost calls were counted at. See `core.escrow`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from aegis.core.budgets import Line
from aegis.core.errors import Fenced, StoreError
from aegis.core.escrow import LEASE_MS
from aegis.core.ledger import Correction, Entry, Grant, Shortage, Spent, Sync, Synced
from aegis.core.ports import Clock, Ledger
from aegis.governor.allowances import Allowance, Hold, Needs, settle

MILLISECOND_NS: Final = 1_000_000
LEASE_NS: Final = LEASE_MS * MILLISECOND_NS * 99 // 100
"""Counted from when the ledger was asked, and 1 % short: a holder always stops before the store takes back."""
IDLE_NS: Final = 2_000 * MILLISECOND_NS
"""Allowance unused this long goes back, so that other holders find it."""
SWEEP_NS: Final = 5_000 * MILLISECOND_NS
"""How often this holder looks for others that fell silent."""
TRIES: Final = 3
"""How often a call asks anew when its grant was overtaken (a window ended in between)."""
RECALL_TRIES: Final = 6
RECALL_PAUSE_MS: Final = 50
"""How long a call waits for allowance that other holders were asked to give back: 6 times 50 ms."""
NOTES_MAX: Final = 10_000
"""Records of refusals and cached answers that wait to be written; more are counted and dropped."""


@dataclass(slots=True)
class _Waiting:
    """A call whose needs have to be asked for; `gone` when nobody waits for the answer any more."""

    needs: Needs
    hold: Hold | None = None
    shortage: Shortage | None = None
    gone: bool = False


@dataclass(slots=True)
class _Ended:
    entry: Entry
    units: Mapping[int, int]
    epoch: int
    journalled: bool


@dataclass(slots=True)
class _Batch:
    """Everything that goes to the ledger together."""

    sent: list[tuple[int, Entry]] = field(default_factory=list)
    ended: list[_Ended] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    wants: list[_Waiting] = field(default_factory=list)
    done: anyio.Event = field(default_factory=anyio.Event)
    error: StoreError | None = None


class Holder:
    """One process's share of every budget. `news` hears of crossings and window resets, in line."""

    def __init__(self, *, ledger: Ledger, clock: Clock, name: str, news: Callable[[Synced], None]) -> None:
        self._ledger, self._clock, self._name, self._news = ledger, clock, name, news
        self._epoch = 0
        self._attempts = 0
        self._lease_until_ns = 0
        self._swept_ns = clock.monotonic_ns()
        self._doubtful = True
        self._stopped = False
        self._allowances: dict[str, Allowance] = {}
        self._retired: dict[int, Allowance] = {}
        self._dirty: set[Allowance] = set()
        self._alarmed: set[tuple[str, str]] = set()
        self._lending = False
        self._corrections: list[Correction] = []
        self._batch = _Batch()
        self._wake = anyio.Event()
        self.dropped_notes = 0

    # --- the hot path: memory only ----------------------------------------------------------------------------

    def take(self, needs: Needs) -> Hold | None:
        """Reserve every need from memory, or nothing: None when the ledger has to be asked."""
        now_ns = self._clock.monotonic_ns()
        if self._lending or now_ns >= self._lease_until_ns:
            return None
        now = self._clock.now()
        allowances = self._allowances
        parts = []
        for line, need in needs:
            allowance = allowances.get(line.key)
            if allowance is None or allowance.free < need or now >= allowance.ends_at:
                return None
            if allowance.line is not line and allowance.line != line:
                return None  # its limit or levels were changed: the ledger has to hear of it
            parts.append((allowance, need))
        journalled = False
        for allowance, need in parts:
            allowance.free -= need
            allowance.held += need
            allowance.used_ns = now_ns
            journalled = journalled or (need > 0 and allowance.line.journalled)
        self._attempts += 1
        return Hold(f"{self._name}-{self._epoch}-{self._attempts}", self._epoch, parts, journalled)

    def end(self, hold: Hold, amounts: Sequence[int], entry: Entry) -> None:
        """The attempt ended with these amounts, in the order of its parts. Never waits, never fails."""
        if hold.epoch == self._epoch:
            for (allowance, need), amount in zip(hold.parts, amounts, strict=True):
                settle(allowance, need, amount)
                self._dirty.add(allowance)
        units = {allowance.row: amount for (allowance, _), amount in zip(hold.parts, amounts, strict=True)}
        self._batch.ended.append(_Ended(entry, units, hold.epoch, hold.journalled))
        self._wake.set()

    def shrink(self, hold: Hold, needs: Sequence[int]) -> None:
        """A stream proceeded: hold less from now on. Crashing still counts what was journalled."""
        if hold.epoch != self._epoch:
            return
        for index, ((allowance, need), less) in enumerate(zip(hold.parts, needs, strict=True)):
            if less < need:
                allowance.held -= need - less
                allowance.free += need - less
                hold.parts[index] = (allowance, less)

    def note(self, entry: Entry, refused_row: int | None = None) -> None:
        """Write down, when there is time, an attempt that reserved nothing (refused, cached)."""
        if refused_row is not None:
            self._batch.refused.append(refused_row)
        if len(self._batch.ended) >= NOTES_MAX:
            self.dropped_notes += 1
        else:
            self._batch.ended.append(_Ended(entry, {}, self._epoch, journalled=False))
        self._wake.set()

    def next_attempt(self) -> str:
        """An identifier for an attempt that holds nothing."""
        self._attempts += 1
        return f"{self._name}-{self._epoch}-{self._attempts}"

    def allowance(self, line: Line) -> Allowance | None:
        """What is known in memory about a line."""
        return self._allowances.get(line.key)

    def idle(self, row: int) -> int:
        """What this holder has free of a row: lent, but held by no call."""
        return sum(a.free for a in (*self._allowances.values(), *self._retired.values()) if a.row == row)

    # --- asking the ledger -------------------------------------------------------------------------------------

    async def reserve(self, needs: Needs) -> Hold | Shortage:
        """Reserve every need, from memory or by asking the ledger; what is short when it cannot be had."""
        hold = self.take(needs)
        if hold is not None:
            return hold
        answer = await self._ask(needs)
        for _ in range(RECALL_TRIES):
            if isinstance(answer, Hold) or answer.elsewhere < _missing(answer):
                break
            await self._clock.sleep_ms(RECALL_PAUSE_MS)
            answer = await self._ask(needs)
        return answer

    async def sent(self, hold: Hold, entry: Entry) -> None:
        """Put an attempt into the journal; returns when it is durable. Raises `StoreError`: then it must not be sent."""
        batch = self._batch
        batch.sent.append((hold.epoch, entry))
        await self._wait(batch)
        if hold.epoch != self._epoch:
            raise Fenced("this process stood still for so long that its allowances were taken back")

    async def flush(self) -> None:
        """Everything reported so far is in the ledger when this returns. Raises `StoreError`."""
        await self._wait(self._batch)

    async def _ask(self, needs: Needs) -> Hold | Shortage:
        waiting = _Waiting(needs)
        for _ in range(TRIES):
            batch = self._batch
            batch.wants.append(waiting)
            try:
                await self._wait(batch)
            except BaseException:
                self._forget(waiting)
                raise
            if waiting.hold is not None:
                return waiting.hold
            if waiting.shortage is not None:
                return waiting.shortage
        raise StoreError("the ledger's windows move faster than a call can be admitted")

    def _forget(self, waiting: _Waiting) -> None:
        """The caller of a want was cancelled: what it was given goes back, and nothing more is asked for it."""
        waiting.gone = True
        if waiting.hold is not None:
            for allowance, need in waiting.hold.parts:
                settle(allowance, need, 0)

    async def _wait(self, batch: _Batch) -> None:
        assert not self._stopped, "the governor was left: nobody reports to the ledger any more"
        self._wake.set()
        await batch.done.wait()
        if batch.error is not None:
            raise batch.error

    # --- the reporter: one task, one batch at a time -----------------------------------------------------------

    async def run(self) -> None:
        """Report batches until `stop`. Shielded: calls that are being cancelled still have something to report."""
        with anyio.CancelScope(shield=True):
            while not self._stopped:
                await self._wake.wait()
                self._wake = anyio.Event()
                batch, self._batch = self._batch, _Batch()
                try:
                    await self._report(batch)
                except StoreError as error:
                    batch.error = error
                    self._lose(batch)
                batch.done.set()

    def stop(self) -> None:
        """End `run` when it has reported what is there."""
        self._stopped = True
        self._wake.set()

    async def renew(self) -> None:
        """One turn of housekeeping: renew the lease, give back what is idle, open windows that began, sweep."""
        now_ns, now = self._clock.monotonic_ns(), self._clock.now()
        if now_ns - self._swept_ns > SWEEP_NS:
            self._swept_ns = now_ns
            await self._ledger.sweep()
        for allowance in [a for a in self._allowances.values() if now >= a.ends_at]:
            if (allowance.line.budget, allowance.line.part) in self._alarmed:
                # Needing nothing, it makes the store open the window that began, and say so.
                self._batch.wants.append(_Waiting([(allowance.line, 0)]))
            else:
                self._retire(allowance)
        self._dirty.update(a for a in self._allowances.values() if a.free and self._unused(a, now_ns))
        lapsing = bool(self._allowances) and now_ns > self._lease_until_ns - LEASE_NS * 2 // 3
        if lapsing or self._dirty or self._batch.wants or self._batch.ended:
            await self.flush()

    async def leave(self) -> None:
        """Report what is left and give everything back."""
        await self.flush()
        await self._ledger.leave(self._name, self._epoch)
        self._drop()

    async def _report(self, batch: _Batch) -> None:
        if self._doubtful or self._clock.monotonic_ns() >= self._lease_until_ns:
            await self._join()
        wants = [waiting for waiting in batch.wants if not self._take_now(waiting)]
        self._lending = bool(wants)
        try:
            answer = await self._sync(batch, wants)
        finally:
            self._lending = False
        self._accept(wants, answer)

    async def _sync(self, batch: _Batch, wants: Sequence[_Waiting]) -> Synced:
        ended = [self._corrected(end) for end in batch.ended]
        corrections, self._corrections = self._corrections, []
        request = Sync(
            holder=self._name,
            epoch=self._epoch,
            sent=[entry for epoch, entry in batch.sent if epoch == self._epoch],
            ended=[entry for entry in ended if entry is not None],
            spent=self._spent(),
            corrections=corrections,
            refused=batch.refused,
            wants=[waiting.needs for waiting in wants],
            idle={a.row: a.free for a in self._allowances.values() if a.free} if wants else {},
        )
        asked_ns = self._clock.monotonic_ns()
        try:
            answer = await self._ledger.sync(request)
        except StoreError:
            self._corrections = corrections + self._corrections
            raise
        self._lease_until_ns = asked_ns + LEASE_NS
        return answer

    def _take_now(self, waiting: _Waiting) -> bool:
        """Whether memory can serve a waiting call after all (something was settled), or nobody waits any more."""
        if not waiting.gone:
            waiting.hold = self.take(waiting.needs)
        return waiting.gone or waiting.hold is not None

    def _corrected(self, ended: _Ended) -> Entry | None:
        """An attempt of an epoch that is over was counted at its worst case already: its truth is a correction."""
        if ended.epoch == self._epoch or not ended.journalled:
            return ended.entry
        self._corrections.append(_correction(ended))
        return None

    def _spent(self) -> list[Spent]:
        """What is to be reported of every row that changed; what nobody will use goes back with it."""
        now_ns = self._clock.monotonic_ns()
        reports = []
        for allowance in self._dirty:
            retired = allowance.row in self._retired
            returned = 0
            if retired or self._unused(allowance, now_ns):
                returned, allowance.free = allowance.free, 0
            if allowance.spent or allowance.excess or returned:
                reports.append(
                    Spent(row=allowance.row, units=allowance.spent, excess=allowance.excess, returned=returned)
                )
            allowance.settled += allowance.spent
            allowance.spent = allowance.excess = 0
            if retired and not allowance.held:
                del self._retired[allowance.row]
        self._dirty.clear()
        return reports

    def _accept(self, wants: Sequence[_Waiting], answer: Synced) -> None:
        for waiting, verdict in zip(wants, answer.verdicts, strict=True):
            waiting.shortage = verdict
            for line, _ in waiting.needs:
                grant = answer.grants.pop(line.key, None)
                if grant is not None:
                    self._lend(line, grant)
        for waiting in wants:
            if waiting.shortage is None:
                self._take_now(waiting)
        for allowance in self._allowances.values():
            if allowance.row in answer.recall and allowance.free:
                # Another holder was short of it: what no call holds goes back with the next report.
                allowance.used_ns = min(allowance.used_ns, self._clock.monotonic_ns() - IDLE_NS - 1)
                self._dirty.add(allowance)
        self._alarmed.update((news.budget, news.part) for news in answer.crossings)
        self._alarmed.difference_update((news.budget, news.part) for news in answer.resets)
        if answer.crossings or answer.resets:
            self._news(answer)

    def _lend(self, line: Line, grant: Grant) -> None:
        allowance = self._allowances.get(line.key)
        if allowance is None or allowance.row != grant.row:
            if allowance is not None:
                self._retire(allowance)
            allowance = self._allowances[line.key] = Allowance(line, grant)
        allowance.line = line
        allowance.free += grant.granted
        allowance.stands(grant)

    def _retire(self, allowance: Allowance) -> None:
        """Its window is over: what is free goes back, what is held stays until it is settled."""
        del self._allowances[allowance.line.key]
        self._retired[allowance.row] = allowance
        self._dirty.add(allowance)

    def _unused(self, allowance: Allowance, now_ns: int) -> bool:
        return now_ns - allowance.used_ns > IDLE_NS

    async def _join(self) -> None:
        """Begin anew. Whatever was lent before is the store's again, and counted."""
        asked_ns = self._clock.monotonic_ns()
        joined = await self._ledger.join(self._name)
        self._drop()
        self._epoch, self._lease_until_ns, self._doubtful = joined.epoch, asked_ns + LEASE_NS, False
        if joined.untold:
            self._news(Synced(crossings=list(joined.untold)))

    def _lose(self, batch: _Batch) -> None:
        """A report failed, and nobody knows whether it was applied. Money is no longer admitted from memory; what the
        report said of ended calls is told again after joining, as corrections and plain records.
        """
        self._doubtful = True
        told_again = [e for e in batch.ended if e.journalled] + [e for e in batch.ended if not e.journalled][:NOTES_MAX]
        self._batch.ended = told_again + self._batch.ended
        self._batch.refused = (batch.refused + self._batch.refused)[:NOTES_MAX]
        for allowance in [a for a in self._allowances.values() if a.line.journalled]:
            del self._allowances[allowance.line.key]

    def _drop(self) -> None:
        self._epoch, self._lease_until_ns, self._doubtful = 0, 0, True
        self._allowances.clear()
        self._retired.clear()
        self._dirty.clear()


def _missing(shortage: Shortage) -> int:
    return shortage.settled + shortage.held + shortage.need - shortage.limit


def _correction(ended: _Ended) -> Correction:
    entry = ended.entry
    return Correction(attempt=entry.attempt, cost=entry.cost, units=ended.units, body=entry.body)
