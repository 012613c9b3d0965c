"""The guides start.md, service.md, detection.md and the runbooks are true: every command that they show runs, in the
place that they speak of.
"""

import re
import shlex
from pathlib import Path

import anyio
import pytest
from tests.cli.outside import outside
from tests.cli.running import Place, data, place
from tests.cli.spending import SETTINGS, spend
from tests.cli.story import with_incident

DOCS = Path(__file__).parents[2] / "docs"
RUNBOOKS = (
    "budget-emergency",
    "provider-outage",
    "stolen-key",
    "alert-flood",
    "pages-missing",
    "aegis-down",
    "restore",
    "false-positives",
    "key-rotation",
)
LOOKING = {"check": {0, 3, 6}, "doctor": {0, 3, 6, 75}}
"""What looks at a place with made-up services ends with what it found."""
CONTACTS = """
contacts: {grace: {email: grace@example.com, phone: +1-555-0101, roles: [lead]}}
backup: {passphrase: "env:BACKUP_WORDS"}
"""


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def lines(page: str) -> list[str]:
    return re.findall(r"^\$ aegis (.+)$", text_of(page), re.MULTILINE)


def block(page: str, language: str, number: int = 0) -> str:
    found: list[str] = re.findall(rf"```{language}\n(.+?)```", text_of(page), re.DOTALL)
    return found[number]


def run(here: Place, line: str, **names: str) -> None:
    """Run a line as it stands, with the ids of this place put where the page has its own."""
    words = [names.get(re.sub(r"_01J.*", "_", word), word) for word in shlex.split(line, comments=True)]
    said = re.search(r"# exits (\d+)", line)
    allowed = LOOKING.get(words[0], {int(said[1]) if said else 0})
    result = here.run(*words, stdin="made-up\n")
    assert result.exit_code in allowed, f"aegis {line}: {result.exit_code} {result.output}"
    assert result.output, f"aegis {line} says something"


def troubled(here: Place, write: str = SETTINGS + CONTACTS) -> dict[str, str]:
    """A place in which something happened: calls, keys, an incident, a silence, a backup; the ids by their beginning."""
    here.env["BACKUP_WORDS"] = "words-of-a-test-that-are-long"
    anyio.run(spend, here, 3, 1)
    config = here.folder / "aegis.yaml"
    config.write_text((config.read_text(encoding="utf-8") if config.exists() else "") + write, encoding="utf-8")
    here.run("key", "create", "ci-bot", "--team", "build")
    incident = with_incident(here)
    here.run("silence", "add", "host=nothing", "--for", "1h", "--reason", "test")
    silence = data(here.run("silence", "list", "--json"))["silences"][0]["id"]
    backup = data(here.run("db", "backup", "--json"))["file"]
    return {"inc_": incident, "sil_": silence, "BACKUP": str(backup)}


def test_the_start_leads_to_an_incident_and_a_call(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.env["AEGIS_STORE__URL"] = "sqlite:sandbox-aegis.db"
    (here.folder / "trail.json").write_text(block("start.md", "json"), encoding="utf-8")
    names: dict[str, str] = {}
    tried = [line for line in lines("start.md") if not line.startswith("up ")]
    for line in tried:
        if "incident show" in line:
            names["inc_"] = data(here.run("incident", "list", "--json"))["incidents"][0]["id"]
        words = [str(here.folder / "trail.json") if word == "trail.json" else word for word in shlex.split(line)]
        run(here, shlex.join(words) if "trail.json" in line else line, **names)
    assert len(tried) > 10
    assert "Audit logging of the AWS account was switched off" in here.run("sandbox", "show", "pagerduty").output
    here.write(block("start.md", "yaml"))
    here.env["ANTHROPIC_API_KEY"] = "made-up"
    assert here.run("check").exit_code == 0


def test_the_service_is_set_up_and_looked_at(tmp_path: Path) -> None:
    with outside() as services:
        here = place(tmp_path)
        here.env.update({"ANTHROPIC_API_KEY": "k", "SLACK_BOT_TOKEN": "t", "PAGERDUTY_ROUTING_KEY": "0" * 32})
        first, *rest = lines("service.md")
        run(here, first)
        here.write(block("service.md", "yaml"))
        assert here.run("check").exit_code == 0
        services.configure(here)
        troubled(here, CONTACTS)
        for line in rest:
            run(here, line)
        assert len(rest) > 5


def test_the_rule_of_the_page_finds_its_door_and_the_filter_lets_it_go(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.env["AEGIS_STORE__URL"] = "sqlite:sandbox-aegis.db"
    rules = here.folder / "rules"
    rules.mkdir()
    here.write(f"detection: {{rules: [{rules}]}}\n")
    assert block("detection.md", "yaml").strip() == "detection:\n  rules: [rules]"
    (rules / "side_door.yml").write_text(block("detection.md", "yaml", 1), encoding="utf-8")
    event = block("detection.md", "json")
    doors = here.folder / "doors.jsonl"
    doors.write_text(event + event.replace("side-2", "main-1"), encoding="utf-8")

    for line in lines("detection.md"):
        run(here, line, **{"doors.jsonl": str(doors), "rules/side_door.yml": str(rules / "side_door.yml")})
    (found,) = data(here.run("incident", "list", "--json"))["incidents"]
    assert found["severity"] == "HIGH"
    assert "warning" not in here.run("check").output

    rule = block("detection.md", "yaml", 1).partition("aegis:")[0] + block("detection.md", "yaml", 2)
    (rules / "side_door.yml").write_text(rule, encoding="utf-8")
    checked = data(here.run("rule", "check", "--json", str(rules)))
    assert (checked["ok"], checked["examples"]) == (True, 2), "the rule with its examples"

    (rules / "cleaners.yml").write_text(block("detection.md", "yaml", 3), encoding="utf-8")
    here.env["AEGIS_HOME"] = str(tmp_path / "another")
    assert "0 detections" in here.run("event", "import", "--sandbox", str(doors)).output


@pytest.mark.parametrize("name", RUNBOOKS)
def test_every_command_of_a_runbook_runs(tmp_path: Path, name: str) -> None:
    shown = lines(f"runbooks/{name}.md")
    assert len(shown) >= 3
    with outside() as services:
        here = place(tmp_path)
        services.configure(here)
        names = troubled(here, SETTINGS + CONTACTS)
        for line in shown:
            if line.startswith("stop --scope team=build"):
                here.run("resume", "--scope", "team=build")
            run(here, line, **names)


def test_every_runbook_is_tried_and_has_the_same_parts() -> None:
    there = {path.stem for path in (DOCS / "runbooks").glob("*.md")} - {"README"}
    assert there == set(RUNBOOKS)
    for name in RUNBOOKS:
        parts = re.findall(r"^## (.+)$", text_of(f"runbooks/{name}.md"), re.MULTILINE)
        assert parts == ["First three commands", "Decide", "Back to normal"], name
        assert "**What you see.**" in text_of(f"runbooks/{name}.md")
        first = text_of(f"runbooks/{name}.md").partition("## First three commands")[2].partition("```console")[2]
        assert len(re.findall(r"^\$ aegis", first.partition("```")[0], re.MULTILINE)) == 3, name
