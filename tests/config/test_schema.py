"""The committed schema is the one of the code, and what it accepts is what loads."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tests.config.test_load import _example
from tests.config.writing import loaded

from aegis.config.load import load
from aegis.config.schema import schema_text
from aegis.config.sections.connectors import ConnectorsSection
from aegis.connectors import registry

ROOT = Path(__file__).resolve().parents[2]
STARTER = files("aegis.config").joinpath("starter.yaml").read_text(encoding="utf-8")


def _valid(document: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(json.loads(schema_text())).is_valid(document))


def test_the_committed_schema_is_up_to_date() -> None:
    committed = (ROOT / "aegis.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "run: aegis config schema > aegis.schema.json"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


def test_an_editor_accepts_the_design_example(shared: Path) -> None:
    assert _valid(yaml.safe_load(_example(shared)))


@pytest.mark.parametrize(
    "text",
    [
        "server: {listn: x}",
        "budgets: {b: {daily: {emergency: ten}}}",
        "services: {anthropic: {key: sk-ant-0123456789}}",
        "actions: {warnings: [log]}",
        "connectors: {slack: {chanel: x}}",
    ],
)
def test_an_editor_underlines_what_does_not_load(text: str) -> None:
    assert not _valid(yaml.safe_load(text))


def test_the_starter_loads_says_nothing_new_and_pleases_an_editor(tmp_path: Path) -> None:
    config, default = loaded(tmp_path, STARTER), load()

    assert config.warnings == ()
    assert config.budgets[:2] == default.budgets[:2]
    assert (config.actions, config.retention_days, config.privacy) == (
        default.actions, default.retention_days, default.privacy,
    )  # fmt: skip
    assert _valid(yaml.safe_load(STARTER))
    assert STARTER.startswith("# yaml-language-server: $schema=./aegis.schema.json\n")


def test_every_line_that_the_starter_has_commented_out_loads_too(tmp_path: Path) -> None:
    lines = STARTER.splitlines()
    bare = [line.replace("# ", "", 1) if _is_offer(line) else line for line in lines]

    config = loaded(tmp_path, "\n".join(bare))

    assert set(config.connectors) == {
        "slack",
        "teams",
        "discord",
        "pagerduty",
        "jira",
        "datadog",
        "splunk",
        "sentry",
        "email",
        "twilio",
        "webhook",
        "anthropic",
        "virustotal",
    }
    assert config.routes
    assert config.prices
    assert config.secrets.key_file


def _is_offer(line: str) -> bool:
    """A comment that is a line of configuration: a key, or something below one."""
    words = line.strip().removeprefix("# ").split(":")[0]
    return line.strip().startswith("# ") and (
        words
        in (
            "key",
            "slack",
            "teams",
            "discord",
            "pagerduty",
            "jira",
            "datadog",
            "splunk",
            "sentry",
            "email",
            "twilio",
            "webhook",
            "routes",
            "detection",
            "prices",
            "secrets",
        )
        or line.startswith("#   ")
    )


METERED = {"anthropic", "virustotal"}


@pytest.mark.parametrize("name", sorted(set(registry.CONNECTORS) - METERED))
def test_a_section_has_the_fields_of_its_connector(name: str) -> None:
    section = ConnectorsSection.model_fields[name].annotation
    model: Any = next(part for part in section.__args__ if part is not type(None))  # type: ignore[union-attr]
    ours, theirs = model.model_fields, {field.name: field for field in registry.fields(name)}

    assert set(ours) == set(theirs)
    assert {key for key in ours if ours[key].is_required()} == {key for key in theirs if theirs[key].required}
    for key in ours:
        if theirs[key].kind != "secret" and not theirs[key].required:
            default = theirs[key].default
            assert ours[key].default == (list(default) if isinstance(default, tuple) else default), key


def test_every_section_of_connectors_is_one() -> None:
    assert set(ConnectorsSection.model_fields) | METERED == set(registry.CONNECTORS)


def test_a_metered_connector_is_given_fields_it_has(tmp_path: Path) -> None:
    config = loaded(tmp_path, "services: {virustotal: {key: env:A}, anthropic: {key: env:B}}")

    for name in METERED:
        assert set(config.connectors[name]) == {field.name for field in registry.fields(name)}
