"""Which lines a call has to fit, and that ten thousand budgets change nothing about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aegis.core.budgets import Amounts, Budget, BudgetBook, fits
from aegis.core.calls import Call, Priority
from aegis.core.errors import ConfigError
from aegis.core.money import usd
from aegis.core.thresholds import read_thresholds
from aegis.core.windows import WindowPolicy

DAY, MONTH = WindowPolicy(kind="day"), WindowPolicy(kind="month")


def budget(name: str, *, emergency: int = 100, **more: Any) -> Budget:
    windows = more.pop("windows", (Amounts(window=DAY, emergency=emergency),))
    return Budget(name=name, windows=windows, **more)


def call(**more: Any) -> Call:
    return Call(**{"id": "c", "service": "anthropic", "operation": "messages", "worst": {"input_tokens": 5}, **more})


def names(book: BudgetBook, asked: Call, model: str = "m") -> list[str]:
    return [line.name for line in book.route(asked, model).lines]


@pytest.mark.parametrize(("need", "fit"), [(5, True), (6, False), (0, True)])
def test_the_comparison_is_used_up_to_the_last_unit(need: int, *, fit: bool) -> None:
    assert fits(limit=10, settled=3, held=2, need=need) is fit


def test_a_call_has_to_fit_every_budget_whose_scope_covers_it() -> None:
    book = BudgetBook(
        [
            budget("all"),
            budget("claude", scope={"service": "anthropic"}),
            budget("other", scope={"service": "openai"}),
            budget("red", scope={"team": "red", "purpose": "incident"}),
        ]
    )
    assert names(book, call()) == ["all (day)", "claude (day)"]
    assert names(book, call(scope={"team": "red", "purpose": "incident"})) == ["all (day)", "claude (day)", "red (day)"]
    assert names(book, call(scope={"team": "red"})) == ["all (day)", "claude (day)"]


def test_a_star_gives_every_value_a_line_of_its_own() -> None:
    book = BudgetBook([budget("keys", scope={"key": "*"})])
    assert names(book, call(scope={"key": "k1"})) == ["keys [k1] (day)"]
    assert names(book, call(scope={"key": "k2"})) == ["keys [k2] (day)"]
    assert names(book, call()) == []


def test_a_call_is_known_by_what_it_is_even_when_its_scope_does_not_say() -> None:
    scope = {"service": "anthropic", "model": "m", "operation": "messages", "severity": "HIGH", "provider": "anthropic"}
    book = BudgetBook([budget("exact", scope=scope)])
    assert names(book, call(priority=Priority.HIGH)) == ["exact (day)"]
    assert names(book, call(priority=Priority.LOW)) == []


def test_a_share_is_a_line_that_only_lower_priorities_have_to_fit() -> None:
    kept = budget("analysis", emergency=100, reserve={Priority.CRITICAL: 30, Priority.HIGH: 20})
    limits = {
        priority: [line.limit for line in BudgetBook([kept]).route(call(priority=priority), "m").lines]
        for priority in Priority
    }
    assert limits == {
        Priority.CRITICAL: [100],
        Priority.HIGH: [100, 70],
        Priority.MEDIUM: [100, 70, 50],
        Priority.LOW: [100, 70, 50],
    }


def test_every_window_is_a_line_and_units_are_grouped() -> None:
    windows = (Amounts(window=DAY, emergency=1), Amounts(window=MONTH, emergency=2))
    book = BudgetBook([budget("money", windows=windows), budget("tokens", windows=windows, unit="tokens")])
    route = book.route(call(), "m")
    assert [(unit, len(group)) for unit, group in zip(route.units, route.groups, strict=True)] == [
        ("usd", 2),
        ("tokens", 2),
    ]
    assert route.needs(7, {"input_tokens": 5, "output_tokens": 3}) == (7, 8)


def test_the_same_call_finds_the_same_lines_among_ten_thousand_budgets() -> None:
    many = [budget(f"team-{n}", scope={"team": f"t{n}"}) for n in range(10_000)]
    book = BudgetBook([budget("all"), *many])
    assert names(book, call(scope={"team": "t77"})) == ["all (day)", "team-77 (day)"]
    assert book.route(call(scope={"team": "t77"}), "m") is book.route(call(scope={"team": "t77"}), "m")


def test_thresholds_are_read_as_the_document_writes_them(shared: Path) -> None:
    text = next((shared / "seeds").glob("001_*")).read_text(encoding="utf-8", errors="replace")
    block = next(part for part in text.split("```") if '"budget_thresholds"' in part).removeprefix("json")
    read = read_thresholds(block)
    by_kind = {amounts.window.kind: dict(amounts.levels()) for amounts in read.budget.windows}
    assert by_kind == {
        "day": {"warning": usd(5), "critical": usd(8), "emergency": usd(10)},
        "week": {"warning": usd(25), "critical": usd(35), "emergency": usd(50)},
        "month": {"warning": usd(75), "critical": usd(90), "emergency": usd(100)},
    }
    assert read.actions["critical"] == ("log", "email", "sms", "reduce_limits")
    assert read.actions["emergency"] == ("shutdown", "disable_keys", "alert_all")


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "budget_thresholds: a JSON object"),
        ({"budget_thresholds": {"hourly": {"emergency": 1}}}, "budget_thresholds.hourly: the periods are daily"),
        ({"budget_thresholds": {"daily": {"warning": 1}}}, "needs at least an emergency amount"),
        ({"budget_thresholds": {"daily": {"warning": 9, "emergency": 1}}}, "warning must not be above emergency"),
        ({"budget_thresholds": {"daily": {"emergency": "much"}}}, "not an amount in dollars"),
        ({"budget_thresholds": {"daily": {"emergency": 1, "panic": 2}}}, "daily.panic: the levels are warning"),
        ({"budget_thresholds": {"daily": {"emergency": 1}}, "actions": {"warning": "log"}}, "a list of action names"),
        ({"budget_thresholds": {}}, "at least one of daily"),
    ],
)
def test_thresholds_that_are_wrong_are_named(document: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        read_thresholds(json.dumps(document))


def test_dollars_in_the_document_stay_exact() -> None:
    read = read_thresholds('{"budget_thresholds": {"daily": {"emergency": 0.1}}}')
    assert read.budget.windows[0].emergency == 100_000_000
