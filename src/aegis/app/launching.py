"""Starts a program that can be stopped: in a process group of its own, registered before its first instruction.

Policy: a small gate waits in the program's place until it is registered and then becomes it (same pid, same start
time); if Aegis ends before that, the program never runs. The terminal and signals are passed on to the program.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import anyio
import anyio.to_thread

PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NOT_RUN, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127
"""Exit codes when the program did not run, as env(1) and shells have them (POSIX, env: EXIT STATUS)."""
_GATE: Final = f"""\
import os, signal, sys
if not os.read(int(sys.argv[1]), 1):
    sys.exit({NOT_RUN})
os.close(int(sys.argv[1]))
for number in (signal.SIGPIPE, signal.SIGINT):
    signal.signal(number, signal.SIG_DFL)
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    print("aegis: " + sys.argv[2] + ": " + error.strerror, file=sys.stderr)
    sys.exit({NOT_FOUND} if isinstance(error, FileNotFoundError) else {NOT_EXECUTABLE})
"""


async def launch(words: Sequence[str], env: Mapping[str, str], register: Callable[[int], Awaitable[None]]) -> int:
    """Run a program to its end and return its exit code, 128 and the number where a signal ended it. `register` is told
    the pid before the program begins; what it raises is raised here, and then the program never ran.
    """
    reading, writing = os.pipe()
    try:
        program = subprocess.Popen(  # noqa: ASYNC220, S603 - it returns when the gate stands; what to run is the caller's to say
            [sys.executable, "-I", "-S", "-c", _GATE, str(reading), *words],
            env=dict(env),
            pass_fds=(reading,),
            process_group=0,
        )
        with anyio.open_signal_receiver(*PASSED_ON) as signals:
            try:
                await register(program.pid)
                with _terminal(program.pid):
                    os.write(writing, b"1")
                    return await _ended(program, signals)
            finally:
                os.close(writing)  # without the byte the gate ends by itself
                await anyio.to_thread.run_sync(program.wait)
    finally:
        os.close(reading)


async def _ended(program: subprocess.Popen[bytes], signals: AsyncIterator[signal.Signals]) -> int:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_pass_on, program, signals)
        code = await anyio.to_thread.run_sync(program.wait)
        tasks.cancel_scope.cancel()
    return code if code >= 0 else 128 - code


async def _pass_on(program: subprocess.Popen[bytes], signals: AsyncIterator[signal.Signals]) -> None:
    async for number in signals:
        with suppress(ProcessLookupError):
            if program.returncode is None:  # not waited for: the number is still its own
                os.killpg(program.pid, number)


@contextmanager
def _terminal(group: int) -> Iterator[None]:
    """Give the terminal, if we have it, to the program's group, and take it back (tcsetpgrp(3))."""
    keyboard = 0
    try:
        have_it = os.isatty(keyboard) and os.tcgetpgrp(keyboard) == os.getpgrp()
    except OSError:
        have_it = False
    if not have_it:
        yield
        return
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else taking it back would halt us
    try:
        os.tcsetpgrp(keyboard, group)
        yield
    finally:
        with suppress(OSError):
            os.tcsetpgrp(keyboard, os.getpgrp())
        signal.signal(signal.SIGTTOU, before)
