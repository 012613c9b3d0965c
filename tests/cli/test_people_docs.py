"""docs/silences.md and docs/escalation.md are true: every configuration loads, every command runs."""

import re
import shlex
from pathlib import Path

import pytest
from tests.cli.running import place

from aegis.config.load import load
from aegis.core.matching import FIELDS

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("silences", "escalation")}


def configurations(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.+?)```", PAGES[page], re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_shown_runs(tmp_path: Path, page: str) -> None:
    here = place(tmp_path)
    here.env.update(TWILIO_TOKEN="token", HEARTBEAT_URL="https://hc.example.com/ping")
    here.write(configurations(page)[0])
    shown = re.findall(r"^\$ aegis (.+)$", PAGES[page], re.MULTILINE)
    assert len(shown) >= 6
    for line in shown:
        expected = int(code[1]) if (code := re.search(r"# exits (\d+)$", line)) else 0
        result = here.run(*shlex.split(line, comments=True))
        assert result.exit_code == expected, (line, result.output)


def test_chains_of_ones_own_load_beside_the_people(tmp_path: Path) -> None:
    people, chains = configurations("escalation")
    file = tmp_path / "aegis.yaml"
    file.write_text(re.sub(r"^escalation: .*\n", "", people, flags=re.MULTILINE) + chains)
    roster = load(file).roster
    assert [chain.name for chain in roster.chains] == ["nights"]
    assert roster.bridge == "+15550199"


def test_the_shipped_chains_are_those_of_the_page(tmp_path: Path) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_text(configurations("escalation")[0])
    roster = load(file).roster
    assert [chain.name for chain in roster.chains] == re.findall(
        r"^\| (warning|critical|emergency) ", PAGES["escalation"], re.MULTILINE
    )
    assert [[step.to for step in chain.steps] for chain in roster.chains] == [
        [("lead",)],
        [("lead",), ("manager",), ("everyone",)],
        [("everyone",), ("everyone",), ("everyone",)],
    ]
    assert all(chain.steps[2].bridge for chain in roster.chains[1:]), "the third step opens the conference"


def test_every_field_of_a_matcher_is_named() -> None:
    assert not [name for name in FIELDS if not re.search(rf"\b{name}\b", PAGES["silences"])]
