"""A holder of allowances: it admits calls from memory, and reports to the ledger in batches.

Policy: a call that touches money is in the journal, durably, before it is sent; everything that waits at one moment
shares one transaction. When the ledger does not answer, nobody knows what was applied: the holder gives up what it was
lent for money, joins again under a new epoch, and corrects what its lost calls were counted at. See `core.escrow`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio

from aegis.core.budgets import Line, Route
from aegis.core.errors import Fenced, StoreError
from aegis.core.escrow import LEASE_MS
from aegis.core.ledger import Correction, Entry, Shortage, Sync, Synced
from aegis.core.ports import Clock, Ledger
from aegis.governor.allowances import Allowance, Allowances, Hold
from aegis.governor.batches import Batch, Ended, Want

MILLISECOND_NS: Final = 1_000_000
LEASE_NS: Final = LEASE_MS * MILLISECOND_NS * 99 // 100
"""Counted from when the ledger was asked, and 1 % short: a holder always stops before the store takes back."""
RENEW_NS: Final = LEASE_NS * 2 // 3
"""A lease is renewed when a third of it is over."""
REPORT_COUNT: Final = 256
REPORT_NS: Final = 20 * MILLISECOND_NS
"""Calls that ended are reported when there are this many, or with the next call after this long, or by a tick."""
SWEEP_NS: Final = 5_000 * MILLISECOND_NS
"""How often this holder looks for others that fell silent."""
TRIES: Final = 3
"""How often a call asks anew when its grant was overtaken (a window ended in between)."""
RECALL_TRIES: Final = 6
RECALL_PAUSE_MS: Final = 50
"""How long a call waits for allowance that other holders were asked to give back: 6 times 50 ms."""
NOTES_MAX: Final = 10_000
"""Records of refusals and cached answers that wait to be written; more are counted and dropped."""


class Holder:
    """One process's share of every budget. `news` hears of crossings and window resets, in line."""

    def __init__(self, *, ledger: Ledger, clock: Clock, name: str, news: Callable[[Synced], None]) -> None:
        self._ledger, self._clock, self._name, self._news = ledger, clock, name, news
        self._allowances = Allowances()
        self._epoch = self._attempts = self._lease_until_ns = 0
        self._doubtful, self._lending, self._stopped = True, False, False
        self._signature = f"/{name}-0-"
        self._ended: list[Ended] = []
        self._refused: list[int] = []
        self._shrunk: dict[Hold, tuple[int, ...]] = {}
        self._late: list[Correction] = []
        self._alarmed: set[tuple[str, str]] = set()
        self._first_ended_ns = self._swept_ns = clock.monotonic_ns()
        self._batch = self._reporting = Batch()
        self._wake = anyio.Event()
        self.dropped_notes = 0

    # --- memory only ------------------------------------------------------------------------------------------

    def take(self, call_id: str, route: Route, needs: tuple[int, ...], *, granted: bool = False) -> Hold | None:
        """Reserve every need from memory, or nothing: None when the ledger has to be asked. `granted` says that it just
        was: then its clock has said which window it is, and this process's, which may have leapt, is not asked.
        """
        now_ns = self._clock.monotonic_ns()
        if self._lending or now_ns >= self._lease_until_ns:
            return None
        bundle = self._allowances.bundle(route)
        if bundle is None:
            return None
        if not granted and bundle.ends_at is not None and self._clock.now() >= bundle.ends_at:
            return None
        if not bundle.take(needs):
            return None
        bundle.used_ns = now_ns
        return Hold(self.attempt(call_id), self._epoch, bundle, needs)

    def end(self, hold: Hold, amounts: tuple[int, ...], entry: Entry) -> None:
        """The attempt ended with these amounts, unit by unit. Never waits, never fails."""
        if self._shrunk:
            self._shrunk.pop(hold, None)
        hold.ended = True
        if hold.epoch == self._epoch:
            self._allowances.settle(hold, amounts)
        self._remember(Ended(entry, hold, amounts))

    def shrink(self, hold: Hold, needs: tuple[int, ...]) -> None:
        """A stream proceeded and needs at most this much: the rest is free once the journal says so too, since a crash
        counts what the journal holds.
        """
        self._shrunk[hold] = tuple(map(min, needs, hold.needs))

    def note(self, entry: Entry, refused_row: int | None = None) -> None:
        """Write down, when there is time, an attempt that reserved nothing (refused, cached)."""
        if len(self._ended) >= NOTES_MAX:
            self.dropped_notes += 1
            return
        if refused_row is not None:
            self._refused.append(refused_row)
        self._remember(Ended(entry))

    def attempt(self, call_id: str) -> str:
        """An identifier for one attempt of a call: unique, since the ledger gives an epoch once."""
        self._attempts += 1
        return f"{call_id}{self._signature}{self._attempts}"

    def allowance(self, line: Line) -> Allowance | None:
        """What is known in memory about a line."""
        return self._allowances.get(line)

    def idle(self) -> Mapping[int, int]:
        """What this holder has free of every row: lent, but held by no call."""
        return self._allowances.idle()

    def _remember(self, ended: Ended) -> None:
        if not self._ended:
            self._first_ended_ns = self._clock.monotonic_ns()
        self._ended.append(ended)
        if len(self._ended) >= REPORT_COUNT and not self._doubtful:
            self._wake.set()

    # --- asking the ledger ------------------------------------------------------------------------------------

    async def reserve(self, call_id: str, route: Route, needs: tuple[int, ...]) -> Hold | Shortage:
        """Reserve every need, asking the ledger for what is missing; what is short when it cannot be had."""
        answer = await self._ask(call_id, route, needs)
        for _ in range(RECALL_TRIES):
            if isinstance(answer, Hold) or answer.elsewhere < _missing(answer):
                break
            await self._clock.sleep_ms(RECALL_PAUSE_MS)
            answer = await self._ask(call_id, route, needs)
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
        self._batch.whole = True
        await self._wait(self._batch)

    async def correct(self, correction: Correction) -> None:
        """What an attempt of a lost process came to; returns when it is in the ledger. Raises `StoreError`: the ledger
        hears of it with a later report.
        """
        self._late.append(correction)
        await self.flush()

    async def _ask(self, call_id: str, route: Route, needs: tuple[int, ...]) -> Hold | Shortage:
        waiting = Want(call_id, route, needs)
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

    def _forget(self, waiting: Want) -> None:
        """The caller of a want was cancelled: what it was given goes back, and nothing more is asked for it."""
        waiting.gone = True
        hold = waiting.hold
        if hold is not None and hold.epoch == self._epoch:
            hold.bundle.give_back(hold.needs)

    def _wait(self, batch: Batch) -> asyncio.Future[None]:
        if self._stopped:
            raise StoreError("the governor was left: nobody reports to the ledger any more")
        if not batch.waiting:
            self._wake.set()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        batch.waiting.append(future)
        return future

    # --- the reporter: one task, one batch at a time ----------------------------------------------------------

    async def run(self) -> None:
        """Report batches until `stop`. Shielded: calls that are being cancelled still have something to report."""
        with anyio.CancelScope(shield=True):
            try:
                while not self._stopped:
                    await self._wake.wait()
                    self._wake = anyio.Event()
                    self._reporting, self._batch = self._batch, Batch()
                    self._reporting.over(await self._report_or_doubt(self._reporting))
            finally:
                # Whoever waits hears of the end, however it came about.
                self._stopped = True
                for batch in (self._reporting, self._batch):
                    batch.over(StoreError("the ledger's reporter came to an end"))

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
        for allowance in self._allowances.current():
            if now < allowance.ends_at:
                continue
            if (allowance.line.budget, allowance.line.part) in self._alarmed:
                # Needing nothing, it makes the store open the window that began, and say so.
                self._batch.wants.append(Want("", Route([allowance.line]), (0,)))
            else:
                self._allowances.retire(allowance)
        self._allowances.mark_idle(now_ns)
        lapsing = bool(self._allowances) and now_ns > self._lease_until_ns - RENEW_NS
        if lapsing or self._ended or self._batch.wants or self._allowances.unreported:
            await self.flush()

    async def leave(self) -> None:
        """Report what is left and give everything back; calls still under way count at their worst case."""
        self._allowances.return_all()
        await self.flush()
        await self._ledger.leave(self._name, self._epoch)
        self._drop()

    async def _report_or_doubt(self, batch: Batch) -> StoreError | None:
        try:
            try:
                await self._report(batch)
            except Fenced:
                # Nothing was applied: join again and tell the rest. What was about to be sent is not (`sent` says so).
                self._doubtful = True
                await self._report(batch)
        except StoreError as error:
            # Nobody knows whether it was applied: money is no longer admitted from memory.
            self._doubtful = True
            self._allowances.drop(journalled_only=True)
            return error
        return None

    async def _report(self, batch: Batch) -> None:
        if self._doubtful or self._clock.monotonic_ns() >= self._lease_until_ns:
            await self._join()
        wants = [waiting for waiting in batch.wants if not self._take_now(waiting)]
        sent = [entry for epoch, entry in batch.sent if epoch == self._epoch]
        if sent and not (wants or batch.whole):
            # Who is about to send waits for its own record only; what ended is reported when they have gone on.
            await self._ledger.sync(Sync(holder=self._name, epoch=self._epoch, sent=sent, renew=False))
            batch.over()
            batch.sent, sent = [], []
        if not (wants or batch.whole or self._due()):
            return
        self._lending = bool(wants)
        try:
            answer = await self._sync(sent, wants)
        finally:
            self._lending = False
        self._accept(wants, answer)

    def _due(self) -> bool:
        """Whether calls that ended are reported now. Until then a crash counts them at their worst case, so waiting
        is safe, and it keeps short what others wait for.
        """
        now_ns = self._clock.monotonic_ns()
        late = bool(self._ended) and now_ns - self._first_ended_ns > REPORT_NS
        return late or len(self._ended) >= REPORT_COUNT or now_ns > self._lease_until_ns - RENEW_NS

    async def _sync(self, sent: Sequence[Entry], wants: Sequence[Want]) -> Synced:
        """A whole report. What it says of ended calls is kept until it was applied, and told again if it was not."""
        ended, self._ended = self._ended, []
        refused, self._refused = self._refused, []
        late, self._late = self._late, []
        shrunk = {hold: needs for hold, needs in self._shrunk.items() if hold.epoch == self._epoch}
        self._shrunk = {}
        request = Sync(
            holder=self._name,
            epoch=self._epoch,
            sent=sent,
            ended=[e.entry for e in ended if e.hold is None or e.hold.epoch == self._epoch or not self._lost(e)],
            shrunk={hold.attempt: hold.rows_at(needs) for hold, needs in shrunk.items()},
            spent=self._allowances.reports(self._clock.monotonic_ns()),
            corrections=late
            + [
                self._correction(e.hold, e)
                for e in ended
                if e.hold is not None and e.hold.epoch != self._epoch and self._lost(e)
            ],
            refused=refused,
            wants=[waiting.lines() for waiting in wants],
            idle=self._idle_after(shrunk, wants) if wants else {},
        )
        asked_ns = self._clock.monotonic_ns()
        try:
            answer = await self._ledger.sync(request)
        except StoreError:
            self._ended, self._late = ended + self._ended, late + self._late
            self._refused = (refused + self._refused)[:NOTES_MAX]
            raise
        self._lease_until_ns = asked_ns + LEASE_NS
        self._allowances.reported()
        for hold, needs in shrunk.items():
            if not hold.ended:
                hold.shrink(needs)
        return answer

    def _idle_after(self, shrunk: Mapping[Hold, tuple[int, ...]], wants: Sequence[Want]) -> dict[int, int]:
        """What will be free of each row that is asked for when the report is applied: holds that shrink give back."""
        idle = self._allowances.free(line for waiting in wants for line in waiting.route.lines)
        for hold, needs in shrunk.items():
            for rows, had, has in zip(hold.bundle.rows, hold.needs, needs, strict=True):
                for row in rows:
                    if row in idle:
                        idle[row] += had - has
        return idle

    def _take_now(self, waiting: Want, *, granted: bool = False) -> bool:
        """Whether memory can serve a waiting call after all (something was settled), or nobody waits any more."""
        if not waiting.gone:
            waiting.hold = self.take(waiting.call_id, waiting.route, waiting.needs, granted=granted)
        return waiting.gone or waiting.hold is not None

    def _lost(self, ended: Ended) -> bool:
        """Whether an attempt was counted at its worst case already, since its epoch is over."""
        return ended.hold is not None and ended.hold.epoch != self._epoch and ended.hold.journalled

    def _correction(self, hold: Hold, ended: Ended) -> Correction:
        entry = ended.entry
        return Correction(
            attempt=entry.attempt,
            cost=entry.cost,
            units=hold.units(ended.amounts),
            body=entry.body,
            state="worst" if entry.state == "worst" else "settled",
        )

    def _accept(self, wants: Sequence[Want], answer: Synced) -> None:
        for waiting, verdict in zip(wants, answer.verdicts, strict=True):
            waiting.shortage = verdict
            for line in waiting.route.lines:
                grant = answer.grants.pop(line.key, None)
                if grant is not None:
                    self._allowances.lend(line, grant)
        for waiting in wants:
            if waiting.shortage is None:
                self._take_now(waiting, granted=True)
        if answer.recall:
            self._allowances.recall(answer.recall, self._clock.monotonic_ns())
        self._alarmed.update((news.budget, news.part) for news in answer.crossings)
        self._alarmed.difference_update((news.budget, news.part) for news in answer.resets)
        if answer.crossings or answer.resets:
            self._news(answer)

    async def _join(self) -> None:
        """Begin anew. Whatever was lent before is the store's again, and counted."""
        asked_ns = self._clock.monotonic_ns()
        joined = await self._ledger.join(self._name)
        self._drop()
        self._epoch, self._lease_until_ns, self._doubtful = joined.epoch, asked_ns + LEASE_NS, False
        self._signature = f"/{self._name}-{self._epoch}-"
        if joined.untold:
            self._news(Synced(crossings=list(joined.untold)))

    def _drop(self) -> None:
        self._epoch, self._lease_until_ns, self._doubtful = 0, 0, True
        self._signature = f"/{self._name}-0-"
        self._allowances.drop()


def _missing(shortage: Shortage) -> int:
    return shortage.settled + shortage.held + shortage.need - shortage.limit
