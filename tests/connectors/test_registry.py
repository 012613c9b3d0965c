"""Claims about the table of connectors."""

import dataclasses
import subprocess
import sys
from typing import Any

import pytest
from tests.connectors.stories import CANARY, SECRET, FixedClock, ScriptedHttp, new_id

from aegis.connectors.registry import CONNECTORS, build, configs, fields, load, private_hosts
from aegis.core.errors import ConfigError
from aegis.core.secret import Secret

SERVICES = """anthropic openai bedrock athena virustotal attack slack teams discord pagerduty jira datadog splunk sentry
    email twilio cloudwatch webhook apprise"""


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


@pytest.mark.parametrize(
    ("name", "values", "hosts"),
    [
        ("splunk", {"token": SECRET, "base_url": "https://hec.corp:8088", "allow_private": True}, {"hec.corp"}),
        ("splunk", {"token": SECRET, "base_url": "https://hec.corp:8088"}, set()),
        ("sentry", {"dsn": Secret("https://k@sentry.corp/1"), "allow_private": True}, {"sentry.corp"}),
        ("slack", {"token": SECRET, "channel": "#x"}, set()),
    ],
)
def test_only_hosts_that_the_config_allows_may_be_private(name: str, values: dict[str, Any], hosts: set[str]) -> None:
    assert private_hosts(load(name).Config(**values)) == hosts
