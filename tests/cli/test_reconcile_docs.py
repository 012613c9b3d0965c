"""docs/reconcile.md is true: its configuration is accepted, every command runs, its table names every provider and its time."""

import re
import shlex
from datetime import timedelta
from pathlib import Path

from tests.cli.outside import outside
from tests.cli.running import place

from aegis.app.bills import PROVIDERS
from aegis.config.load import load
from aegis.connectors import anthropic_bill, aws_bill, openai_bill, twilio_bill, virustotal_bill

PAGE = (Path(__file__).parents[2] / "docs" / "reconcile.md").read_text(encoding="utf-8")
[CONFIGURATION] = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
LAGS = {
    "anthropic": anthropic_bill.LAG_MS,
    "openai": openai_bill.LAG_MS,
    "aws": aws_bill.LAG_MS,
    "twilio": twilio_bill.LAG_MS,
}


def test_the_configuration_that_is_shown_is_accepted_and_is_the_usual_one(tmp_path: Path) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_text(CONFIGURATION)
    assert load(file, {}).reconcile == load((), {}).reconcile


def test_every_provider_stands_in_the_table_with_its_time() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.+\| ([^|]+) \|$", PAGE, re.MULTILINE))
    assert tuple(rows) == PROVIDERS
    assert {name: rows[name] for name in LAGS} == {
        name: f"{timedelta(milliseconds=lag) // timedelta(hours=1)} hours" for name, lag in LAGS.items()
    }
    assert virustotal_bill.VirusTotalBill.lag_ms == 0


def test_every_command_that_is_shown_runs(tmp_path: Path) -> None:
    here = place(tmp_path)
    with outside() as stands:
        url = stands.serving.url
        here.write(
            f"""\
services:
  anthropic: {{admin_key: env:ADMIN, base_url: {url}/anthropic}}
  openai: {{admin_key: env:ADMIN, base_url: {url}/openai}}
  virustotal: {{key: env:ADMIN, base_url: {url}/virustotal}}
"""
        )
        here.env["ADMIN"] = "sk-ant-admin-sandbox"
        shown = re.findall(r"^\$ aegis (.+)$", PAGE, re.MULTILINE)
        assert len(shown) == 4
        for line in shown:
            result = here.run(*shlex.split(line))
            assert result.exit_code == 0, (line, result.output)
