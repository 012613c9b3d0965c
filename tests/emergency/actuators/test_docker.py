"""Claims about stopping containers: by label only, as planned, and given back; on a stand-in and on a real engine."""

import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from tests.connectors.contracts import Contract
from tests.emergency.actuators.conftest import Outside

from aegis.app.system import SystemClock
from aegis.core.errors import BadInput, ServiceError
from aegis.core.ports import HttpRequest
from aegis.core.stops import Target
from aegis.emergency.actuators.docker import Docker, How
from aegis.sandbox.faults import Fault, Mode
from aegis.transport.http import OutboundHttp

pytestmark = pytest.mark.anyio
LABEL = "aegis.managed=true"
HOWS: tuple[How, ...] = ("pause", "stop")


async def container(outside: Outside, name: str, **labels: str) -> str:
    made = await outside.ask(
        "POST",
        f"/docker/v1.41/containers/create?name={name}",
        {"Image": "box", "Labels": {k.replace("_", "."): v for k, v in labels.items()}},
    )
    number: str = orjson.loads(made.body)["Id"]
    await outside.ask("POST", f"/docker/v1.41/containers/{number}/start")
    return number


def actuator(outside: Outside, how: How = "pause") -> Docker:
    return Docker(outside, clock=SystemClock(), label=LABEL, how=how, base=f"{outside.url}/docker")


def states(outside: Outside) -> Mapping[str, str]:
    return {one["Name"]: one["Status"] for one in outside.world.documents("docker", "container")}


@pytest.mark.parametrize("how", HOWS)
async def test_what_has_the_label_is_stopped_and_given_back_and_a_decoy_never(outside: Outside, how: How) -> None:
    await container(outside, "api-service", aegis_managed="true")
    await container(outside, "api-service-2", aegis_managed="false")
    await container(outside, "aegis-managed-openai")
    docker = actuator(outside, how)
    (target,) = await docker.plan_targets({})
    assert (target.name, outside.changes()) == ("api-service", [])
    for _ in range(2):  # again, as after a crash before it was recorded
        await docker.stop(target)
        assert await docker.status(target) == "stopped"
    running = {"api-service-2": "running", "aegis-managed-openai": "running"}
    assert states(outside) == {"api-service": {"pause": "paused", "stop": "exited"}[how], **running}
    for _ in range(2):
        await docker.restore(target)
    assert states(outside) == {"api-service": "running", **running}
    assert len(outside.changes()) == 2


async def test_a_container_whose_label_is_gone_is_left_alone(outside: Outside) -> None:
    decoy = await container(outside, "claude")
    with pytest.raises(BadInput) as refused:
        await actuator(outside).stop(Target(kind="docker", id=decoy, name="claude", saved={"how": "pause"}))
    with pytest.raises(BadInput):
        await actuator(outside).stop(Target(kind="docker", id="claude", name="claude", saved={"how": "pause"}))
    assert (refused.value.code, outside.changes()) == ("not_ours", [])


async def test_a_scope_takes_what_its_labels_say(outside: Outside) -> None:
    await container(outside, "one", aegis_managed="true", aegis_team="red")
    await container(outside, "two", aegis_managed="true")
    named = [one.name for one in await actuator(outside).plan_targets({"team": "red"})]
    assert (named, len(await actuator(outside).plan_targets({}))) == (["one"], 2)


async def test_a_container_that_was_removed_is_gone(outside: Outside) -> None:
    target = Target(kind="docker", id="f" * 64, name="old", saved={"how": "stop"})
    await actuator(outside).stop(target)
    await actuator(outside).restore(target)
    assert (await actuator(outside).status(target), outside.changes()) == ("gone", [])


async def test_an_answer_that_was_lost_is_asked_for_again_and_nothing_is_done_twice(outside: Outside) -> None:
    await container(outside, "one", aegis_managed="true")
    docker = actuator(outside)
    (target,) = await docker.plan_targets({})
    outside.world.put_fault("docker", Fault(mode=Mode.LOST, count=1, after=1))
    with pytest.raises(ServiceError) as failed:
        await docker.stop(target)
    assert failed.value.retryable
    await docker.stop(target)
    assert await docker.status(target) == "stopped"


