"""Claims about the table of connectors."""

import dataclasses
import subprocess
import sys

import pytest
from tests.connectors.stories import CANARY, SECRET, FixedClock, ScriptedHttp, new_id

from aegis.connectors.registry import CONNECTORS, build, configs, fields, load
from aegis.core.errors import ConfigError

SERVICES = "anthropic openai bedrock athena virustotal attack slack teams discord pagerduty jira datadog splunk sentry"


@pytest.mark.parametrize("name", CONNECTORS)
def test_every_connector_stands_where_the_table_says(name: str) -> None:
    module = load(name)
    made = getattr(module, CONNECTORS[name].partition(":")[2])
    assert (made.name, name in SERVICES.split()) == (name, True)
    assert dataclasses.is_dataclass(module.Config)


@pytest.mark.parametrize("name", CONNECTORS)
def test_every_field_has_a_kind_and_a_sentence(name: str) -> None:
    specs = fields(name)
    assert all(spec.help for spec in specs)
    assert all(spec.default is None for spec in specs if spec.kind == "secret")


def test_all_fields_are_listed_at_once() -> None:
    assert set(configs()) == set(CONNECTORS)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="slack"):
        load("slck")


def test_a_connector_is_built_from_typed_values() -> None:
    made = build("slack", {"token": SECRET, "channel": "#x"}, ScriptedHttp([]), clock=FixedClock(), new_id=new_id)
    assert made.name == "slack"
    assert CANARY not in repr(vars(made))


def test_the_table_loads_no_connector_and_no_client() -> None:
    code = "import sys, aegis.connectors.registry as r; print([m for m in sys.modules if m.startswith('aegis.connectors.') or m == 'aiohttp'])"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": "src"}
    )
    assert ran.stdout.strip() == "['aegis.connectors.registry']"
