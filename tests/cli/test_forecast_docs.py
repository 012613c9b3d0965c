"""docs/forecast.md is true: its configuration is the default, every command runs."""

import re
import shlex
from pathlib import Path

from tests.cli.running import place

from aegis.config.load import load
from aegis.core.anomalies import AnomalyPolicy

PAGE = (Path(__file__).parents[2] / "docs" / "forecast.md").read_text(encoding="utf-8")
CONFIGURATION = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)[0]


def test_the_configuration_that_is_shown_is_the_default(tmp_path: Path) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_text(CONFIGURATION)

    assert load(file).anomalies == AnomalyPolicy()


def test_every_command_that_is_shown_runs(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write(CONFIGURATION)
    assert here.run("budget", "set", "everything", "daily", "emergency", "10").exit_code == 0  # makes the store
    shown = re.findall(r"^\$ aegis (.+)$", PAGE, re.MULTILINE)
    assert len(shown) == 6
    for line in shown:
        expected = int(code[1]) if (code := re.search(r"# exits (\d+)$", line)) else 0
        result = here.run(*shlex.split(line, comments=True))
        assert result.exit_code == expected, (line, result.output)
