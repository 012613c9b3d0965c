"""The runner of the outbox: every service has its own lane, and no lane waits for another.

Policy: claim, send, record, at least once. A delivery whose sender dies is given back by its lease; a failure that may
pass is tried again for a day, then kept as a dead letter; what a service refuses for good is a dead letter at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import anyio

from aegis.core.breakers import BreakerState
from aegis.core.errors import Billed, ServiceError, StoreError
from aegis.core.incidents import Incident
from aegis.core.notifications import Delivery, Receipt
from aegis.core.ports import Clock, Incidents, Notifier, Outbox, Work
from aegis.core.telemetry import DeliveryEnded, Observer
from aegis.incidents.digest import digest, may_fold
from aegis.incidents.lane import DEFAULT_RULE, GIVE_UP_AFTER, MS, RULES, Attempt, Lane, LaneRule, Pick, backoff_ms

LEASE_MS = 60_000
"""After a crash a delivery is sent again within a minute."""
ATTEMPT_MS = 45_000
"""Longer than three requests at the transport's own limit of 13 s, shorter than the lease: no two send at once."""
CUT_EVERY_MS = 5_000
"""How often attempts without an end are looked for: an attempt ends at least ten seconds before its lease."""
DIGEST_MAX = 200
"""Deliveries in one digest: a claim of so many is one short transaction, and 10,000 incidents are 50 messages."""
POLL_MS = 5_000
"""How often a lane is looked at without news: another process may have put something in."""
BUSY_MS = 250
"""How often a lane whose sends are under way is looked at without news."""
STORE_RETRY_MS = 1_000
"""How long to leave a failing store alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """How a lane stands, for those who look: `paused_ms` is 0 while the service is used as usual."""

    service: str
    sending: int
    paused_ms: int
    why: str
    breaker: BreakerState = BreakerState.CLOSED


class Lanes:
    """One lane for each notifier. `run` works for ever; `drain` until nothing more is due."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        notifiers: Iterable[Notifier],
        clock: Clock,
        pick: Pick,
        observe: Observer,
        rules: Mapping[str, LaneRule] | None = None,
    ) -> None:
        """`rules` replaces the shipped rule of a service; `pick` gives random whole numbers."""
        known = {**RULES, **(rules or {})}
        self._outbox, self._clock, self._pick, self._observe = outbox, clock, pick, observe
        self._lanes = {one.name: Lane(one, known.get(one.name, DEFAULT_RULE)) for one in notifiers}

    def wake(self, services: Iterable[str] | None = None) -> None:
        """There is something new in these lanes (in all of them, when none is named)."""
        for service in self._lanes if services is None else services:
            if service in self._lanes:
                self._lanes[service].bell.ring()

    def states(self) -> Sequence[LaneState]:
        """How each lane stands now."""
        now_ns = self._clock.monotonic_ns()
        return [
            LaneState(
                service=lane.service,
                sending=lane.sending,
                paused_ms=lane.paused_ms(now_ns),
                why=lane.breaker.why,
                breaker=lane.breaker.state,
            )
            for lane in self._lanes.values()
        ]

    async def run(self) -> None:
        """Deliver for ever. While the store is down nothing is lost: the lanes ask it again."""
        await self._serve_all(None)

    async def drain(self, *, until: datetime) -> int:
        """Deliver until nothing more falls due before `until` on the clock; returns how many are still undelivered.

        Pass the current time to send only what is due now, once. Raises `StoreError` when the store cannot count.
        """
        await self._serve_all(until)
        return await self._outbox.undelivered()

    async def _serve_all(self, until: datetime | None) -> None:
        async with anyio.create_task_group() as watch:
            watch.start_soon(self._cut_endless)
            async with anyio.create_task_group() as lanes:
                for lane in self._lanes.values():
                    lanes.start_soon(self._serve, lane, until)
            watch.cancel_scope.cancel()

    async def _cut_endless(self) -> None:
        while True:
            await self._clock.sleep_ms(CUT_EVERY_MS)
            for lane in self._lanes.values():
                lane.cut(self._clock.monotonic_ns())

    async def _serve(self, lane: Lane, until: datetime | None) -> None:
        async with asyncio.TaskGroup() as sends:
            while True:
                wait_ms = await self._look(lane, sends)
                if until is not None and not lane.sending and self._is_beyond(until, wait_ms):
                    return
                if wait_ms != 0:
                    await lane.bell.wait(self._clock, min(wait_ms or POLL_MS, POLL_MS))

    def _is_beyond(self, until: datetime, wait_ms: int | None) -> bool:
        return wait_ms is None or self._clock.now() + timedelta(milliseconds=wait_ms) > until

    async def _look(self, lane: Lane, sends: asyncio.TaskGroup) -> int | None:
        """Send what may go now. Returns after how many milliseconds to look again: 0 at once, None when nothing waits
        (news ring the bell).
        """
        try:
            async with lane.turn:
                limit, wait_ms = lane.room(self._clock.monotonic_ns())
                if not limit:
                    return wait_ms or BUSY_MS
                claimed = await self._claim(lane, limit)
            until_ns = self._clock.monotonic_ns() + ATTEMPT_MS * MS
            for chain in claimed:
                attempt = Attempt(until_ns)
                attempt.task = sends.create_task(self._attempt(lane, chain, attempt))
            if claimed:  # where there was room for more, nothing else is due: the end of one of these rings the bell
                return 0 if len(claimed) >= limit else BUSY_MS
            due = await self._outbox.next_due(lane.service)
        except StoreError:
            return STORE_RETRY_MS
        if due is None:
            return None
        # What is due and was not given waits for an older message of its incident, whose end rings the bell.
        now = self._clock.now()
        return POLL_MS if due <= now else max(1, (due - now) // timedelta(milliseconds=1))

    async def _claim(self, lane: Lane, limit: int) -> Sequence[Sequence[Delivery]]:
        """What is sent now: each message is made of one delivery, in a flood of many."""
        claimed: Sequence[Sequence[Delivery]] = ()
        try:
            now, over = self._clock.now(), lane.rule.digest_over
            if over and await self._outbox.due(lane.service, now=now, most=over + 1) > over:
                claimed = await self._claim_together(lane.service, now)
            else:
                each = await self._outbox.claim(lane.service, limit=limit, now=now, lease_ms=LEASE_MS)
                claimed = [(delivery,) for delivery in each]
        finally:
            lane.sends(len(claimed), self._clock.monotonic_ns())
        return claimed

    async def _claim_together(self, service: str, now: datetime) -> Sequence[Sequence[Delivery]]:
        """The first, and with it all that may be told together with it: new messages that are not CRITICAL."""
        first = await self._outbox.claim(service, limit=1, now=now, lease_ms=LEASE_MS)
        if not first or not may_fold(first[0]):
            return [first] if first else []
        rest = await self._outbox.claim(service, limit=DIGEST_MAX - 1, now=now, lease_ms=LEASE_MS, fresh=True)
        alone = [(delivery,) for delivery in rest if not may_fold(delivery)]
        return [*alone, (*first, *filter(may_fold, rest))]

    # --- one attempt -----------------------------------------------------------------------------------------

    async def _attempt(self, lane: Lane, told: Sequence[Delivery], attempt: Attempt) -> None:
        """Send one message and record how it ended for each of its deliveries. When the store cannot record it, the
        leases give them back.
        """
        began_ns, took_ms = self._clock.monotonic_ns(), 0
        try:
            receipt, error = await self._send(lane, told, attempt)
            now_ns = self._clock.monotonic_ns()
            lane.learn(error, now_ns)
            took_ms = (now_ns - began_ns) // MS
            if len(told) == 1:
                await self._end(lane, told[0], receipt, error, took_ms)
                return
            receipt = Receipt(note=f"in a digest of {len(told)}")
            async with asyncio.TaskGroup() as ends:
                for delivery in told:
                    ends.create_task(self._end(lane, delivery, receipt, error, took_ms))
        finally:
            lane.ended(took_ms)

    async def _end(
        self, lane: Lane, delivery: Delivery, receipt: Receipt, error: ServiceError | None, took_ms: int
    ) -> None:
        with suppress(StoreError):
            if error is None:
                await self._done(delivery, receipt, took_ms)
            else:
                await self._failed(lane, delivery, error, took_ms)

    async def _send(
        self, lane: Lane, told: Sequence[Delivery], attempt: Attempt
    ) -> tuple[Receipt, ServiceError | None]:
        """The receipt, or the error that it ended with."""
        said, remote_id = told[0].notification, told[0].remote_id
        if len(told) > 1:
            said = digest(told, self._clock.now())
        elif said.change == "unpaged":
            remote_id = ""  # an edited message rings for nobody
        if not remote_id and any(delivery.doubtful for delivery in told):
            said = replace(said, again=True)
        lane.under_way.add(attempt)
        try:
            return await lane.notifier.notify(said, remote_id=remote_id), None
        except ServiceError as error:
            return Receipt(), error
        except asyncio.CancelledError:
            if not attempt.cut or attempt.task is None or attempt.task.uncancel():
                raise  # the lanes are stopped
            problem = f"no end within {ATTEMPT_MS // 1_000} s"
        except Exception as error:  # noqa: BLE001 - the supervisor: one bad delivery must not stop a lane
            problem = f"the connector failed ({type(error).__name__})"
        finally:
            lane.under_way.discard(attempt)
        return Receipt(), ServiceError(lane.service, problem, retryable=True, billed=Billed.UNKNOWN)

    async def _done(self, delivery: Delivery, receipt: Receipt, took_ms: int) -> None:
        now = self._clock.now()
        kept = replace(receipt, remote_id="") if delivery.notification.change == "unpaged" else receipt
        await self._outbox.done(delivery, kept, now=now)
        self._tell(delivery, "done", receipt.note, took_ms, now)

    async def _failed(self, lane: Lane, delivery: Delivery, error: ServiceError, took_ms: int) -> None:
        now, message, doubtful = self._clock.now(), str(error), error.billed is Billed.UNKNOWN
        if not error.retryable or now - delivery.created_at >= GIVE_UP_AFTER:
            await self._outbox.bury(delivery, error=message, now=now, doubtful=doubtful)
            self._tell(delivery, "dead", message, took_ms, now)
            return
        wait_ms = backoff_ms(delivery.attempts, self._pick, least_ms=lane.rule.retry_min_ms)
        due_at = now + timedelta(milliseconds=max(wait_ms, error.retry_after_ms or 0))
        await self._outbox.retry(delivery, due_at=due_at, error=message, doubtful=doubtful)
        self._tell(delivery, "retry", message, took_ms, now)

    def _tell(
        self, delivery: Delivery, outcome: Literal["done", "retry", "dead"], message: str, took_ms: int, now: datetime
    ) -> None:
        self._observe(
            DeliveryEnded(
                at=now,
                service=delivery.service,
                incident_id=delivery.incident_id,
                outcome=outcome,
                message=message,
                took_ms=took_ms,
            )
        )


class WakingIncidents:
    """The port `Incidents` around another one: lanes hear of new deliveries as soon as they are committed."""

    def __init__(self, incidents: Incidents, lanes: Lanes) -> None:
        self._incidents, self._lanes = incidents, lanes

    async def commit(self, work: Work) -> None:
        await self._incidents.commit(work)
        self._lanes.wake({delivery.service for delivery in work.deliveries})

    async def unresolved(self) -> Sequence[Incident]:
        return await self._incidents.unresolved()

    async def get(self, incident_id: str) -> Incident | None:
        return await self._incidents.get(incident_id)

    async def recent(self, limit: int) -> Sequence[Incident]:
        return await self._incidents.recent(limit)
