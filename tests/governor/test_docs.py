"""docs/governor.md is true: its example and commands run, and it names every gate with its error."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import anyio
import pytest
from tests.cli.running import place
from tests.cli.spending import SETTINGS, spend

from aegis.core import errors
from aegis.core.errors import Refused

TEXT = (Path(__file__).parents[2] / "docs" / "governor.md").read_text(encoding="utf-8")


def test_the_example_runs_and_says_what_it_promises(capsys: pytest.CaptureFixture[str]) -> None:
    [block] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(block, "docs/governor.md", "exec"), {})  # our own documentation
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("everything (day) has $0.0300 left of $0.0300")
    assert lines[1:] == [
        "20000000 of 30000000 nano-dollars settled, 0 held",
        "refused by budget 50000000 needed, 30000000 is the limit",
    ]


def test_every_command_that_is_shown_runs(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write(SETTINGS)
    anyio.run(spend, here, 9, 5)
    shown = re.findall(r"^\$ aegis (.+)$", TEXT, re.MULTILINE)
    assert len(shown) > 5
    for command in shown:
        result = here.run(*shlex.split(command))
        assert (result.exit_code, bool(result.output)) == (0, True), command


def test_every_gate_is_in_the_table_with_its_errors() -> None:
    gates: dict[str, set[str]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, Refused) and kind is not Refused:
            gates.setdefault(kind.gate, set()).add(kind.__name__)
    rows = re.findall(r"^\| `(\w+)` \|.*?\| (`.+?`) \|", TEXT, re.MULTILINE)
    assert {gate: set(re.findall(r"`(\w+)`", named)) for gate, named in rows} == gates
