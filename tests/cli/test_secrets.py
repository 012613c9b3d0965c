"""Claims about `aegis secrets`."""

from pathlib import Path

import pytest
from tests.cli.running import Place, data, place

from aegis.cli.main import root

VALUE = "a-token-nobody-may-see"


@pytest.fixture
def here(tmp_path: Path) -> Place:
    found = place(tmp_path)
    found.env["AEGIS_SECRETS__KEY_FILE"] = str(tmp_path / "keys" / "aegis.key")
    return found


def test_a_value_from_stdin_is_kept_and_can_be_used_and_is_never_printed(here: Place) -> None:
    results = [here.run("secrets", "set", "teams", stdin=f"{VALUE}\n"), here.run("secrets", "list")]
    here.write("connectors: {teams: {webhook: secret:teams}}")
    results += [
        here.run("config", "show"),
        here.run("secrets", "rotate"),
        here.run("secrets", "set", "teams", stdin="2"),
    ]

    assert [result.exit_code for result in results] == [0] * 5
    assert results[0].stdout == "secret:teams (version 1)\n"
    assert results[1].stdout.startswith("teams  version 1  changed 20")
    assert results[3].stdout == "1 secrets under a new key\n"
    assert results[4].stdout == "secret:teams (version 2)\n"
    assert VALUE not in "".join(result.output for result in results)
    assert all(VALUE not in path.read_text() for path in here.home.iterdir())


def test_the_list_as_json_has_no_values(here: Place) -> None:
    here.run("secrets", "set", "teams", stdin=VALUE)

    listed = data(here.run("secrets", "list", "--json"))

    assert listed["schema"] == "aegis.secrets/1"
    assert [set(secret) for secret in listed["secrets"]] == [{"name", "version", "created_at", "changed_at"}]


def test_a_secret_can_be_removed_once(here: Place) -> None:
    here.run("secrets", "set", "teams", stdin=VALUE)

    assert here.run("secrets", "rm", "teams").exit_code == 0
    assert here.run("secrets", "rm", "teams").exit_code == 4


def test_no_option_takes_a_value() -> None:
    import click

    context = click.Context(root)
    group = root.get_command(context, "secrets")
    assert isinstance(group, click.Group)
    command = group.get_command(context, "set")
    assert command is not None
    options = {option for parameter in command.params for option in parameter.opts}
    assert options == {"name", "--json", "--home", "--config", "--set", "--no-input", "--no-color"}


def test_without_a_key_source_the_three_ways_are_named(tmp_path: Path) -> None:
    result = place(tmp_path).run("secrets", "set", "teams", stdin=VALUE)

    assert result.exit_code == 3
    assert "systemd credential" in result.stderr
    assert "secrets.key_file" in result.stderr
    assert VALUE not in result.output


def test_a_passphrase_from_the_environment_opens_the_store(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.env.update(AEGIS_SECRETS__PASSPHRASE="env:WORDS", WORDS="twelve characters and more")

    assert here.run("secrets", "set", "teams", stdin=VALUE).exit_code == 0
    here.write("connectors: {teams: {webhook: secret:teams}}")
    assert "secret:teams" not in here.run("check").stderr
    here.env["WORDS"] = "other words than before"
    assert "this passphrase does not open it" in here.run("check").stderr


def test_a_name_or_a_value_that_cannot_be_kept_is_a_usage_error(here: Place) -> None:
    assert here.run("secrets", "set", "a/b", stdin=VALUE).exit_code == 2
    assert here.run("secrets", "set", "teams", stdin="").exit_code == 2


def test_an_empty_list_says_the_next_command(here: Place) -> None:
    result = here.run("secrets", "list")

    assert result.stdout == ""
    assert "aegis secrets set NAME" in result.stderr
