"""Processes of this machine as Linux shows them, and signals that reach exactly the one that was looked at.

Policy: a handle on the process (pidfd, Linux 5.3) is taken before it is looked at, so a number that is used again in
between receives nothing. Sources: proc(5), pidfd_open(2), pidfd_send_signal(2).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from aegis.core.errors import ServiceError

ENVIRONMENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Above what execve takes in one go on most machines (execve(2): a quarter of the stack limit, 2 MiB)."""
STAT_BYTES_MAX: Final = 4_096
"""52 numbers and a name of at most 64 bytes."""
ENDED: Final = frozenset("ZXx")
"""States of what runs no longer: zombie, dead."""
HALTED: Final = frozenset("Tt")
"""Stopped by a signal, or by a tracer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proc:
    """One process at one moment. `started` is field 22 of its stat: clock ticks since the boot."""

    pid: int
    state: str
    group: int
    started: int


class Machine(Protocol):
    """The processes of a machine."""

    def boot(self) -> str:
        """Names the machine's run since it was started: another run has other processes."""

    def look(self, pid: int) -> Proc | None: ...

    def group(self, number: int) -> list[Proc]:
        """Who belongs to a process group and has not ended."""

    def marked(self, proc: Proc, mark: str) -> bool:
        """Whether a process was started with this text (`NAME=value`) in its environment."""

    def send(self, proc: Proc, number: signal.Signals) -> None:
        """Send a signal to exactly this process; one that ended, or is another by now, receives nothing. Raises
        `ServiceError` when it may not be sent.
        """


class Linux:
    """The machine that Aegis runs on."""

    def boot(self) -> str:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def look(self, pid: int) -> Proc | None:
        try:
            with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - every process is asked
                text = file.read(STAT_BYTES_MAX)
        except OSError:
            return None
        # The second field is the program's own name in brackets and may hold anything, brackets too.
        fields = text[text.rindex(b")") + 2 :].split(None, 20)
        return Proc(pid=pid, state=fields[0].decode(), group=int(fields[2]), started=int(fields[19]))

    def group(self, number: int) -> list[Proc]:
        own = os.getpid()
        found = (self.look(int(name)) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208
        return [one for one in found if one and one.group == number and one.state not in ENDED and one.pid != own]

    def marked(self, proc: Proc, mark: str) -> bool:
        with suppress(OSError), Path(f"/proc/{proc.pid}/environ").open("rb") as file:
            return mark.encode() in file.read(ENVIRONMENT_BYTES_MAX).split(b"\0")
        return False

    def send(self, proc: Proc, number: signal.Signals) -> None:
        try:
            with _handle(proc.pid) as handle:
                now = self.look(proc.pid)
                if now is None or (now.started, now.group) != (proc.started, proc.group):
                    return
                if handle is None:
                    os.kill(proc.pid, number)
                else:
                    signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        except PermissionError:
            raise ServiceError("processes", f"process {proc.pid} belongs to another user", retryable=False) from None


@contextmanager
def _handle(pid: int) -> Iterator[int | None]:
    """A pidfd; None where the kernel has none. Raises `ProcessLookupError`."""
    if not hasattr(os, "pidfd_open"):
        yield None
        return
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:  # ENOSYS, or a sandbox that forbids it
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)
