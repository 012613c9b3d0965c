"""Claims about a running `aegis up` that reads its configuration again: by command, and by SIGHUP."""

import signal
from pathlib import Path

import pytest
from tests.scenarios.processes import ended, line_with, started

from aegis.cli.up import HANGUP

pytestmark = pytest.mark.skipif(not HANGUP, reason="this system has no SIGHUP")
FILE = "server: {{listen: 127.0.0.1:{0}}}\nbudgets:\n  all: {{scope: all, daily: {{emergency: {1}}}}}\n"


@pytest.mark.anyio
async def test_a_changed_file_is_taken_over_while_it_runs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    file = home / "aegis.yaml"
    file.write_text(FILE.format(0, "5.00"))
    process = await started(home, "up")
    try:
        await line_with(process, "listens on")
        file.write_text(FILE.format(9_999, "6.00"))
        told = await _said(home, "config", "reload")
        assert told == ["budgets.all.daily.emergency holds now", "server.listen holds from the next start on"]
        file.write_text(FILE.format(0, "often"))
        process.send_signal(signal.SIGHUP)
        assert "the old one goes on" in await line_with(process, "not taken over")
        file.write_text(FILE.format(0, "7.00"))
        process.send_signal(signal.SIGHUP)
        assert "budgets.all.daily.emergency" in await line_with(process, "read again")
    finally:
        code = await ended(process)
    assert code == 0


async def _said(home: Path, *words: str) -> list[str]:
    command = await started(home, *words)
    told, _ = await command.communicate()
    assert command.returncode == 0
    return sorted(told.decode().splitlines())


@pytest.mark.anyio
async def test_without_a_running_aegis_there_is_nothing_to_read_again(tmp_path: Path) -> None:
    command = await started(tmp_path / "home", "config", "reload")
    told = b"".join(await command.communicate())
    assert command.returncode not in (0, None)
    assert b"no Aegis works" in told
