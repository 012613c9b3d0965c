"""Claims about `aegis demo cost`: the same every time, offline, short enough for one screen, and honest without boto3."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.cli.running import place

CANARIES = {"AWS_ACCESS_KEY_ID": "AKIACANARY0123456789", "AWS_SECRET_ACCESS_KEY": "canary/secret/0123456789abcdefghij"}
DEAD_END = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "AWS_PROFILE": "nobody"}


def played(folder: Path, *flags: str) -> subprocess.CompletedProcess[bytes]:
    env = {**CANARIES, **DEAD_END, "HOME": str(folder), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "aegis", "demo", "cost", *flags]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, timeout=180, check=False)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    run = played(tmp_path_factory.mktemp("demo"), "--json")
    assert run.returncode == 0, run.stderr.decode()
    assert not any(canary.encode() in run.stdout + run.stderr for canary in CANARIES.values())
    return json.loads(run.stdout)


def test_it_fits_a_screen_and_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = played(tmp_path), played(tmp_path)

    assert (first.returncode, first.stderr) == (0, b"")
    assert first.stdout == second.stdout
    assert 30 < first.stdout.count(b"\n") < 60
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_what_is_asked_again_is_free_and_what_is_asked_well_is_cheap(told: Any) -> None:
    wide, again, narrow = told["athena"]
    assert (again["from_cache"], again["cost_usd"]) == (True, "0.00")
    assert Decimal(wide["cost_usd"]) > 100 * Decimal(narrow["cost_usd"]) > 0
    first, _, repeated = told["bedrock"]
    assert (repeated["text"], repeated["from_cache"]) == (first["text"], True)


def test_the_pace_is_the_curve_of_the_specification(told: Any) -> None:
    waits = {row["used_percent"]: row["seconds_between_calls"]["MEDIUM"] for row in told["throttle"]}
    assert waits == {50: 0, 60: 1, 75: 3, 85: 10, 95: None}
    assert all(row["seconds_between_calls"]["CRITICAL"] == 0 for row in told["throttle"])
    assert told["emergency"]["passes"] == {"CRITICAL": True, "HIGH": False, "MEDIUM": False, "LOW": False}


def test_the_models_recommendations_and_dashboard_are_the_real_ones(told: Any) -> None:
    assert told["schema"] == "aegis.demo-cost/1"
    assert len({row["model"] for row in told["models"]}) == 3
    assert {one["kind"] for one in told["recommendations"]} == {"quota", "parquet"}
    usage = told["dashboard"]["usage_summary"]
    assert usage["bedrock"]["usage_percentage"] == 95
    assert told["dashboard"]["cost_analysis"]["free_tier_status"] == "critical"
    assert isinstance(told["dashboard"]["cost_analysis"]["total_estimated_cost_usd"], str), "money is text in JSON"


def test_without_boto3_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    result = place(tmp_path).run("demo", "cost")
    assert result.exit_code == 3
    assert "AWS needs boto3; run: pip install 'aegis[aws]'" in result.stderr
