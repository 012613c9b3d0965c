"""The cap holds through random histories, and the proof has teeth: every planted fault is found, by what it breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.governor.faults import FAULTS, SQL_FAULTS, planted
from tests.governor.histories import Histories, played, seeded
from tests.governor.invariants import Broken
from tests.governor.scripts import SCRIPTS
from tests.governor.stores import Postgres, Sqlite
from tests.governor.watched import Memory, Modules

STEPS = 8
"""Of five deeds each, so 40 deeds a history."""
TRIED = 300
"""Random histories within which a planted fault has to be found, after the written ones; most need fewer than ten."""


def runs(count: int) -> settings:
    """Enough steps, however long a step takes."""
    return settings(max_examples=count, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck))


def test_the_cap_holds_through_random_histories(*, long: bool) -> None:
    run_state_machine_as_test(Histories, settings=runs(10_000 if long else 2_000))


def test_the_cap_holds_through_random_histories_in_sqlite(*, long: bool) -> None:
    class InSqlite(Histories):
        def store(self) -> Any:
            return Sqlite()

    run_state_machine_as_test(InSqlite, settings=runs(1_000 if long else 100))


def test_the_cap_holds_through_random_histories_in_postgresql(postgres: str, *, long: bool) -> None:
    assert first(seeded(Modules(), lambda: Postgres(postgres), 1), 100 if long else 10) is None


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Any:
    match request.param:
        case "memory":
            return Memory(Modules())
        case "sqlite":
            return Sqlite()
    return Postgres(request.getfixturevalue("postgres"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_cap_holds_when(name: str, store: Any) -> None:
    assert played(Modules(), store, *SCRIPTS[name]) is None


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, tmp_path: Path) -> None:
    with planted(name, tmp_path) as modules:
        assert noticed(modules, lambda: Memory(modules)) in FAULTS[name].broken.split()


@pytest.mark.parametrize("name", SQL_FAULTS)
def test_a_fault_planted_into_the_tables_is_found(name: str, tmp_path: Path) -> None:
    with planted(name, tmp_path) as modules:
        assert noticed(modules, lambda: Sqlite(modules.package)) in SQL_FAULTS[name].broken.split()


def first(found: Iterator[Broken | None], tries: int) -> Broken | None:
    """What the first history broke that broke anything."""
    return next((broken for broken in islice(found, tries) if broken), None)


def noticed(modules: Modules, store: Callable[[], Any]) -> str:
    """Which invariant the first history broke that broke any: written ones first, then random ones."""
    written = (played(modules, store(), *script) for script in SCRIPTS.values())
    found = first(chain(written, seeded(modules, store, 1)), len(SCRIPTS) + TRIED)
    return "none" if found is None else found.name


def test_a_copy_without_a_fault_is_sound(tmp_path: Path) -> None:
    """What is found in the other copies is the fault, not the copying."""
    with planted("", tmp_path) as modules:
        assert first(seeded(modules, lambda: Memory(modules), 1), 30) is None
        assert first(seeded(modules, lambda: Sqlite(modules.package), 1), 10) is None