async def test_the_stand_in_and_our_requests_keep_the_engines_contract(outside: Outside, shared: Path) -> None:
    number = await container(outside, "one", aegis_managed="true")
    listed = await outside.ask("GET", "/docker/v1.41/containers/json")
    inspected = await outside.ask("GET", f"/docker/v1.41/containers/{number}/json")
    missing = await outside.ask("GET", f"/docker/v1.41/containers/{'e' * 64}/json")
    for name, answer in (("list.200", listed), ("inspect.200", inspected), ("inspect.404", missing)):
        breaches = Contract.of(shared, "docker", f"container_{name}", "responses").breaches(orjson.loads(answer.body))
        assert breaches == []
    for how in HOWS:
        docker = actuator(outside, how)
        (target,) = await docker.plan_targets({})
        await docker.stop(target)
        await docker.restore(target)
    document = orjson.loads((shared / "contracts" / "docker.json").read_bytes())["requests"]
    for sent in outside.sent:
        path, _, query = sent.url.removeprefix(f"{outside.url}/docker").partition("?")
        names = {"json": "list" if "containers/json" in path else "inspect", "stop": "stop", "pause": "pause"}
        entry = document.get(f"container_{names.get(path.rpartition('/')[2], '')}")
        if entry and query:
            key, _, value = query.partition("=")
            wrong = Draft202012Validator(entry["query"]).iter_errors({key: int(value) if value.isdecimal() else value})
            assert (entry["method"], list(wrong)) == (sent.method, [])


# --- a real engine ---------------------------------------------------------------------------------------------


@contextmanager
def engine(folder: Path) -> Iterator[Path]:
    """A dockerd of the test's own (skipped with a reason where there is none, or it does not start); its socket."""
    daemon, busybox = shutil.which("dockerd"), shutil.which("busybox")
    if daemon is None or busybox is None or os.geteuid() != 0:
        pytest.skip("no dockerd, no static busybox or no root: no engine can be started here")
    at = folder / "docker.sock"
    flags = ["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs", "--log-level=error"]
    places = [
        f"--data-root={folder}/data",
        f"--exec-root={folder}/run",
        f"--pidfile={folder}/pid",
        f"--host=unix://{at}",
    ]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen([daemon, *flags, *places], stdout=log, stderr=log)
    try:
        while not answers(at):
            if running.poll() is not None:
                pytest.skip(f"dockerd does not start here: {(folder / 'log').read_text()[-200:]}")
        yield at
    finally:
        running.terminate()
        running.wait(20)
        for mounted in (folder / "data", folder / "run" / "netns" / "default"):
            subprocess.run(["umount", str(mounted)], capture_output=True)


def answers(at: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        return at.exists() and one.connect_ex(str(at)) == 0


class Engine:
    """What a test asks of the real engine beside the actuator."""

    def __init__(self, door: OutboundHttp) -> None:
        self.door = door

    async def ask(self, method: str, path: str, value: Any = None, body: bytes = b"") -> Any:
        kind = "application/json" if value is not None else "application/x-tar"
        sent = body or (b"" if value is None else orjson.dumps(value))
        request = HttpRequest(
            service="test",
            method=method,
            url=f"http://localhost/v1.41{path}",
            headers={"content-type": kind},
            body=sent,
            timeout_ms=30_000,
        )
        answer = await self.door.send(request)
        assert answer.status < 300, answer.body
        return orjson.loads(answer.body) if answer.body[:1] in (b"{", b"[") and b"}\r\n{" not in answer.body else None

    async def run(self, name: str, **labels: str) -> str:
        config = {"Image": "box", "Cmd": ["/busybox", "sleep", "600"], "HostConfig": {"NetworkMode": "none"}}
        held = {key.replace("_", "."): value for key, value in labels.items()}
        made: str = (await self.ask("POST", f"/containers/create?name={name}", {**config, "Labels": held}))["Id"]
        await self.ask("POST", f"/containers/{made}/start")
        return made

    async def state(self, number: str) -> str:
        found: str = (await self.ask("GET", f"/containers/{number}/json"))["State"]["Status"]
        return found


async def test_a_real_engine_pauses_stops_and_gives_back_what_has_the_label(tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("e")
    with engine(folder) as at:
        door = OutboundHttp(clock=SystemClock(), observer=lambda _: None, unix_socket=str(at))
        there = Engine(door)
        try:
            image = folder / "image.tar"
            with tarfile.open(image, "w:bz2") as tar:
                tar.add(str(shutil.which("busybox")), "busybox")
            await there.ask("POST", "/images/create?fromSrc=-&repo=box&tag=latest", body=image.read_bytes())
            mine = await there.run("api-service", aegis_managed="true")
            decoy = await there.run("api-service-decoy", aegis_managed="false")
            for how, stopped in (("pause", "paused"), ("stop", "exited")):
                docker = Docker(door, clock=SystemClock(), label=LABEL, how=how)  # type: ignore[arg-type]
                (target,) = await docker.plan_targets({})
                for _ in range(2):
                    await docker.stop(target)
                assert (target.id, await there.state(mine), await there.state(decoy)) == (mine, stopped, "running")
                for _ in range(2):
                    await docker.restore(target)
                assert (await there.state(mine), await docker.status(target)) == ("running", "running")
        finally:
            for number in [one["Id"] for one in await there.ask("GET", "/containers/json?all=1")]:
                await there.ask("DELETE", f"/containers/{number}?force=true")
            await door.close()
