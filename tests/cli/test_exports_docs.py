"""docs/exports.md is true: every command runs, and it names every column of ours."""

import re
import shlex
from pathlib import Path

import anyio
from tests.cli.running import place
from tests.cli.spending import SETTINGS, spend

from aegis.config.load import load
from aegis.finance.focus import columns

PAGE = (Path(__file__).parents[2] / "docs" / "exports.md").read_text(encoding="utf-8")


def test_every_command_that_is_shown_runs(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write(SETTINGS)
    anyio.run(spend, here, 2, 1)
    shown = re.findall(r"^\$ aegis (.+)$", PAGE, re.MULTILINE)
    assert len(shown) == 5
    for line in shown:
        result = here.run(*shlex.split(line))
        assert result.exit_code == 0, (line, result.output)


def test_the_configuration_that_is_shown_is_accepted(tmp_path: Path) -> None:
    [shown] = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
    file = tmp_path / "aegis.yaml"
    file.write_text(shown)

    config = load(file)

    assert config.otlp is not None
    assert list(config.references()) == ["telemetry.otlp.headers.authorization"]


def test_every_column_of_ours_is_named() -> None:
    for name in columns("1.4"):
        assert not name.startswith("x_") or f"`{name}`" in PAGE
