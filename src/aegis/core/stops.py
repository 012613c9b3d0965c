"""The emergency stop: its grades, what one covers, who stays out of it, and what may be done without a second person.

Policy: a grade contains the ones below it; nothing outside of a plan's exact targets is ever touched; everything that
is stopped can be given back. See docs/emergency.md.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from typing import Final, Literal, TypeAlias

from aegis.core.calls import Call, Priority
from aegis.core.errors import BadInput
from aegis.core.ledger import Switch
from aegis.core.ramps import Ramp

Scope: TypeAlias = Mapping[str, str]
"""What a stop covers: names and values that a call must all have; empty covers everything."""


class Grade(IntEnum):
    """How far a stop goes."""

    G0 = 0
    """Throttle: the rates of services are lowered."""
    G1 = 1
    """No call of the scope is admitted."""
    G2 = 2
    """What was lent to processes is taken back, and virtual keys are held."""
    G3 = 3
    """Credentials are disabled at their provider, reversibly."""
    G4 = 4
    """Registered workloads are stopped."""


AUTOMATIC_MAX: Final = Grade.G2
"""As far as an automatic trigger goes by itself: nothing beyond it is ours to take back without asking anybody."""

TargetState = Literal["running", "stopped", "gone", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One exact thing that a stop touches. `kind` is its actuator's, `id` names it for ever within the kind (a
    key's id, `pid/start time/boot id`, `namespace/deployment/uid`), `name` is for people.

    `saved` is what a restore needs (`{"replicas": "3"}`), durable before anything is touched. It holds no secret.
    """

    kind: str
    id: str
    name: str
    saved: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The target's one name over all kinds."""
        return f"{self.kind}:{self.id}"


# --- plans -----------------------------------------------------------------------------------------------------

PLAN_MS: Final = 600_000
"""A plan may be applied for ten minutes: after that the world it was made from is another."""
PERCENT_G0: Final = 50
"""What a throttle leaves of a rate unless something else is said."""
TARGETS_MAX: Final = 10_000
"""Exact targets of one plan: more is no plan that a person has read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a stop will do, exactly. `expires_ms` 0 holds until somebody gives it back; `pool` is what CRITICAL calls may
    spend all the same, in nano-dollars (0: they are stopped too); `cancel` ends calls that are under way. `only_targets`
    stops these and leaves admissions alone.

    `alone` are the keys of targets that may be stopped without a second person, `unseen` says where nobody could look. `burn` is what the scope cost in the hour
    before, in nano-dollars, and `p95_ms` how long its calls took: what doing nothing costs, and what to return to.
    """

    id: str
    grade: Grade
    scope: Scope
    reason: str
    by: str
    at_ms: int
    automatic: bool = False
    percent: int = 0
    expires_ms: int = 0
    pool: int = 0
    cancel: bool = False
    only_targets: bool = False
    targets: tuple[Target, ...] = ()
    alone: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    burn: int = 0
    p95_ms: int = 0

    @property
    def second_person(self) -> tuple[Target, ...]:
        """The targets that a second person has to agree to."""
        return tuple(target for target in self.targets if target.key not in self.alone)


