"""`docs/reference/cli.md`: every command with its usage, options, examples and the codes that it ends with."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Final

import click

from aegis.cli.commands import Speaking, shared_options
from aegis.cli.exits import Exit
from aegis.cli.main import COMMANDS, root
from tools.reference.writing import anchor, code, page, sentence, table

INTRO = """\
# Commands

Every command of `aegis`. `-h` on any of them shows the same with examples first; a command that is mistyped names the
nearest one. `--json` prints one JSON object whose first key is its schema. Data goes to stdout, everything else to stderr.
"""
MEANINGS: Final = {
    Exit.OK: "done",
    Exit.UNEXPECTED: "Aegis failed: the store cannot answer, or an error that nobody expected; `aegis audit verify`: changed",
    Exit.USAGE: "the command line, or what it was given, is wrong",
    Exit.CONFIG: "the configuration, a reference or the state folder is wrong; nothing was started",
    Exit.NOT_FOUND: "what was named does not exist",
    Exit.FORBIDDEN: "a service refused the key",
    Exit.REMOTE: "a service failed or could not be reached",
    Exit.WARNING: "a budget is at warning; a drill missed a target",
    Exit.CRITICAL: "a budget is at critical",
    Exit.EMERGENCY: "a budget is at emergency",
    Exit.TEMPORARY: "refused for now: a budget, rate, stop or breaker; nothing was spent",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}
"""What each code says; `docs/reference/errors.md` shows the same table."""


def exit_rows() -> list[tuple[str, str, str]]:
    """Every exit code with its name and meaning."""
    return [(code(str(int(one))), code(one.name), MEANINGS[one]) for one in Exit]


def commands() -> Iterator[tuple[Sequence[str], click.Command]]:
    """Every command with its words, in the order of the help."""
    context = click.Context(root, info_name="aegis")
    for name in COMMANDS:
        top = root.get_command(context, name)
        assert top is not None
        yield from _below(("aegis", name), top)


def _below(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[Sequence[str], click.Command]]:
    if command.hidden:
        return
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=words[-1])
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _below((*words, name), below)


def cli_page() -> str:
    """The page."""
    lines = [*INTRO.split("\n"), "## All of them", ""]
    rows = [(f"[`aegis {name}`](#{anchor(f'aegis {name}')})", line) for name, (_, line) in COMMANDS.items()]
    lines += table(("command", "what it does"), rows)
    lines += ["## Options that every command takes", "", *_options(shared_options()), "## Exit codes", ""]
    lines += table(("code", "name", "means"), exit_rows())
    for words, command in commands():
        lines += _command(words, command)
    return page(lines)


def _command(words: Sequence[str], command: click.Command) -> list[str]:
    """One command: a group says what is in it, any other its usage, options and codes."""
    lines = [f"{'#' * len(words)} `{' '.join(words)}`", "", sentence(_said(command)), ""]
    group = isinstance(command, click.Group)
    own = [one for one in command.params if one.name not in {shared.name for shared in shared_options()}]
    if not group or (command.callback is not None and getattr(command, "invoke_without_command", False)):
        lines += ["```text", f"{' '.join(words)} {_usage(command, words)}".rstrip(), "```", ""]
    lines += _options(own)
    examples = getattr(command, "examples", ()) if isinstance(command, Speaking) else ()
    if examples and not group:
        lines += [f"For example {', '.join(code(one) for one in examples)}.", ""]
    if codes := _codes(command):
        told = ", ".join(f"`{int(one)}` ({MEANINGS[one].partition(';')[0]})" for one in codes)
        lines += [f"Ends also with {told}.", ""]
    return lines


def _said(command: click.Command) -> str:
    return inspect.cleandoc(command.help or command.short_help or "").split("\f")[0]


def _usage(command: click.Command, words: Sequence[str]) -> str:
    context = click.Context(command, info_name=words[-1])
    return " ".join(command.collect_usage_pieces(context))


def _options(params: Sequence[click.Parameter]) -> list[str]:
    """A table of arguments and options; nothing where there are none."""
    rows = []
    for one in params:
        if isinstance(one, click.Argument):
            rows.append((code(one.make_metavar(click.Context(click.Command("x")))), _facts(one)))
        elif isinstance(one, click.Option) and not one.hidden:
            rows.append((_names(one), f"{sentence(one.help or '')} {_facts(one)}".strip()))
    return table(("option", "what it does"), rows) if rows else []


def _names(option: click.Option) -> str:
    names = ", ".join(code(name) for name in (*option.opts, *option.secondary_opts))
    if option.is_flag or option.count:
        return names
    metavar = option.make_metavar(click.Context(click.Command("x"))) or "TEXT"
    return f"{names} {code(metavar)}"


def _facts(param: click.Parameter) -> str:
    """What can be said of any parameter: how often, whether needed, what stands there if nothing does."""
    facts = []
    if isinstance(param, click.Argument):
        facts.append("may be left out" if not param.required else "needed")
    elif param.required:
        facts.append("needed")
    if getattr(param, "multiple", False) or param.nargs == -1:
        facts.append("may be given several times")
    value = param.default
    plain = isinstance(value, str | int) and not isinstance(value, bool) and value != ""
    if plain and not getattr(param, "is_flag", False):
        facts.append(f"otherwise `{value}`")
    return f"({', '.join(facts)})" if facts else ""


def _codes(command: click.Command) -> list[Exit]:
    """The codes that stand in a command's own function and in those of its module that it calls, beside 0."""
    callback = inspect.unwrap(command.callback) if command.callback else None
    if callback is None:
        return []
    module = inspect.getmodule(callback)
    assert module is not None
    found: set[str] = set()
    _look(callback, module, found, set())
    return [one for one in Exit if one.name in found and one is not Exit.OK]


def _look(function: Callable[..., Any], module: ModuleType, found: set[str], seen: set[str]) -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Exit":
            found.add(node.attr)
        elif isinstance(node, ast.Name) and node.id not in seen:
            seen.add(node.id)
            one = getattr(module, node.id, None)
            if inspect.isfunction(one) and one.__module__ == module.__name__:
                _look(one, module, found, seen)
            elif isinstance(one, dict | tuple | list):
                inside = one.values() if isinstance(one, dict) else one
                found |= {part.name for part in inside if isinstance(part, Exit)}
