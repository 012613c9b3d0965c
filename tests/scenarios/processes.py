"""Aegis and its sandbox as processes of their own, with nothing of this machine's environment; always ended by pid."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

LATER = Path(__file__).with_name("later.py")
START_SECONDS = 120
END_SECONDS = 60


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a process of a test may see: its state folder, and `more`."""
    return {"HOME": str(home.parent), "AEGIS_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", **(more or {})}


async def started(home: Path, *arguments: str, env: Mapping[str, str] | None = None, minutes_later: int = 0) -> Process:
    """An `aegis` process with the state folder `home`, in its parent folder."""
    command = [str(LATER), str(minutes_later)] if minutes_later else ["-m", "aegis"]
    return await asyncio.create_subprocess_exec(
        *(sys.executable, *command, *arguments),
        env=environment(home, env),
        cwd=home.parent,
        stdout=PIPE,
        stderr=PIPE,
    )


async def ended(process: Process, *, seconds: int = END_SECONDS) -> int:
    """Ask the process to end, and its exit code; kill it when it does not."""
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(seconds):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
    assert process.returncode is not None
    return process.returncode


async def line_with(process: Process, words: str) -> str:
    """The first line on stderr that has these words."""
    assert process.stderr is not None
    async with asyncio.timeout(START_SECONDS):
        while line := (await process.stderr.readline()).decode():
            if words in line:
                return line.strip()
    raise AssertionError(f"it ended ({process.returncode}) without saying {words!r}")


@asynccontextmanager
async def sandbox(home: Path) -> AsyncIterator[str]:
    """A sandbox as a process with its journal in `home`; yields its address."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    process = await started(home, "sandbox", "--port", "0")
    try:
        yield (await line_with(process, "stands on")).split()[-1]
    finally:
        assert await ended(process) == 0
