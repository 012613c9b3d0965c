"""Two persons of a stop and of its return are two accounts, by their tokens; each role does what its rights say."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.running import Place, data, place
from tests.cli.test_accounts_docs import PASSWORD, SET

from aegis.core.roles import RIGHTS, ROLES, RoleName

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="programs are registered on Linux only")
SETTINGS = "budgets: {everything: {scope: all, daily: {emergency: 10.00}}}\naccounts: {two_people_above_usd: 100.00}\n"
G4 = ("stop", "--grade", "4", "--all", "--reason", "runaway", "--json")
CAUSE = ("--root-cause", "a loop, fixed")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    """A place with one registered program that runs: what a stop of grade 4 needs a second person for."""
    made = place(tmp_path)
    made.write(SETTINGS)
    assert made.run("key", "create", "ci-bot").exit_code == 0  # makes the store
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as program:
        register(made, program.pid)
        yield made
        program.kill()


def register(here: Place, pid: int) -> None:
    import anyio

    from aegis.app.system import SystemClock
    from aegis.core.workloads import Workload
    from aegis.emergency.actuators.linux import Linux
    from aegis.stores.database import Database
    from aegis.stores.workloads import SqliteWorkloads

    seen = Linux().look(pid)
    assert seen is not None
    workload = Workload(
        id="run_1",
        pid=pid,
        started=seen.started,
        boot=Linux().boot(),
        command="a program",
        key="ci-bot",
        registered_at=SystemClock().now(),
    )

    async def work() -> None:
        database = await Database.open(here.home / "aegis.db")
        await SqliteWorkloads(database).register(workload)
        await database.close()

    anyio.run(work)


def token(here: Place, name: str, role: str) -> str:
    """The token of an account, made if need be; the one in the environment is left as it is."""
    here.run("account", "add", name, "--role", role, stdin=PASSWORD)
    return str(data(here.run("token", "create", name, "--json"))["token"])


def test_a_variable_is_no_second_person(here: Place) -> None:
    plan = data(here.run(*G4))["id"]
    here.env["USER"] = "somebody-else"
    refused = here.run("stop", "apply", plan)
    assert (refused.exit_code, "a second person has to apply" in refused.stderr) == (2, True)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_applies_a_plan_agrees_to_budgets_and_to_returns_as_its_rights_say(
    here: Place, role: RoleName
) -> None:
    ann, other = token(here, "ann", "admin"), token(here, "other", role)
    here.env["AEGIS_TOKEN"] = ann
    plan = data(here.run(*G4))["id"]
    budget = data(here.run(*SET, "500.00", "--json"))["id"]
    assert here.run("stop", "apply", plan).exit_code == 2, "who planned it is one person"
    assert here.run("recover", "--stop", plan, *CAUSE).exit_code == 2, "nothing is stopped yet"

    here.env["AEGIS_TOKEN"] = other
    operates = "operate" in RIGHTS[role]
    applied = here.run("stop", "apply", plan, "--json")
    assert (applied.exit_code == 0) is operates, applied.output
    assert (here.run("approve", budget).exit_code == 0) is ("budget" in RIGHTS[role])
    if not operates:
        here.env["AEGIS_TOKEN"] = token(here, "bo", "operator")
        applied = here.run("stop", "apply", plan, "--json")
    assert data(applied)["applied_by"] == ("other" if operates else "bo")

    here.env["AEGIS_TOKEN"] = ann
    typed = here.run("recover", "--stop", plan, "--approver", "other", *CAUSE, "--json")
    asked = data(typed)["id"]
    assert data(here.run("recover", "status", "--stop", plan, "--json"))["state"] == "stopped", "a typed name is nobody"
    own = here.run("approve", asked)
    assert own.exit_code == 2, own.output
    here.env["AEGIS_TOKEN"] = other
    agreed = here.run("approve", asked, "--json")
    assert (agreed.exit_code == 0) is operates, agreed.output
    if operates:
        assert data(agreed)["approver"] == "other"


def test_without_a_token_only_what_needs_one_person_goes_on(here: Place) -> None:
    token(here, "ann", "admin")
    refused = here.run(*G4)
    assert (refused.exit_code, "AEGIS_TOKEN" in refused.stderr) == (2, True)
    assert here.run(*G4, "--dry-run").exit_code == 0
    assert here.run("stop", "--grade", "2", "--all", "--reason", "x", "--yes").exit_code == 0


def test_the_glass_is_broken_by_one_person_and_on_record(here: Place) -> None:
    here.env["AEGIS_TOKEN"] = token(here, "ann", "admin")
    plan = data(here.run(*G4))["id"]
    assert here.run("stop", "apply", plan, "--break-glass").exit_code == 0
    whats = {one["what"]: one for one in data(here.run("audit", "log", "--json"))["entries"]}
    for what in ("stop.applying", "stop.applied"):
        assert (whats[what]["who"], whats[what]["facts"]["alone"]) == ("ann", "yes")
    assert whats["stop.applying"]["seq"] < whats["targets.stopping"]["seq"] < whats["target.stopped"]["seq"]
    assert os.getpid() > 0, "and whoever ran it lives"
