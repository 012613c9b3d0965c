"""docs/budgets.md is true: every command that it shows runs, and it names every action."""

import re
import shlex
from pathlib import Path

import anyio
import pytest
from tests.cli.running import place
from tests.cli.spending import spend

from aegis.governor.actions import NAMES

TEXT = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text(encoding="utf-8")
CONFIGURATION = re.search(r"```yaml\n(.+?)```", TEXT, re.DOTALL)[1]  # type: ignore[index]
QUOTA = "  athena-scan: {scope: {service: athena}, meter: bytes_scanned, monthly: {emergency: 10TB}, throttle: {}}\n"
SHOWN = re.findall(r"^\$ aegis (.+)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_every_command_that_is_shown_runs(tmp_path: Path, *, as_json: bool) -> None:
    here = place(tmp_path)
    here.write(CONFIGURATION.replace("budgets:\n", f"budgets:\n{QUOTA}"))
    anyio.run(spend, here, 9, 5)

    assert len(SHOWN) > 25
    for shown in SHOWN:
        words = shlex.split(shown, comments=True)
        expected = int(code[1]) if (code := re.search(r"# exits (\d+)$", shown)) else 0
        more = ["--json"] if as_json and "--json" not in words else []
        result = here.run(*words, *more)
        assert result.exit_code == expected, f"aegis {shown}: {result.stderr}"
        assert result.output, f"aegis {shown} says something"
        assert not as_json or result.stdout.startswith('{"schema": "aegis.'), shown


def test_every_action_is_explained() -> None:
    named = set(re.findall(r"`([a-z_]+)`", "\n".join(line for line in TEXT.splitlines() if line.startswith("| `"))))

    assert named == set(NAMES)
