"""The rules of a stop: what was read is what is done, who has to agree, and who passes a switch."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.calls import Call, Priority
from aegis.core.errors import BadInput
from aegis.core.ledger import Switch
from aegis.core.stops import (
    PLAN_MS,
    Grade,
    Plan,
    Target,
    check_apply,
    lets_through,
    may_go_alone,
    plan_hash,
    share_of,
    stop_steps,
)

KEY = Target(kind="virtual-keys", id="7Q2M9XKD", name="ci-bot")
POD = Target(kind="kubernetes", id="prod/worker/1f", name="worker", saved={"replicas": "3"})


def plan(**more: object) -> Plan:
    known = {"id": "stp_1", "grade": Grade.G2, "scope": {}, "reason": "runaway", "by": "ada", "at_ms": 1_000}
    return Plan(**{**known, **more})  # type: ignore[arg-type]


def call(number: int = 1, priority: Priority = Priority.MEDIUM, **scope: str) -> Call:
    return Call(id=f"call_{number}", service="anthropic", operation="ask", worst={}, priority=priority, scope=scope)


def switch(**more: object) -> Switch:
    return Switch(**{"scope": {}, "stopped": True, "reason": "x", "at_ms": 0, **more})  # type: ignore[arg-type]


@given(
    change=st.sampled_from(
        [
            {"grade": Grade.G3},
            {"scope": {"key": "red"}},
            {"targets": (KEY,)},
            {"targets": (replace(KEY, saved={"hold": "x"}),)},
            {"pool": 1},
            {"cancel": True},
            {"expires_ms": 5},
            {"reason": "another"},
            {"alone": ("virtual-keys:7Q2M9XKD",)},
        ]
    )
)
def test_a_plan_that_was_changed_anywhere_has_another_hash(change: dict[str, object]) -> None:
    assert plan_hash(plan()) == plan_hash(plan())
    assert plan_hash(plan(**change)) != plan_hash(plan())
    with pytest.raises(BadInput, match="not what was planned"):
        check_apply(plan(**change), plan_hash(plan()), by="ada", now_ms=1_000)


def test_a_plan_holds_for_ten_minutes() -> None:
    made = plan()
    check_apply(made, plan_hash(made), by="ada", now_ms=1_000 + PLAN_MS)
    with pytest.raises(BadInput, match="older than ten minutes"):
        check_apply(made, plan_hash(made), by="ada", now_ms=1_001 + PLAN_MS)


def test_what_is_not_preauthorised_needs_another_person_than_asked_for_it() -> None:
    made = plan(grade=Grade.G4, targets=(KEY, POD), alone=(KEY.key,))
    hashed = plan_hash(made)

    with pytest.raises(BadInput, match=r"second person.*worker"):
        check_apply(made, hashed, by="ada", now_ms=1_000)
    check_apply(made, hashed, by="grace", now_ms=1_000)
    check_apply(made, hashed, by="ada", now_ms=1_000, broken_glass=True)
    check_apply(
        plan(targets=(KEY,), alone=(KEY.key,)), plan_hash(plan(targets=(KEY,), alone=(KEY.key,))), by="ada", now_ms=1
    )


@given(
    grade=st.sampled_from(Grade), words=st.lists(st.sampled_from(["docker", "kubernetes", POD.key, "kubernetes:other"]))
)
def test_beyond_our_own_only_the_configuration_lets_a_machine_go_on(grade: Grade, words: list[str]) -> None:
    named = "kubernetes" in words or POD.key in words
    assert may_go_alone(grade, POD, words) is (grade <= Grade.G2 or named)


@given(automatic=st.booleans(), grade=st.sampled_from(Grade))
def test_people_are_told_before_keys_and_programs_are_touched(automatic: bool, grade: Grade) -> None:
    steps = stop_steps(plan(automatic=automatic, grade=grade, targets=(KEY, POD)))

    assert steps.index("message") < steps.index(f"target {KEY.key}") < steps.index(f"target {POD.key}")
    assert (steps.index("message") < steps.index("admissions")) is automatic
    assert ("allowances" in steps) is (grade >= Grade.G2)


@given(percent=st.integers(0, 99), number=st.integers(0, 10**6))
def test_who_passes_at_a_share_passes_at_every_greater_one(percent: int, number: int) -> None:
    one = call(number)
    passes = lets_through(switch(percent=percent), one, now_ms=0)

    assert passes is (share_of(one.id) < percent)
    assert not passes or lets_through(switch(percent=min(99, percent + 1)), one, now_ms=0)


def test_a_tenth_of_the_calls_is_a_tenth() -> None:
    passed = sum(lets_through(switch(percent=10), call(number), now_ms=0) for number in range(10_000))
    assert 900 < passed < 1_100


def test_critical_calls_pass_only_where_they_have_a_pool_or_a_return_has_begun() -> None:
    critical = call(priority=Priority.CRITICAL)

    assert not lets_through(switch(), critical, now_ms=0)
    assert lets_through(switch(pool=1), critical, now_ms=0)
    assert lets_through(switch(percent=10), critical, now_ms=0)
    assert not lets_through(switch(pool=1), call(priority=Priority.HIGH), now_ms=0)
    # A call that counts as another severity would not be covered by the pool's budget.
    assert not lets_through(switch(pool=1), call(priority=Priority.CRITICAL, severity="LOW"), now_ms=0)


def test_a_switch_with_an_end_ends() -> None:
    assert not lets_through(switch(expires_ms=10), call(), now_ms=9)
    assert lets_through(switch(expires_ms=10), call(), now_ms=10)
