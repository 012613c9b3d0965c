"""Claims about the command line as a whole: help, typos, exit codes, where words go."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from tests.cli.running import place

from aegis import __version__
from aegis.cli.commands import Root
from aegis.cli.exits import Exit, exit_for
from aegis.cli.main import COMMANDS, root
from aegis.cli.session import Session, show_json
from aegis.core.errors import AegisError, BadInput, ConfigError, RateLimited, ServiceError, Stopped, StoreError

PATHS = [
    [],
    ["init"], ["check"], ["config"], ["config", "show"], ["config", "schema"], ["completion"],
    ["secrets"], ["secrets", "set"], ["secrets", "list"], ["secrets", "rotate"], ["secrets", "rm"],
]  # fmt: skip


def test_the_version(tmp_path: Path) -> None:
    result = place(tmp_path).run("--version")

    assert (result.exit_code, result.stdout) == (0, f"aegis {__version__}\n")


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_begins_with_two_examples(tmp_path: Path, path: list[str]) -> None:
    result = place(tmp_path).run(*path, "--help")

    lines = result.stdout.splitlines()
    assert (result.exit_code, lines[0]) == (0, "Examples:")
    assert all("aegis " in line for line in lines[1:3])
    assert lines[3] == ""
    assert "Usage: aegis" in result.stdout


def test_help_shows_every_command_without_importing_one(tmp_path: Path) -> None:
    lines = place(tmp_path).run("--help").stdout.split("Commands:")[1].splitlines()

    assert [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "] == list(COMMANDS)


def test_every_line_of_the_table_leads_to_a_command() -> None:
    context = click.Context(root)
    for name in COMMANDS:
        assert isinstance(root.get_command(context, name), click.Command), name


def test_a_typo_is_told_the_nearest_command(tmp_path: Path) -> None:
    here = place(tmp_path)

    for words, said in (
        (["chek"], "Did you mean `check`?"),
        (["secrets", "lst"], "Did you mean `list`?"),
        (["xyzzy"], "There is no command `xyzzy`."),
    ):
        result = here.run(*words)
        assert result.exit_code == Exit.USAGE
        assert said in result.stderr
        assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 3),
        (BadInput("x", code="no_such_incident"), 4),
        (BadInput("x", code="too_large"), 2),
        (ServiceError("slack", "x", retryable=False, status=403), 5),
        (ServiceError("slack", "x", retryable=True, status=500), 6),
        (RateLimited("x"), 75),
        (Stopped("x"), 75),
        (StoreError("x"), 1),
    ],
)
def test_every_error_has_its_exit_code(error: AegisError, code: int) -> None:
    assert exit_for(error) == code


def _failing(error: BaseException) -> Root:
    def fail() -> None:
        raise error

    return Root("aegis", commands={"fail": click.Command("fail", callback=fail)})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreError("the disk is full"), 1),
        (ExceptionGroup("tasks", [ExceptionGroup("inner", [ConfigError("wrong file")])]), 3),
        (KeyboardInterrupt(), 130),
        (BaseExceptionGroup("tasks", [KeyboardInterrupt(), StoreError("x")]), 130),
        (BrokenPipeError(), 0),
    ],
)
def test_an_error_ends_a_command_with_a_sentence_and_no_traceback(error: BaseException, code: int) -> None:
    result = CliRunner().invoke(_failing(error), ["fail"], obj=Session(env={}))

    assert result.exit_code == code
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_an_error_that_nobody_expected_is_not_hidden() -> None:
    group = ExceptionGroup("tasks", [StoreError("x"), KeyError("a bug")])

    assert CliRunner().invoke(_failing(group), ["fail"], obj=Session(env={})).exception is group


def test_a_key_in_an_error_is_masked() -> None:
    result = CliRunner().invoke(
        _failing(ConfigError("xoxb-1234567890-abcdefghij is wrong")), ["fail"], obj=Session(env={})
    )

    assert result.stderr == "*** is wrong\n"


@pytest.mark.parametrize(
    "setting", [{"env": {"NO_COLOR": "1"}}, {"flag": "--no-color"}], ids=["NO_COLOR", "--no-color"]
)
def test_colours_can_be_switched_off(setting: dict[str, object]) -> None:
    command = _failing(ConfigError("wrong"))
    command.commands["fail"] = type(root)(
        "fail", callback=command.commands["fail"].callback, invoke_without_command=True
    )
    flags = [str(setting["flag"])] if "flag" in setting else []
    env = dict(setting.get("env", {}))  # type: ignore[call-overload]

    coloured = CliRunner().invoke(command, ["fail"], obj=Session(env={}), color=True)
    plain = CliRunner().invoke(command, ["fail", *flags], obj=Session(env=env), color=True)

    assert "\x1b[31m" in coloured.stderr
    assert plain.stderr == "wrong\n"


def test_json_begins_with_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    show_json("thing", name="ü", count=1)

    assert capsys.readouterr().out == '{"schema": "aegis.thing/1", "name": "ü", "count": 1}\n'


@pytest.mark.parametrize(
    ("shell", "sign"),
    [("bash", "complete -o nosort -F"), ("zsh", "#compdef aegis"), ("fish", "complete --no-files --command aegis")],
)
def test_completion_scripts(tmp_path: Path, shell: str, sign: str) -> None:
    assert sign in place(tmp_path).run("completion", shell).stdout


def test_completion_finds_commands(tmp_path: Path) -> None:
    context = click.Context(root, obj=Session(env={}, folder=tmp_path))

    found = [item.value for item in root.shell_complete(context, "c")]
    assert found == [name for name in root.list_commands(context) if name.startswith("c")]
    assert {"check", "config", "contact", "completion"} <= set(found)


def test_a_shared_option_stands_before_or_after_the_command(tmp_path: Path) -> None:
    here = place(tmp_path)

    for words in (
        ["--set", "server.listen=x:1", "config", "show", "server"],
        ["config", "show", "server", "--set", "server.listen=x:1"],
    ):
        assert here.run(*words).stdout == "server.listen: x:1\n"
    assert here.run("check", "--set", "nonsense").exit_code == Exit.USAGE
