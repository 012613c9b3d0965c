"""Real processes for the proofs: registered dummies with children, and decoys with the same names that tell of every signal."""

import datetime as dt
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from aegis.core.workloads import Workload
from aegis.emergency.actuators.linux import Linux, Proc

NOW = dt.datetime(2026, 3, 3, 12, 0, tzinfo=dt.UTC)
DUMMY = "sleep 600 & sleep 600 & echo ready; wait"
STUBBORN = f"trap '' TERM; {DUMMY}"
DECOY = "trap 'echo touched' TERM CONT INT HUP; echo ready; while read line; do :; done"


class Registry:
    """The registered programs of a test."""

    def __init__(self) -> None:
        self.workloads: list[Workload] = []

    async def running(self) -> Sequence[Workload]:
        return self.workloads


class Programs:
    """Starts programs under names of the test's choice; at the end ends those it started, by handle."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._started:
            if one.poll() is None:  # ours and not waited for: the number is still its own
                os.killpg(one.pid, signal.SIGKILL)
            one.communicate()

    def start(self, name: str, script: str, *, run: str = "") -> subprocess.Popen[str]:
        """A process group of its own whose leader is called `name`; back once it said that it is ready."""
        shell = self._folder / name
        if not shell.exists():
            shell.symlink_to("/bin/sh")
        one = subprocess.Popen(
            [str(shell), "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
            env={"PATH": os.environ["PATH"], "AEGIS_RUN": run},
        )
        self._started.append(one)
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
        return one

    def wait(self, pid: int) -> None:
        """Until a leader that ended was taken off the table: then its number is free."""
        next(one for one in self._started if one.pid == pid).wait()

    def end(self, pid: int) -> None:
        """End a program of ours with its group, if it runs, and take it off the table."""
        one = next(one for one in self._started if one.pid == pid)
        self._started.remove(one)
        if one.poll() is None:
            os.killpg(pid, signal.SIGKILL)
        one.communicate()

    def dummy(
        self, run: str, *, script: str = DUMMY, name: str = "openai-client", key: str = "bot", **labels: str
    ) -> Workload:
        """A program and its registration."""
        return registered(self.start(name, script, run=run).pid, run, name=name, key=key, labels=labels)

    def decoy(self, name: str = "openai-client") -> "Decoy":
        return Decoy(self.start(name, DECOY))


class Decoy:
    """A process that is none of a stop's business."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        found = Linux().look(process.pid)
        assert found is not None
        self.proc: Proc = found

    def untouched(self) -> bool:
        """Whether it is the same process, not halted, and was sent nothing. It ends with the question."""
        now = Linux().look(self.process.pid)
        same = now is not None and now.started == self.proc.started and now.state not in "TtZ"
        said, _ = self.process.communicate()
        return same and said == "" and self.process.returncode == 0


def registered(pid: int, run: str, *, name: str, key: str = "bot", labels: Mapping[str, str] | None = None) -> Workload:
    machine = Linux()
    found = machine.look(pid)
    assert found is not None
    return Workload(
        id=run,
        pid=pid,
        started=found.started,
        boot=machine.boot(),
        command=name,
        key=key,
        labels=labels or {},
        registered_at=NOW,
    )
