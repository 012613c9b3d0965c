"""Claims about `aegis run`: the program has what it needs, is registered while it runs, and leaves nothing behind."""

import asyncio
import fcntl
import json
import os
import pty
import signal
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.running import Place, place
from tests.scenarios.processes import environment, line_with, started
from tests.web.gateway.stage import HELLO, staged

from aegis.app.system import SystemClock
from aegis.core.virtualkeys import key_id
from aegis.emergency.actuators.processes import Processes
from aegis.stores.database import Database
from aegis.stores.workloads import SqliteWorkloads

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="programs are registered on Linux only")
GATEWAY = "gateway: {upstreams: {openai: {key: env:NONE}}}\n"
SHOWN = (
    "import json,os;n=('OPENAI_BASE_URL','ANTHROPIC_BASE_URL','OPENAI_API_KEY','ANTHROPIC_API_KEY','ANTHROPIC_AUTH_TOKEN')"
    ";print(json.dumps({k:os.environ.get(k) for k in n}))"
)

ASKING = f"""
import json, os, urllib.error, urllib.request
body = json.dumps({{"model": "claude-sonnet-5-5", "max_tokens": 64, "messages": {HELLO!r}}}).encode()
head = {{"x-api-key": os.environ["ANTHROPIC_API_KEY"], "content-type": "application/json", "anthropic-version": "2023-06-01"}}
status = 401
while status == 401:  # until the gateway has heard of the key
    try:
        asked = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", body, head)
        status = urllib.request.urlopen(asked).status
    except urllib.error.HTTPError as error:
        status = error.code
print(status)
"""


@pytest.fixture
def here(tmp_path: Path) -> Place:
    found = place(tmp_path)
    found.write(GATEWAY)
    (tmp_path / "aegis.yaml").write_text(GATEWAY)
    return found


async def ran(home: Path, *words: str, **env: str) -> tuple[int | None, str, str]:
    process = await started(home, "run", *words, env=env)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def rows(home: Path) -> Sequence[Any]:
    with closing(sqlite3.connect(home / "aegis.db")) as connection:
        return connection.execute("SELECT key_name, labels, exit_code, ended_us IS NULL FROM workloads").fetchall()


def live_keys(home: Path) -> int:
    with closing(sqlite3.connect(home / "aegis.db")) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM virtual_keys WHERE revoked_us IS NULL").fetchone()[0])


@pytest.mark.anyio
async def test_the_program_gets_the_gateway_and_a_key_that_ends_with_it(here: Place) -> None:
    code, out, err = await ran(
        here.home, "--tag", "env=ci", "--", sys.executable, "-c", SHOWN, ANTHROPIC_AUTH_TOKEN="theirs"
    )
    given = json.loads(out)
    assert (code, given["OPENAI_BASE_URL"]) == (0, "http://127.0.0.1:8787/v1")
    assert given["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8787"
    assert key_id(given["OPENAI_API_KEY"].encode()) is not None
    assert (given["ANTHROPIC_API_KEY"], given["ANTHROPIC_AUTH_TOKEN"]) == (given["OPENAI_API_KEY"], None)
    assert "0 calls, 0 refused, $0.0000 spent" in err
    assert given["OPENAI_API_KEY"] not in err
    ((name, labels, exit_code, running),) = rows(here.home)
    assert (name.startswith("run-python"), json.loads(labels), exit_code, running) == (True, {"env": "ci"}, 0, 0)
    assert live_keys(here.home) == 0


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("sh", "-c", "exit 37"), 37),
        (("sh", "-c", "kill -KILL $$"), 128 + signal.SIGKILL),
        (("no-such-program-here",), 127),
        (("/etc/passwd",), 126),
        (("sh", "-c", 'test "$1" = --json', "sh", "--json"), 0),
    ],
)
async def test_the_exit_code_is_the_programs(here: Place, words: Sequence[str], code: int) -> None:
    assert (await ran(here.home, "--", *words))[0] == code
    assert rows(here.home)[0][3] == 0


@pytest.mark.anyio
async def test_a_stop_ends_exactly_it_and_aegis_run_says_so(here: Place) -> None:
    process = await started(here.home, "run", "--name", "bot", "--", "sh", "-c", "echo ready; sleep 600")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    database = await Database.open(here.home / "aegis.db")
    try:
        actuator = Processes(SqliteWorkloads(database), clock=SystemClock(), how="end", grace_ms=2_000)
        (target,) = await actuator.plan_targets({"key": "bot"})
        assert await actuator.plan_targets({"key": "other"}) == []
        await actuator.stop(target)
        _, err = await process.communicate()
        assert (process.returncode, await actuator.status(target)) == (128 + signal.SIGTERM, "gone")
        assert await SqliteWorkloads(database).running() == []
    finally:
        await database.close()
    assert b"bot: 0 calls" in err


@pytest.mark.anyio
async def test_who_ends_aegis_run_ends_the_program(here: Place) -> None:
    script = "trap 'echo told; exit 9' TERM; echo ready >&2; while :; do sleep 0.05; done"
    process = await started(here.home, "run", "--", "sh", "-c", script)
    await line_with(process, "ready")
    process.terminate()
    out, _ = await process.communicate()
    assert (process.returncode, out) == (9, b"told\n")


@pytest.mark.anyio
async def test_a_program_whose_runner_was_killed_is_found_and_taken_off_later(here: Place) -> None:
    process = await started(here.home, "run", "--name", "bot", "--", "sh", "-c", "echo ready; sleep 600 & wait")
    assert process.stdout is not None
    await process.stdout.readline()
    process.kill()
    database = await Database.open(here.home / "aegis.db")
    try:
        actuator = Processes(SqliteWorkloads(database), clock=SystemClock(), how="end", grace_ms=2_000)
        (target,) = await actuator.plan_targets({})
        await actuator.stop(target)
        async with asyncio.timeout(60):
            while await actuator.status(target) != "gone":
                await asyncio.sleep(0)
    finally:
        await database.close()
    await process.communicate()
    assert (await ran(here.home, "--name", "bot", "--", "true"))[0] == 0, "the name is free again"
    assert [row[3] for row in rows(here.home)] == [0, 0]


@pytest.mark.anyio
async def test_what_it_spent_is_told_from_the_ledger(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (tmp_path / "aegis.yaml").write_text(GATEWAY)
    async with staged(home) as stage:
        (home / "api-address").write_text(stage.address + "\n")
        with (home / "aegis.lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # as `aegis up` holds it
            process = await started(home, "run", "--name", "bot", "--", sys.executable, "-c", ASKING)
            while process.returncode is None:
                await stage.app.governor.tick()  # as a running Aegis does four times a second
                await stage.turn()
                await asyncio.sleep(0)
            out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"200\n")
    (told,) = (line for line in err.decode().splitlines() if line.startswith("bot:"))
    assert told.startswith("bot: 1 calls, 0 refused, $0.0")
    assert not told.endswith("$0.0000 spent")


def test_the_program_has_the_terminal(here: Place, tmp_path: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        words = ["-m", "aegis", "run", "--", "sh", "-c", 'read line; echo "got $line"']
        os.execve(sys.executable, [sys.executable, *words], environment(here.home))
    os.write(terminal, b"hello\n")
    said = b""
    while b"got hello" not in said:
        said += os.read(terminal, 4_096)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(terminal)


def test_without_a_gateway_nothing_is_run(tmp_path: Path) -> None:
    found = place(tmp_path).run("run", "--", "touch", str(tmp_path / "ran"))
    assert (found.exit_code, "gateway.upstreams" in found.stderr) == (3, True)
    assert not (tmp_path / "ran").exists()
