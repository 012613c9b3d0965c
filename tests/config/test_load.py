"""Claims about where values come from and what they become."""

import json
import re
from pathlib import Path

import pytest
from tests.config.writing import loaded, written

from aegis.config.environment import Variable
from aegis.config.load import load
from aegis.config.problems import InvalidConfig
from aegis.core.buckets import Rate
from aegis.core.calls import Priority
from aegis.core.incidents import Severity
from aegis.core.money import usd
from aegis.core.references import Reference

TB = 10**12


def _example(shared: Path) -> str:
    blocks = re.findall(r"```yaml\n(# aegis\.yaml\n.*?)```", (shared / "DESIGN.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    return str(blocks[0])


def test_the_design_example_loads_as_it_stands(shared: Path, tmp_path: Path) -> None:
    config = loaded(tmp_path, _example(shared))

    assert (config.server.host, config.server.port) == ("127.0.0.1", 8787)
    assert config.store.path(Path("/state")) == Path("/state/aegis.db")
    everything, analysis, athena = config.budgets
    assert [(a.window.kind, a.warning, a.critical, a.emergency) for a in everything.windows] == [
        ("day", usd("5.00"), usd("8.00"), usd("10.00")),
        ("month", usd("75.00"), usd("90.00"), usd("100.00")),
    ]
    assert everything.scope == {}
    assert analysis.scope == {"purpose": "incident"}
    assert analysis.reserve == {Priority.CRITICAL: 30, Priority.HIGH: 20}
    assert (athena.unit, athena.windows[0].emergency) == ("bytes_scanned", 10 * TB)
    assert athena.throttle is not None
    assert (athena.throttle.light, athena.throttle.block) == (60, 95)
    assert config.actions["emergency"] == ("shutdown", "disable_keys", "alert_all")
    claude = config.services["anthropic"]
    assert claude.key == Reference("env", "ANTHROPIC_API_KEY")
    assert claude.rate == Rate(count=10, per_ms=60_000)
    assert (claude.breaker.failures, claude.breaker.recovery_ms, claude.breaker.cost) == (5, 60_000, usd(10))
    assert config.connectors["slack"]["token"] == Reference("keyring", "aegis/slack")
    assert config.connectors["slack"]["channel"] == "#incidents"
    assert config.routes[0].severities == {Severity.HIGH, Severity.CRITICAL}
    assert config.routes[0].to == ("pagerduty",)


def _thresholds(shared: Path) -> str:
    text = next(shared.glob("seeds/001*")).read_text(encoding="utf-8", errors="replace")
    blocks: list[str] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    return next(block for block in blocks if "budget_thresholds" in block)


@pytest.mark.parametrize("inside", [False, True], ids=["as a file", "inside aegis.yaml"])
def test_the_thresholds_of_the_first_description_are_taken_unchanged(
    shared: Path, tmp_path: Path, inside: bool
) -> None:
    text = _thresholds(shared)
    if inside:
        # The two members of the object as two sections, each still as JSON.
        document = json.loads(text, parse_float=str)
        assert set(document) == {"budget_thresholds", "actions"}
        body = text.strip().removeprefix("{").removesuffix("}")
        text = f"server: {{listen: 127.0.0.1:9000}}\n{_dedented(body)}"
        config = loaded(tmp_path, text)
        assert config.server.port == 9000
    else:
        config = load(written(tmp_path, text, "budget-config.json"))

    (everything,) = config.budgets
    assert everything.name == "everything"
    assert [(a.window.kind, a.warning, a.critical, a.emergency) for a in everything.windows] == [
        ("day", usd("5.00"), usd("8.00"), usd("10.00")),
        ("week", usd("25.00"), usd("35.00"), usd("50.00")),
        ("month", usd("75.00"), usd("90.00"), usd("100.00")),
    ]
    assert config.actions == {
        "warning": ("log", "email"),
        "critical": ("log", "email", "sms", "reduce_limits"),
        "emergency": ("shutdown", "disable_keys", "alert_all"),
    }


def _dedented(body: str) -> str:
    """JSON members as YAML sections: the comma between them goes, everything else stays."""
    return re.sub(r"^  }(,?)$", "  }", re.sub(r'^  "', '"', body, flags=re.MULTILINE), flags=re.MULTILINE)


def test_aegis_runs_without_any_file_and_never_without_a_limit() -> None:
    config = load()

    assert [budget.name for budget in config.budgets][:2] == ["everything", "analysis"]
    assert [a.emergency for a in config.budgets[0].windows] == [usd(10), usd(50), usd(100)]
    assert config.connectors == {}
    assert config.warnings == ()
    assert config.origin("server.listen") == "default"


def test_budgets_that_are_written_replace_the_shipped_ones(tmp_path: Path) -> None:
    config = loaded(tmp_path, "budgets: {soc: {scope: {team: soc}, monthly: {emergency: 500}}}")

    assert [budget.name for budget in config.budgets] == ["soc"]
    assert config.warnings == ("budgets - no budget in dollars covers all calls: add one with `scope: all`",)


def test_one_shipped_amount_can_be_changed_without_a_file() -> None:
    config = load(env={"AEGIS_BUDGETS__EVERYTHING__DAILY__EMERGENCY": "20"})

    daily = config.budgets[0].windows[0]
    assert (daily.warning, daily.emergency) == (usd(5), usd(20))
    assert config.origin("budgets.everything.daily.emergency").startswith("environment AEGIS_BUDGETS__")


def test_a_flag_beats_the_environment_beats_dotenv_beats_the_nearer_file(tmp_path: Path) -> None:
    far = written(tmp_path, "server: {listen: far:1, public_url: https://far.example}", "far.yaml")
    near = written(tmp_path, "server: {listen: near:2}", "near.yaml")
    name = "AEGIS_SERVER__LISTEN"

    def listen(**sources: object) -> str:
        config = load((far, near), **sources)  # type: ignore[arg-type]
        return f"{config.server.host} {config.origin('server.listen').rpartition('/')[2]}"

    dotenv = {name: Variable("dotenv:3", 7)}
    assert listen() == "near near.yaml:1:10"
    assert listen(dotenv=dotenv) == "dotenv .env:7:1 AEGIS_SERVER__LISTEN"
    assert listen(dotenv=dotenv, env={name: "env:4"}) == "env environment AEGIS_SERVER__LISTEN"
    assert listen(dotenv=dotenv, env={name: "env:4"}, flags={"server.listen": "flag:5"}) == "flag flag server.listen"
    assert load((far, near)).server.public_url == "https://far.example"


def test_a_variable_finds_names_with_dashes_and_capitals(tmp_path: Path) -> None:
    text = "budgets: {athena-scan: {meter: bytes_scanned, monthly: {emergency: 10TB}, reserve: {HIGH: 10%}}}"
    env = {
        "AEGIS_BUDGETS__ATHENA_SCAN__MONTHLY__EMERGENCY": "5TB",
        "AEGIS_BUDGETS__ATHENA_SCAN__RESERVE__HIGH": "25%",
        "AEGIS_HOME": "/somewhere",
    }

    (budget,) = loaded(tmp_path, text, **env).budgets

    assert budget.windows[0].emergency == 5 * TB
    assert budget.reserve == {Priority.HIGH: 25}


def test_a_variable_can_hold_a_list_or_a_mapping() -> None:
    config = load(
        env={"AEGIS_CONNECTORS__SLACK": '{token: env:TOKEN, channel: "#soc"}', "AEGIS_ACTIONS__WARNING": "[log, slack]"}
    )

    assert config.connectors["slack"]["channel"] == "#soc"
    assert config.actions["warning"] == ("log", "slack")
    assert config.origin("connectors.slack.token") == "environment AEGIS_CONNECTORS__SLACK"


def test_money_never_passes_through_a_float(tmp_path: Path) -> None:
    # As a float, 0.1 + 0.2 and 70.000000001 lose their last digits.
    config = loaded(tmp_path, "budget_thresholds: {daily: {warning: 0.000000003, emergency: 70.000000001}}")

    assert config.budgets[0].windows[0].warning == 3
    assert config.budgets[0].windows[0].emergency == 70_000_000_001


def test_words_that_old_yaml_took_for_false_stay_words(tmp_path: Path) -> None:
    config = loaded(tmp_path, "budgets: {no: {scope: {team: NO}, daily: {emergency: 1}}}")

    assert config.budgets[0].name == "no"
    assert config.budgets[0].scope == {"team": "NO"}


def test_levels_may_be_percentages_of_the_limit(tmp_path: Path) -> None:
    config = loaded(tmp_path, "budgets: {all: {daily: {warning: 50%, critical: 80%, emergency: 10.00}}}")

    amounts = config.budgets[0].windows[0]
    assert (amounts.warning, amounts.critical) == (usd(5), usd(8))


def test_a_rolling_window_and_a_time_zone_reach_the_core(tmp_path: Path) -> None:
    text = "budgets: {b: {mode: observe, timezone: Europe/Berlin, week_start: sunday, weekly: {emergency: 9}, rolling: {span: 6h, emergency: 2}}}"

    (budget,) = loaded(tmp_path, text).budgets

    week, rolling = (amounts.window for amounts in budget.windows)
    assert (week.kind, week.zone, week.week_start) == ("week", "Europe/Berlin", 6)
    assert (rolling.kind, rolling.span_ms) == ("rolling", 6 * 3_600_000)
    assert budget.observe


def test_a_section_with_everything_commented_out_is_not_written(tmp_path: Path) -> None:
    config = loaded(tmp_path, "connectors:\n  # slack: {}\nbudgets:\n")

    assert config.connectors == {}
    assert config.budgets[0].name == "everything"


def test_a_route_to_a_connector_that_is_missing_is_allowed_and_said(tmp_path: Path) -> None:
    config = loaded(tmp_path, "routes: [{to: jira}]")

    assert config.warnings == ("routes - jira is told by a route and is no configured connector",)


def test_an_own_price_becomes_whole_nano_dollars(tmp_path: Path) -> None:
    config = loaded(tmp_path, "prices: {anthropic/claude-x: {since: 2026-01-01, input_tokens: 3.00, output_tokens: 0}}")

    price = config.prices["anthropic", "claude-x"]
    assert price.cost({"input_tokens": 1_000_000, "output_tokens": 5}) == usd(3)
    assert price.since.isoformat() == "2026-01-01"


def test_metered_services_with_a_key_are_connectors_by_their_own_field_names(tmp_path: Path) -> None:
    config = loaded(tmp_path, "services: {virustotal: {key: env:VT}, anthropic: {key: env:CLAUDE}}")

    assert config.connectors["virustotal"]["api_key"] == Reference("env", "VT")
    assert config.connectors["anthropic"]["key"] == Reference("env", "CLAUDE")
    assert config.references() == {
        "services.anthropic.key": Reference("env", "CLAUDE"),
        "services.virustotal.key": Reference("env", "VT"),
    }


def test_a_file_that_is_not_there_or_no_text_or_too_large_is_an_error(tmp_path: Path) -> None:
    binary, large = tmp_path / "b.yaml", tmp_path / "l.yaml"
    binary.write_bytes(b"server: 1\n\xff\xfe")
    large.write_bytes(b"#" * (1024 * 1024 + 1))

    for path, said in (
        (tmp_path / "none.yaml", "cannot be read"),
        (binary, "b.yaml:2:1 - is not UTF-8"),
        (large, "larger than"),
    ):
        with pytest.raises(InvalidConfig, match=said):
            load(path)


def test_the_answers_kept_in_memory_are_bounded_as_it_says(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").store.answers_bytes == 64 * 1024 * 1024
    assert loaded(tmp_path, "store: {answers_mb: 2}").store.answers_bytes == 2 * 1024 * 1024
