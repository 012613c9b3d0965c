"""Claims about `aegis demo`: the whole story, the same for the same seed, with no key of this machine and no way out."""

import ipaddress
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_event import KEYS, TWELVE

WATCHED = Path(__file__).with_name("watched.py")
CANARIES = {
    "ANTHROPIC_API_KEY": "sk-ant-api03-canary-0f3c1d5e7a9b",
    "OPENAI_API_KEY": "sk-proj-canary-1a2b3c4d5e6f7a8b",
    "AWS_ACCESS_KEY_ID": "AKIACANARY0123456789",
    "AWS_SECRET_ACCESS_KEY": "canary/secret/0123456789abcdefghijklmnop",
    "SLACK_BOT_TOKEN": "xoxb-canary-0123456789",
    "VIRUSTOTAL_API_KEY": "ca9a7f" * 10 + "cafe",
    "PAGERDUTY_ROUTING_KEY": "ca9a7e" * 5 + "ca",
    "JIRA_API_TOKEN": "ATATTcanary0123456789",
    "SENTRY_DSN": "https://canary0123456789@o1.ingest.sentry.example/1",
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[subprocess.CompletedProcess[bytes]]]:
    """The demo played twice in one folder, beside a configuration that it must not read."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "aegis.yaml").write_text("connectors: {slack: {token: env:SLACK_BOT_TOKEN, channel: '#real'}}\n")
    (folder / ".env").write_text("OPENAI_API_KEY=canary-of-the-dotenv-file\n")
    (folder / ".env").chmod(0o600)
    env = {**CANARIES, "HOME": str(folder), "AEGIS_HOME": str(folder / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(WATCHED), str(folder / "seen"), "demo", "--fast", "--json", "--seed", "7"]
    runs = [subprocess.run(command, env=env, cwd=folder, capture_output=True, timeout=400) for _ in range(2)]
    return folder, runs


def summary_of(run: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    assert run.returncode == 0, run.stderr.decode()
    summary: dict[str, Any] = json.loads(run.stdout)
    return summary


def test_the_same_seed_prints_the_same_bytes(played: Any) -> None:
    _, (first, second) = played

    assert first.stdout == second.stdout
    assert first.stdout.count(b"\n") == 1
    assert b"Traceback" not in first.stderr


def test_the_summary_tells_the_whole_story(played: Any) -> None:
    summary = summary_of(played[1][0])

    assert list(summary) == [*KEYS, "answered", "stop"]
    assert summary["schema"] == "aegis.demo/1"
    assert summary["events"] > 200
    assert all(summary["incidents"][severity] >= 1 for severity in ("LOW", "MEDIUM", "HIGH", "CRITICAL"))
    assert summary["analyses"]["model"] >= 1
    assert summary["analyses"]["offline"] >= 1
    assert all(summary["services"][name]["received"] >= 1 for name in TWELVE)
    assert summary["services"]["anthropic"]["refused"] >= 1
    assert set(summary["levels_crossed"][0]) == {"budget", "window", "level", "at"}
    first_day = summary["levels_crossed"][0]["window"]
    levels = [row["level"] for row in summary["levels_crossed"] if row["window"] == first_day]
    assert levels == ["warning", "critical", "emergency"]
    report = Path(summary["report"]).read_text()
    assert report.startswith("#")
    assert "203.0.113.66" in report


def test_it_ends_with_a_stop_and_a_return_by_the_ramp(played: Any) -> None:
    stop = summary_of(played[1][0])["stop"]

    assert (stop["grade"], stop["scope"], stop["targets"]) == ("G2", {"team": "platform"}, 1)
    assert stop["state"] == "returned"
    tried, made = ({row["share_percent"]: row[name] for row in stop["ramp"]} for name in ("calls_tried", "calls_made"))
    assert list(tried) == [10, 50, 100]
    assert 0 < made[10] < tried[10] * 0.25
    assert tried[50] * 0.25 < made[50] < tried[50] * 0.75
    assert made[100] == tried[100]


def test_a_page_that_is_answered_in_slack_is_answered_everywhere(played: Any) -> None:
    told = summary_of(played[1][0])["answered"]

    assert (told["by"], told["via"], told["pagerduty"]) == ("grace", "slack", "acknowledged")
    assert told["jira"].startswith("SEC-")
    assert (told["jira_status"], told["escalation"], told["escalation_steps"]) == ("In Progress", "acknowledged", 1)


def test_the_first_day_never_costs_more_than_its_budget(played: Any) -> None:
    summary = summary_of(played[1][0])

    assert float(summary["budget_usd"]) == 0.20
    assert 0 < float(summary["spent_usd"]) <= 2 * float(summary["budget_usd"])


def test_keys_of_this_machine_appear_nowhere(played: Any) -> None:
    folder, runs = played
    canaries = [value.encode() for value in CANARIES.values()] + [b"canary"]

    for run in runs:
        assert not [one for one in canaries if one in run.stdout + run.stderr]
    files = [path for path in (folder / "home").rglob("*") if path.is_file()]
    assert any(path.name == "aegis.db" for path in files)
    for path in files:
        assert not [one for one in canaries if one in path.read_bytes()], path


def test_nothing_leaves_this_machine(played: Any) -> None:
    folder, _ = played
    seen = (folder / "seen").read_text().splitlines()

    addresses = {line.removeprefix("connect ") for line in seen if line.startswith("connect ")}
    assert addresses
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)
    assert {line for line in seen if line.startswith("look-up ")} <= {"look-up 127.0.0.1", "look-up localhost"}


def test_its_folder_is_for_its_owner_only(played: Any) -> None:
    folder, _ = played

    for path in (folder / "home", folder / "home" / "seed-7", folder / "home" / "seed-7" / "reports"):
        assert path.stat().st_mode & 0o077 == 0
