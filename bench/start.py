"""How long a start takes: `import aegis` and `aegis --version`, in CPU seconds of a fresh process."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from typing import Any

RUNS = 5
"""The median of five."""

COMMANDS = {
    "python_cpu_s": ["-c", "pass"],
    "import_cpu_s": ["-c", "import aegis"],
    "version_cpu_s": ["-m", "aegis", "--version"],
    "help_cpu_s": ["-m", "aegis", "--help"],
    "check_cpu_s": ["-m", "aegis", "check", "--quiet"],
}
GOALS = {"import_cpu_s": 0.15, "version_cpu_s": 0.2}


def run() -> dict[str, Any]:
    """Medians of user and system time, with their goals in seconds. Bytecode is kept between runs, as it is for whoever
    uses Aegis, but in a folder of its own.
    """
    with tempfile.TemporaryDirectory() as cache:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        env |= {"PYTHONPYCACHEPREFIX": cache, "AEGIS_HOME": f"{cache}/home"}
        return {name: round(_median(arguments, env), 3) for name, arguments in COMMANDS.items()} | {"goals": GOALS}


def _median(arguments: list[str], env: dict[str, str]) -> float:
    _cpu_seconds(arguments, env)  # the first run compiles
    return statistics.median(_cpu_seconds(arguments, env) for _ in range(RUNS))


def _cpu_seconds(arguments: list[str], env: dict[str, str]) -> float:
    """CPU time of one process, its own and not ours, as the kernel counts it when the process is waited for."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    process = os.posix_spawn(sys.executable, [sys.executable, *arguments], env, file_actions=quiet)
    _, status, used = os.wait4(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0, f"{arguments} failed"
    return used.ru_utime + used.ru_stime
