"""Opening an Aegis: whatever fails on the way, nothing stays open, and a wrong configuration makes no store."""

import random
import threading
from pathlib import Path

import pytest
from tests.app.living import living, offline, trail_stopped

from aegis.app import Machine, open_app
from aegis.config.load import load
from aegis.core.errors import ConfigError, StoreError
from aegis.core.ports import Http
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.incidents.intake import events_from_body

pytestmark = pytest.mark.anyio


class NoChance(random.Random):
    """Fails when the last part of an Aegis asks for randomness."""

    def getrandbits(self, k: int, /) -> int:
        raise RuntimeError("the last part failed")


def no_http(_http: Http) -> Http:
    raise RuntimeError("the last part failed")


def no_secret(reference: Reference) -> Secret:
    raise ConfigError(f"{reference} is not there")


def store_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("aegis")]


@pytest.mark.parametrize("machine", [Machine(chance=NoChance()), Machine(watch_http=no_http)])
async def test_when_a_part_fails_everything_before_it_is_closed(tmp_path: Path, machine: Machine) -> None:
    with pytest.raises(RuntimeError, match="the last part failed"):
        async with open_app(load((), {}), home=tmp_path, resolve=no_secret, machine=machine):
            raise AssertionError("it opened")

    assert store_threads() == []
    assert not list(tmp_path.glob("*-wal"))
    async with offline(tmp_path) as app:  # and it can be opened as if nothing had been
        assert await app.failing() == {}


async def test_when_the_work_in_it_fails_everything_is_closed_too(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup):  # noqa: PT012 - a block that opens is what is tried
        async with living(tmp_path) as here:
            assert store_threads()
            await here.app.take(trail_stopped(), source="cloudtrail")
            raise RuntimeError("in the middle")

    assert store_threads() == []
    assert not list(tmp_path.glob("*-wal"))


async def test_a_secret_that_is_missing_makes_no_store(tmp_path: Path) -> None:
    (tmp_path / "aegis.yaml").write_text("services: {anthropic: {key: env:NOT_THERE}}\n")

    with pytest.raises(ConfigError):
        async with open_app(load((tmp_path / "aegis.yaml",), {}), home=tmp_path, resolve=no_secret):
            raise AssertionError("it opened")

    assert not list(tmp_path.glob("*.db*"))


async def test_a_store_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "aegis.db").write_bytes(b"the diary of somebody else" * 400)

    with pytest.raises(StoreError):
        async with open_app(load((), {}), home=tmp_path, resolve=no_secret):
            raise AssertionError("it opened")

    assert (tmp_path / "aegis.db").read_bytes() == b"the diary of somebody else" * 400


def failed_logins(first: int, last: int) -> bytes:
    return b"".join(
        b"Mar  3 23:41:%02d bastion-1 sshd[4242]: Failed password for root from 203.0.113.66 port 40000 ssh2\n" % second
        for second in range(first, last)
    )


async def brute_force_was_found(home: Path) -> bool:
    async with offline(home) as app:
        found = await app.incidents.recent(10)
        return any("tried over SSH" in detection.title for one in found for detection in one.detections)


async def test_what_was_counted_before_a_restart_counts_after_it_however_old_the_log(tmp_path: Path) -> None:
    found = []
    for part in (failed_logins(0, 12), failed_logins(12, 24)):
        async with offline(tmp_path) as app:
            await app.take(part, source="auth.log")
            await app.work_events()
        found.append(await brute_force_was_found(tmp_path))

    assert found == [False, True], "twenty make a brute force, twelve do not"


async def test_the_hourly_tidying_forgets_no_count_of_an_old_log(tmp_path: Path) -> None:
    async with offline(tmp_path) as app:
        await app.take(failed_logins(0, 12), source="auth.log")
        await app.take(
            trail_stopped().replace(b"T23:45:50Z", b"T23:59:50Z"), source="another log, already read further"
        )
        await app.work_events()
        await app._tidy(app.clock.now())
        await app.take(failed_logins(12, 24), source="auth.log")
        await app.work_events()

    assert await brute_force_was_found(tmp_path)


async def test_events_that_were_taken_but_not_worked_are_worked_after_a_start(tmp_path: Path) -> None:
    async with offline(tmp_path) as app:
        now = app.clock.now()
        await app.events.accept(events_from_body(trail_stopped(), source="cloudtrail", received_at=now).events)

    async with offline(tmp_path) as app:
        await app.finish(wait_ms=0)
        (incident,) = await app.incidents.recent(10)

    assert incident.analysis is not None
