"""Tries to stop targets or to give them back, some at once, and says what became of each.

Policy: what nobody answers for is looked at before it is called failed; a kind that does not answer keeps the others
waiting for one of its time-outs at most, and is tried again after everything else was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import anyio

from aegis.core.errors import BadInput, ServiceError, StoreError
from aegis.core.stops import Grade, Stop, Target, TargetState, target_step
from aegis.emergency.ports import Actuator, Parts

Verb = Literal["stop", "restore"]
TRIES: Final = 3
RETRY_MS: Final = 1_000
"""A service that does not answer is asked three times, a second and two apart."""
OF_A_KIND: Final = 8
"""Targets of one kind that are tried at the same time: a provider's admin API is asked gently, and a crash costs no more."""
AT_ONCE: Final = 32
"""Targets of all kinds at the same time: each is one connection, and one line of the audit log's 40."""
RESTS: Final[dict[Verb, frozenset[TargetState]]] = {
    "stop": frozenset({"stopped", "gone"}),
    "restore": frozenset({"running", "gone"}),
}
"""How a target stands when there is nothing left to do; a process that ended for good is stopped and cannot come back."""
PAST: Final[dict[Verb, str]] = {"stop": "stopped", "restore": "gave back"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one try: `done`; `again` has to be tried once more; `refused` when it is not what was planned by
    now and was left alone; `failed` for good. `maybe` says that it may have been touched all the same.
    """

    target: Target
    became: Literal["done", "again", "refused", "failed"]
    words: str
    maybe: bool = True


def next_batch(parts: Parts, stop: Stop, targets: Sequence[Target]) -> Sequence[Target]:
    """Those of the targets that are tried next, at once: the fewest tries first, then the lowest grade."""
    if not targets:
        return ()

    def rank(target: Target) -> tuple[int, int]:
        actuator = parts.actuators.get(target.kind)
        return stop.tries.get(target_step(target), 0), int(actuator.grade if actuator else Grade.G4)

    first = min(map(rank, targets))
    batch: list[Target] = []
    of_kind: dict[str, int] = {}
    for target in targets:
        if len(batch) < AT_ONCE and of_kind.get(target.kind, 0) < OF_A_KIND and rank(target) == first:
            of_kind[target.kind] = of_kind.get(target.kind, 0) + 1
            batch.append(target)
    return batch


async def try_all(parts: Parts, stop: Stop, batch: Sequence[Target], verb: Verb) -> Sequence[Outcome]:
    """Try each of a batch once. Raises `StoreError`: then do it again, which changes nothing that was done."""
    tries = stop.tries.get(target_step(batch[0]), 0)
    if tries:
        await parts.clock.sleep_ms(RETRY_MS * tries)
    outcomes: list[Outcome] = []
    broken: list[StoreError] = []

    async def one(target: Target) -> None:
        try:
            outcomes.append(await _tried(parts, target, verb, tries))
        except StoreError as error:
            broken.append(error)

    async with anyio.create_task_group() as tasks:
        for target in batch:
            tasks.start_soon(one, target)
    if broken:
        raise broken[0]
    return sorted(outcomes, key=lambda outcome: batch.index(outcome.target))


async def _tried(parts: Parts, target: Target, verb: Verb, tries: int) -> Outcome:
    actuator, what = parts.actuators.get(target.kind), f"{target.name} ({target.kind})"
    if actuator is None:
        return _outcome(target, "failed", f"nobody here can {verb} {target.kind}", maybe=False)
    try:
        await (actuator.stop(target) if verb == "stop" else actuator.restore(target))
    except BadInput as refused:
        state = await _look(actuator, target)
        if (
            state == "gone"
        ):  # it ended, and its number is another's by now: nothing was touched and nothing is left to do
            return _outcome(target, "done", f"{what} has ended by itself: {refused}")
        return _outcome(target, "refused", str(refused), maybe=state == "stopped" or tries > 0)
    except ServiceError as error:
        if error.retryable and tries + 1 < TRIES:
            return _outcome(target, "again", str(error))
        if await _look(actuator, target) in RESTS[verb]:
            return _outcome(target, "done", f"{PAST[verb]} {what}, as a look at it shows: {error}")
        return _outcome(target, "failed", str(error))
    return _outcome(target, "done", f"{PAST[verb]} {what}")


def _outcome(
    target: Target, became: Literal["done", "again", "refused", "failed"], words: str, *, maybe: bool = True
) -> Outcome:
    return Outcome(target=target, became=became, words=words, maybe=maybe)


async def _look(actuator: Actuator, target: Target) -> TargetState:
    try:
        return await actuator.status(target)
    except (BadInput, ServiceError):
        return "unknown"
