"""docs/connectors/aws.md is true: its configuration loads, every command runs, and the policy permits just what is asked."""

import json
import re
import shlex
from pathlib import Path

import pytest
from tests.cli.outside import outside
from tests.cli.running import data, place

from aegis.finance.aws_account import PERMISSIONS

PAGE = (Path(__file__).parents[2] / "docs" / "connectors" / "aws.md").read_text(encoding="utf-8")


def test_every_command_that_is_shown_runs(tmp_path: Path) -> None:
    pytest.importorskip("boto3")
    configuration = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)[0]
    shown = re.findall(r"^\$ aegis (.+)$", PAGE, re.MULTILINE)
    assert len(shown) == 6
    here = place(tmp_path)
    with outside() as served:
        here.write(configuration.replace("aws:\n", f"aws:\n  base_url: {served.serving.url}\n"))
        hashed = ""
        for line in shown:
            words = shlex.split(line.replace("HASH", hashed))
            result = here.run(*words, *(["--json"] if words[-1] == "plan" else []))
            assert result.exit_code == 0, (line, result.output)
            hashed = data(result)["hash"] if words[-1] == "plan" else ""


def test_the_policy_permits_what_is_asked_and_nothing_else() -> None:
    policy = json.loads(re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)[0])
    permitted = {action for statement in policy["Statement"] for action in statement["Action"]}
    needed = {action for actions in PERMISSIONS.values() for action in actions.split(" and ")}

    assert permitted == needed | {"budgets:ListTagsForResource", "cloudwatch:ListTagsForResource"}
