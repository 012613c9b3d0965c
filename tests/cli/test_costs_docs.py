"""docs/costs.md is true: its configuration is accepted, every command runs, every line of what is avoided is there."""

import re
import shlex
from pathlib import Path

import anyio
from tests.cli.running import place
from tests.cli.spending import SETTINGS, spend

from aegis.config.load import load
from aegis.finance.cost_words import METHODS

PAGE = (Path(__file__).parents[2] / "docs" / "costs.md").read_text(encoding="utf-8")
CONFIGURATION = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)[0]


def test_the_configuration_that_is_shown_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_text(CONFIGURATION)

    weekly = load(file).weekly

    assert weekly is not None
    assert (weekly.weekday, weekly.minute, weekly.zone, len(weekly.to)) == (0, 420, "Europe/Berlin", 2)


def test_every_command_that_is_shown_runs(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write(SETTINGS)
    anyio.run(spend, here, 2, 1)
    shown = re.findall(r"^\$ aegis (.+)$", PAGE, re.MULTILINE)
    assert len(shown) == 4
    for line in shown:
        result = here.run(*shlex.split(line))
        assert result.exit_code == 0, (line, result.output)


def test_every_way_in_which_something_is_avoided_is_explained() -> None:
    for words in METHODS.values():
        assert f"| {words} |" in PAGE
