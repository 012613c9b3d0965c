"""docs/simulate.md is true: every command runs."""

import re
import shlex
from pathlib import Path

import anyio
from tests.cli.running import place
from tests.cli.spending import SETTINGS, spend

PAGE = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text(encoding="utf-8")


def test_every_command_that_is_shown_runs(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write(SETTINGS)
    anyio.run(spend, here, 2, 1)
    (here.folder / "stricter.yaml").write_text("budgets: {everything: {daily: {emergency: 0.01}}}\n")
    (here.folder / "auth.log").write_text(
        "2026-03-02T09:00:00+00:00 web-1 sshd[9]: Failed password for root from 203.0.113.9 port 4000 ssh2\n"
    )
    shown = re.findall(r"^\$ aegis (.+)$", PAGE, re.MULTILINE)
    assert len(shown) == 3
    for line in shown:
        words = [
            str(here.folder / word) if word in ("stricter.yaml", "auth.log") else word for word in shlex.split(line)
        ]
        result = here.run(*words)
        assert result.exit_code == 0, (line, result.output)