def plan_hash(plan: Plan) -> str:
    """SHA-256 of everything a plan says, in hex: what was read is what is done."""
    return hashlib.sha256(json.dumps(asdict(plan), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def may_go_alone(grade: Grade, target: Target, preauthorised: Collection[str]) -> bool:
    """Whether a target of an actuator of this grade may be stopped without a second person: up to `AUTOMATIC_MAX`
    always, beyond it when the configuration names its kind or the very target (`docker`, `docker:7f3a...`).
    """
    return grade <= AUTOMATIC_MAX or target.kind in preauthorised or target.key in preauthorised


def check_apply(plan: Plan, hashed: str, *, by: str, now_ms: int, broken_glass: bool = False) -> None:
    """Raise `BadInput` unless this plan may be applied by this person now. Two persons are two names: who asked for a
    plan does not approve it. `broken_glass` lets one person do it, loudly.
    """
    if plan_hash(plan) != hashed:
        raise BadInput(f"the stored plan {plan.id} is not what was planned: make a new one", code="plan_changed")
    if now_ms - plan.at_ms > PLAN_MS:
        raise BadInput(f"the plan {plan.id} is older than ten minutes: make a new one", code="plan_expired")
    if plan.second_person and by == plan.by and not broken_glass:
        names = ", ".join(target.name for target in plan.second_person[:3])
        raise BadInput(
            f"a second person has to apply this plan ({names}): it stops what is not pre-authorised",
            code="second_person",
        )


# --- who stays out of it ---------------------------------------------------------------------------------------


def share_of(call_id: str) -> int:
    """Where a call stands in a share of admissions, 0 to 99: the same in every process."""
    return zlib.crc32(call_id.encode()) % 100


def lets_through(switch: Switch, call: Call, *, now_ms: int) -> bool:
    """Whether a switch that covers a call lets it pass: it is over, the call is in the share that is admitted, or it is
    CRITICAL and there is a pool for those (what they spend of it is a budget of its own). In a return CRITICAL goes first.
    """
    if not switch.stopped or (switch.expires_ms and now_ms >= switch.expires_ms):
        return True
    critical = call.priority is Priority.CRITICAL and call.scope.get("severity", "CRITICAL") == "CRITICAL"
    if critical and (switch.pool or switch.percent):
        return True
    return share_of(call.id) < switch.percent


# --- stops of record -------------------------------------------------------------------------------------------

StopState = Literal["planned", "stopping", "stopped", "returning", "returned"]
"""A stop's life. `stopping` and `returning` go on by themselves, also after a crash."""
SAID_MAX: Final = 500
"""Lines of a stop's own history that are kept; the incident's timeline has them too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One look before a return: `blocking` ones have to be good."""

    name: str
    good: bool
    text: str
    blocking: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A stop of record, from its plan to its return. `hashed` is the plan's hash when it was shown; `done` are steps
    that were finished, `given` those of the return, `lapsed` says that its time was over; `tries` and `failed` what targets
    met; `begun` are targets that were about to be touched, kept before they were; `said` is its history (milliseconds, words).
    """

    plan: Plan
    hashed: str
    state: StopState = "planned"
    version: int = 0
    applied_by: str = ""
    applied_ms: int = 0
    incident: str = ""
    begun: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    tries: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    approver: str = ""
    root_cause: str = ""
    lapsed: bool = False
    checks: tuple[Check, ...] = ()
    ramp: Ramp | None = None
    said: tuple[tuple[int, str], ...] = ()

    @property
    def id(self) -> str:
        return self.plan.id

    @property
    def touched(self) -> tuple[Target, ...]:
        """The targets that have to be given back: those that were stopped, and those that may have been (whose answer was
        lost, or where a crash came in between).
        """
        maybe = {*self.begun, *self.done}
        return tuple(target for target in self.plan.targets if target_step(target) in maybe)

    @property
    def stopped(self) -> tuple[Target, ...]:
        """The targets that were stopped for certain."""
        done = set(self.done)
        return tuple(target for target in self.plan.targets if target_step(target) in done)


def target_step(target: Target) -> str:
    """The name of the step that stops a target, and of the one that gives it back."""
    return f"target {target.key}"


def stop_steps(plan: Plan) -> tuple[str, ...]:
    """The steps of a stop, in order. People are told before keys, credentials and workloads are touched; an automatic
    stop tells them before anything else at all, a person's closes admissions first.
    """
    steps = ["incident", "message"]
    if plan.only_targets:
        return (*steps, *map(target_step, plan.targets))
    steps.insert(2 if plan.automatic else 0, "admissions")
    if plan.grade >= Grade.G2:
        steps.append("allowances")
    return (*steps, *map(target_step, plan.targets))


def broken_off(stop: Stop) -> Stop:
    """A return that does not go on: what was given back already has to be stopped again, as it was planned."""
    back = {target_step(target) for target in stop.touched}.intersection(stop.given)
    done = tuple(name for name in stop.done if name not in back)
    after = replace(stop, done=done, given=(), tries={}, failed={})
    return replace(after, state="stopping" if back else "stopped")


def heard(stop: Stop, at_ms: int, words: str) -> Stop:
    """The stop with one more line of history; beyond `SAID_MAX` the oldest go."""
    return replace(stop, said=(*stop.said, (at_ms, words))[-SAID_MAX:])
