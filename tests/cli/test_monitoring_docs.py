"""docs/monitoring.md is true: every command runs, and every metric and every alert stands there, and no other."""

import re
import shlex
from importlib.resources import files
from pathlib import Path

from tests.cli.running import place

from aegis.web.metrics import Metrics

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")


def test_every_command_that_is_shown_runs(tmp_path: Path) -> None:
    here = place(tmp_path)
    shown = re.findall(r"^\$ aegis (.+)$", PAGE, re.MULTILINE)
    assert len(shown) == 3
    for line in shown:
        words = [str(tmp_path / "out") if word.startswith("./") else word for word in shlex.split(line)]
        result = here.run(*words)
        assert result.exit_code == 0, (line, result.output)
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_every_metric_is_there_with_its_labels_and_none_that_is_not() -> None:
    published = {}
    for family in Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        published[name] = name
    named = {name for row in PAGE.splitlines() for name in re.findall(r"`(aegis_[a-z_]+)`", row)}

    assert named == published.keys()


def test_every_alert_is_there_with_its_severity() -> None:
    rules = (files("aegis.web.monitoring") / "aegis.rules.yml").read_text("utf-8")
    found = re.findall(r"alert: (\w+).*?severity: (\w+)", rules, re.DOTALL)

    assert set(re.findall(r"\| `(Aegis\w+)` \| (\w+) \|", PAGE)) == set(found)
