"""How long a start takes: `import aegis` and `aegis --version`, in CPU seconds of a fresh process."""

from __future__ import annotations

import os
import statistics
import sys
from typing import Any

RUNS = 5
"""The median of five: the first run also reads the files from disk."""

COMMANDS = {
    "python_cpu_s": ["-c", "pass"],
    "import_cpu_s": ["-c", "import aegis"],
    "version_cpu_s": ["-m", "aegis", "--version"],
    "help_cpu_s": ["-m", "aegis", "--help"],
    "check_cpu_s": ["-m", "aegis", "check", "--quiet"],
}
GOALS = {"import_cpu_s": 0.15, "version_cpu_s": 0.2}


def run() -> dict[str, Any]:
    """Medians of user and system time, with their goals in seconds."""
    return {name: round(_median(arguments), 3) for name, arguments in COMMANDS.items()} | {"goals": GOALS}


def _median(arguments: list[str]) -> float:
    return statistics.median(_cpu_seconds(arguments) for _ in range(RUNS))


def _cpu_seconds(arguments: list[str]) -> float:
    """CPU time of one process, its own and not ours, as the kernel counts it when the process is waited for."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    process = os.posix_spawn(sys.executable, [sys.executable, *arguments], dict(os.environ), file_actions=quiet)
    _, status, used = os.wait4(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0, f"{arguments} failed"
    return used.ru_utime + used.ru_stime
