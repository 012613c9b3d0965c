"""Claims about `aegis replay`: events come to the same every time, another policy shows its difference, nothing real is touched."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.running import Place, data, place

STARTS = datetime(2026, 3, 2, 9, tzinfo=UTC)
QUIET = "detection: {shipped: false}\n"
RULED = "routes: [{when: {severity: [HIGH, CRITICAL]}, to: [slack], instead: true, last: true}]\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Somebody guesses a password 30 times, then gets in."""
    lines = [
        f"{STARTS + timedelta(seconds=2 * n):%Y-%m-%dT%H:%M:%S+00:00} web-1 sshd[{900 + n}]: "
        f"Failed password for root from 203.0.113.9 port {4000 + n} ssh2"
        for n in range(30)
    ]
    lines.append(
        f"{STARTS + timedelta(seconds=90):%Y-%m-%dT%H:%M:%S+00:00} web-1 sshd[999]: "
        "Accepted password for root from 203.0.113.9 port 4999 ssh2"
    )
    file = tmp_path / "auth.log"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture
def here(tmp_path: Path) -> Place:
    found = place(tmp_path)
    found.write("{}\n")
    return found


def test_the_same_events_come_to_the_same_every_time(here: Place, log: Path) -> None:
    first, second = (here.run("replay", str(log), "--json") for _ in range(2))

    assert first.exit_code == 0, first.stderr
    assert data(first) == data(second)
    now = data(first)["now"]
    assert now["events"] == 31
    assert now["incidents"]["HIGH"] + now["incidents"]["CRITICAL"] >= 1
    assert now["services"]["pagerduty"]["received"] >= 1


def test_another_policy_is_shown_beside_it(here: Place, log: Path) -> None:
    policy = here.folder / "policy.yaml"
    policy.write_text(QUIET)
    found = data(here.run("replay", str(log), "--policy", str(policy), "--json"))

    assert found["policy"]["detections"] == 0
    assert found["difference"]["detections"] == -found["now"]["detections"]
    assert found["difference"]["received"]["pagerduty"] < 0
    assert "policy" in here.run("replay", str(log), "--policy", str(policy)).stdout


def test_nothing_is_written_to_the_state_folder(here: Place, log: Path) -> None:
    here.run("replay", str(log))

    assert not (here.home / "aegis.db").exists()


def test_a_file_without_events_is_told(here: Place, tmp_path: Path) -> None:
    empty = tmp_path / "empty.log"
    empty.write_text("\n")
    result = here.run("replay", str(empty))

    assert result.exit_code != 0
    assert "no event in these files" in result.stderr
