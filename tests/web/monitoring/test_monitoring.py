"""Claims about what Prometheus and Grafana are given, tried on Prometheus itself and on Grafana's own schema."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import validators
from tests.web.monitoring.prometheus import Prometheus, prometheus
from tests.web.test_metrics import filled

from aegis.web.monitoring.dashboards import DASHBOARDS, costs

GIVEN = files("aegis.web.monitoring")
RULES = GIVEN.joinpath("aegis.rules.yml").read_text("utf-8")
WITH_PROMTOOL = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool comes with the Debian package prometheus"
)


def made() -> list[dict[str, Any]]:
    return [*(make() for make in DASHBOARDS.values()), costs(cloudwatch=True)]


def queries() -> Iterator[str]:
    for one in made():
        for panel in one["panels"]:
            yield from (target["expr"] for target in panel["targets"] if "expr" in target)


def promtool(*arguments: str, folder: Path) -> str:
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("prometheus.yml", "aegis.rules.yml"):
        (tmp_path / name).write_text(GIVEN.joinpath(name).read_text("utf-8"))
    return tmp_path


@WITH_PROMTOOL
def test_prometheus_accepts_the_configuration_and_the_rules(folder: Path) -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml", folder=folder)


@WITH_PROMTOOL
def test_the_rules_fire_when_they_should_and_only_then(folder: Path) -> None:
    cases = Path(__file__).with_name("aegis.rules.test.yml")
    shutil.copy(cases, folder)

    assert "SUCCESS" in promtool("test", "rules", cases.name, folder=folder)


@pytest.mark.parametrize("name", [*DASHBOARDS, "costs with CloudWatch"])
def test_grafanas_own_schema_accepts_the_dashboard(shared: Path, name: str) -> None:
    schema = json.loads((shared / "contracts" / "grafana_dashboard.json").read_text())
    schema.pop("x-source")
    dashboard = DASHBOARDS[name]() if name in DASHBOARDS else costs(cloudwatch=True)

    wrong = [
        f"{list(error.absolute_path)}: {error.message}"
        for error in validators.validator_for(schema)(schema).iter_errors(dashboard)
    ]
    assert wrong == []


def test_panels_lie_beside_each_other_and_never_on_each_other() -> None:
    for one in made():
        cells = [
            (x, y)
            for panel in one["panels"]
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(set(cells)) == len(cells), one["title"]
        assert max(x for x, _ in cells) < 24


def test_every_metric_that_is_asked_for_is_published() -> None:
    published = {line.split("{")[0].split(" ")[0] for line in filled().render()[0].decode().splitlines()}
    recorded = set(re.findall(r"record: (\S+)", RULES))

    for query in (*queries(), RULES):
        for name in re.findall(r"\baegis[_:][a-z0-9_:]+", query):
            assert name in published | recorded, name


def test_the_dashboards_of_the_first_description_are_there() -> None:
    titles = {panel["title"] for panel in costs()["panels"]}

    assert {"API Cost Trends", "Request Volume"} <= titles
    assert "Estimated Charges (AWS)" not in titles
    assert "Estimated Charges (AWS)" in {panel["title"] for panel in costs(cloudwatch=True)["panels"]}


@pytest.fixture(scope="module")
def scraping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed")
    with prometheus(tmp_path_factory.mktemp("prometheus"), filled().render()[0], RULES) as running:
        yield running


def test_a_real_prometheus_answers_every_query_of_every_dashboard(scraping: Prometheus) -> None:
    for query in queries():
        answer = scraping.ask(query)
        assert answer["status"] == "success", (query, answer)


@pytest.mark.parametrize(
    "query",
    [
        'aegis_spend_usd_total{team="red"}',
        'aegis_budget_spent_usd{budget="everything"}',
        'aegis_breaker_state{state="open"}',
        "sum(aegis_queue_depth)",
        "aegis_incidents_open",
    ],
)
def test_what_is_published_arrives_there(scraping: Prometheus, query: str) -> None:
    assert scraping.ask(query)["data"]["result"], query
