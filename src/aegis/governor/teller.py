"""Tells what happened: to observers at once, and to the journal as entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from aegis.core.calls import Call
from aegis.core.errors import AegisError, Refused, ServiceError
from aegis.core.ledger import Crossing, Entry, Synced
from aegis.core.ports import Clock
from aegis.core.telemetry import CallEnded, Happened, LevelCrossed, Observer, WindowReset
from aegis.governor.allowances import Hold
from aegis.governor.records import ended_body, refused_body, sent_body
from aegis.governor.reservation import Reservation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
Outcome = Literal["settled", "void", "cached", "refused", "failed"]
NOT_SAID = "what it used was not said: counted at the worst case"


class Teller:
    """One voice for the governor. `told` are crossings that observers heard of; the ledger does not know that yet."""

    def __init__(self, clock: Clock, observers: Sequence[Observer]) -> None:
        self._clock, self._observers = clock, tuple(observers)
        self.told: list[Crossing] = []

    def now_ms(self) -> int:
        return _ms(self._clock.now())

    def sent(self, reservation: Reservation, hold: Hold) -> Entry:
        """The journal entry of a call that is about to be sent."""
        call, worst, at_ms = reservation.call, reservation.worst, self.now_ms()
        reservation.started_ms = at_ms
        model, holds = reservation.model, hold.rows()
        return Entry(reservation.id, "sent", call.service, model, at_ms, 0, worst, 0, holds, sent_body(call))

    def ended(self, reservation: Reservation, failure: BaseException | None) -> Entry:
        """The journal entry of a call that ended, and a word to the observers."""
        call, now, message = reservation.call, self._clock.now(), _message(reservation, failure)
        if self._observers:
            self._tell(
                CallEnded(
                    at=now,
                    call_id=call.id,
                    service=call.service,
                    model=reservation.model,
                    outcome=_outcome(reservation, failure),
                    cost=reservation.cost,
                    message=message,
                    took_ms=self._took_ms(reservation.started_ns),
                    operation=call.operation,
                    wanted=call.models[0] if call.models else "",
                    usage=reservation.usage,
                    scope=call.scope,
                )
            )
        return _ended(reservation, _ms(now), message)

    def unsent(self, reservation: Reservation) -> Entry:
        """The journal entry of a call that was admitted and then not sent."""
        return _ended(reservation, self.now_ms(), "not sent")

    def refused(self, call: Call, refusal: Refused, attempt: str, started_ns: int) -> Entry:
        """The journal entry of a refusal, and a word to the observers."""
        self._not_made(call, "refused", refusal, refusal.gate, started_ns)
        now_ms, model = self.now_ms(), call.models[-1] if call.models else ""
        body = refused_body(call, refusal)
        return Entry(attempt, "refused", call.service, model, now_ms, now_ms, 0, 0, (), body)

    def failed(self, call: Call, error: AegisError, started_ns: int) -> None:
        """The call could not be decided (the store is away): it was not made."""
        self._not_made(call, "failed", error, "", started_ns)

    def news(self, answer: Synced) -> None:
        """Crossings and window resets, as the ledger reports them."""
        # A process that joins again hears once more of what it told and the ledger was not yet told of.
        crossings = [crossing for crossing in answer.crossings if crossing not in self.told]
        for crossing in crossings:
            self._tell(
                LevelCrossed(
                    at=_EPOCH + crossing.at_ms * MILLISECOND,
                    budget=_named(crossing.budget, crossing.part),
                    window=crossing.window.split(" @")[0],
                    level=crossing.level,
                    spent=crossing.spent,
                    limit=crossing.limit,
                )
            )
        for reset in answer.resets:
            self._tell(WindowReset(at=self._clock.now(), budget=_named(reset.budget, reset.part), window=reset.window))
        self.told += crossings

    def _not_made(self, call: Call, outcome: Outcome, error: AegisError, gate: str, started_ns: int) -> None:
        self._tell(
            CallEnded(
                at=self._clock.now(),
                call_id=call.id,
                service=call.service,
                model=call.models[-1] if call.models else "",
                outcome=outcome,
                refused=gate,
                message=str(error),
                took_ms=self._took_ms(started_ns),
                operation=call.operation,
                wanted=call.models[0] if call.models else "",
                scope=call.scope,
            )
        )

    def _took_ms(self, started_ns: int) -> int:
        return (self._clock.monotonic_ns() - started_ns) // 1_000_000

    def _tell(self, happened: Happened) -> None:
        for observer in self._observers:
            observer(happened)


def _ended(reservation: Reservation, now_ms: int, message: str) -> Entry:
    call = reservation.call
    return Entry(
        reservation.id,
        reservation.end or "void",
        call.service,
        reservation.model,
        reservation.started_ms or now_ms,
        now_ms,
        reservation.worst,
        reservation.cost,
        () if reservation.hold is None else reservation.hold.rows(),
        ended_body(call, reservation.usage, message, reservation.model),
    )


def _ms(at: datetime) -> int:
    since = at - _EPOCH  # taken apart by hand: dividing by a timedelta costs three times as much
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


def _outcome(reservation: Reservation, failure: BaseException | None) -> Outcome:
    if reservation.end == "cached":
        return "cached"
    if isinstance(failure, ServiceError):
        return "failed"
    return "void" if reservation.end == "void" else "settled"


def _message(reservation: Reservation, failure: BaseException | None) -> str:
    if isinstance(failure, ServiceError):
        return str(failure)
    return NOT_SAID if reservation.end == "worst" else ""


def _named(budget: str, part: str) -> str:
    return f"{budget} [{part}]" if part else budget
