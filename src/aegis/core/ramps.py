"""The staged return after a stop: a growing share of calls, and the gates that let it grow.

Policy: time alone opens nothing; a breach goes back one step, a second one stops again. Twelve times the time with too
few calls is enough when none of them failed: who is seldom called would never come back otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

SHARES: Final = (10, 50, 100)
"""Percent of admissions, as the first specification gives capacity back; at 100 the stop is over."""
BREACHES_MAX: Final = 2
"""The second breach stops again."""
QUIET_TIMES: Final = 12
"""How many times the least time a step lasts when too few calls come to judge by: an hour of five minutes."""

Verdict = Literal["wait", "on", "back", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What a step has to show before the next: at least this long and this many calls, at most these errors (percent),
    this latency (percent of the time before the stop) and this burn (percent of its share of what is usual).
    """

    least_ms: int = 300_000
    calls: int = 50
    errors_percent: int = 5
    latency_percent: int = 200
    burn_percent: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the calls of a scope did since a moment: how many were made, how many of them failed, their 95th percentile,
    what they cost in nano-dollars and the dearest of them. `open_breakers` names services that are cut off.
    """

    calls: int = 0
    failed: int = 0
    p95_ms: int = 0
    cost: int = 0
    dearest: int = 0
    open_breakers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """Where a return stands. `burn` (nano-dollars an hour, at all calls: `usual_burn`) and `p95_ms` are what it is held to;
    0 holds to nothing. `why` says what the last verdict rests on.
    """

    step: int = 0
    since_ms: int = 0
    breaches: int = 0
    burn: int = 0
    p95_ms: int = 0
    why: str = ""

    @property
    def share(self) -> int:
        return SHARES[self.step]


def usual_burn(before: int, usual: int) -> int:
    """What a return is held to, in nano-dollars an hour: the lower of the hour before the stop and what is usual at this time
    of the day, since the hour before a runaway's stop is the runaway's own. 0 where neither is known.
    """
    return min((one for one in (before, usual) if one), default=0)


def breach(gates: Gates, ramp: Ramp, seen: Measured, now_ms: int) -> str:
    """What is wrong with a step, in words; empty when nothing is. A rate is only judged by enough calls: 1 failure of 3
    says nothing. Money is no rate: it is judged from the first calls on, the dearest left out, since one call is no trend.
    """
    if seen.open_breakers:
        return f"{', '.join(seen.open_breakers)}: cut off by its breaker"
    # cost / elapsed > burn / hour * share * allowed, without dividing; what a step may cost is that of its least time.
    elapsed_ms = max(now_ms - ramp.since_ms, gates.least_ms)
    allowed = ramp.burn * elapsed_ms * ramp.share * gates.burn_percent
    if ramp.burn and (seen.cost - seen.dearest) * 3_600_000 * 10_000 > allowed:
        return "calls cost more than their share of what is usual"
    if seen.calls < gates.calls:
        return ""
    if seen.failed * 100 >= seen.calls * gates.errors_percent:
        return f"{seen.failed} of {seen.calls} calls failed"
    if ramp.p95_ms and seen.p95_ms * 100 >= ramp.p95_ms * gates.latency_percent:
        return f"95 of 100 calls took up to {seen.p95_ms} ms, before the stop {ramp.p95_ms} ms"
    return ""


def judge(gates: Gates, ramp: Ramp, seen: Measured, now_ms: int) -> tuple[Verdict, Ramp]:
    """Where a return goes from here, and the ramp as it stands then."""
    if wrong := breach(gates, ramp, seen, now_ms):
        after = replace(ramp, breaches=ramp.breaches + 1, since_ms=now_ms, why=wrong)
        if after.breaches >= BREACHES_MAX:
            return "stop", after
        return "back", replace(after, step=max(0, ramp.step - 1))
    lasted_ms = now_ms - ramp.since_ms
    if lasted_ms < gates.least_ms:
        return "wait", replace(ramp, why="too short a time")
    if seen.calls < gates.calls and (lasted_ms < gates.least_ms * QUIET_TIMES or seen.failed):
        return "wait", replace(ramp, why=f"{seen.calls} of {gates.calls} calls")
    return "on", replace(ramp, step=min(ramp.step + 1, len(SHARES) - 1), since_ms=now_ms, why="all gates are open")
