"""The page about what a stop reaches shows a configuration that loads, and names every kind."""

import re
from pathlib import Path

import yaml

from aegis.config.load import load
from aegis.emergency.actuators.anthropic_keys import AnthropicKeys
from aegis.emergency.actuators.aws import AthenaWorkgroups, AwsKeys, AwsRoles
from aegis.emergency.actuators.docker import Docker
from aegis.emergency.actuators.kubernetes import Kubernetes
from aegis.emergency.actuators.openai_spend import OpenAISpend
from aegis.emergency.actuators.processes import Processes

PAGE = Path(__file__).parents[2] / "docs" / "actuators.md"
ALL = (Processes, Docker, Kubernetes, AnthropicKeys, OpenAISpend, AwsKeys, AwsRoles, AthenaWorkgroups)


def test_the_configuration_that_is_shown_loads(tmp_path: Path) -> None:
    shown, role = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "aegis.yaml").write_text(shown)
    found = load((tmp_path / "aegis.yaml",), {}).emergency
    assert (found.preauthorised, sorted(found.reach.credentials)) == (
        ("processes",),
        ["anthropic", "athena", "aws_keys", "aws_roles", "openai"],
    )
    assert yaml.safe_load(role)["kind"] == "Role"


def test_every_kind_stands_in_the_table_with_its_grade() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [one.kind for one in ALL if f"| `{one.kind}` | {one.grade.name} |" not in text] == []
