"""How commands are made: examples first in the help, shared options everywhere, groups that load what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from aegis.cli.exits import Exit, exit_for
from aegis.cli.session import Session, say, session
from aegis.core.errors import AegisError

Lazy = Mapping[str, tuple[str, str]]
"""Name of a command to (`module:attribute`, line of help)."""


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """A callback that keeps an option's value in the session when it was given."""

    def callback(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value and not context.resilient_parsing:
            setattr(session(context), name, value)

    return callback


def _overrides(context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> None:
    for value in values:
        path, equals, text = value.partition("=")
        if not equals or not path:
            raise click.BadParameter("must be SECTION.KEY=VALUE, such as server.listen=127.0.0.1:9000", context)
        session(context).overrides[path] = text


def _no_colour(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value or session(context).env.get("NO_COLOR"):
        context.find_root().color = False
        context.color = False


def _no_input(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        session(context).ask = False


def shared_options() -> list[click.Parameter]:
    """Options that stand before or after any command."""
    quiet: dict[str, Any] = {"expose_value": False}
    return [
        click.Option(["--home"], metavar="FOLDER", callback=_keep("home_flag"), help="State folder.", **quiet),
        click.Option(["--config"], metavar="FILE", callback=_keep("config_flag"), help="Configuration file.", **quiet),
        click.Option(
            ["--set"],
            metavar="KEY=VALUE",
            multiple=True,
            callback=_overrides,
            help="One value of the configuration.",
            **quiet,
        ),
        click.Option(["--no-input"], is_flag=True, callback=_no_input, help="Never ask.", **quiet),
        click.Option(["--no-color"], is_flag=True, callback=_no_colour, help="No colours (also: NO_COLOR).", **quiet),
    ]


class Speaking(click.Command):
    """A command whose help begins with examples and ends with the options that all share."""

    examples: Sequence[str] = ()

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.params.extend(shared_options())

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {example}\n" for example in self.examples))
            formatter.write_paragraph()
        super().format_help(ctx, formatter)


class Group(Speaking, click.Group):
    """A group of commands. Those in `lazy` are imported only when they are called."""

    command_class = Speaking

    def __init__(self, *args: Any, lazy: Lazy | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, name = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            _no_such(ctx, name, self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._line(ctx, name)) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=self._line(ctx, name)) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def _line(self, ctx: click.Context, name: str) -> str:
        """The line of help of a command, without importing it."""
        if name in self.lazy:
            return self.lazy[name][1]
        command = self.get_command(ctx, name)
        return command.get_short_help_str(80) if command else ""


class Root(Group):
    """The whole command line: errors become sentences and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
        except (AegisError, BaseExceptionGroup) as error:
            ctx.exit(_end(ctx, error))
        except KeyboardInterrupt:
            ctx.exit(_interrupted())
        except BrokenPipeError:
            ctx.exit(Exit.OK)  # whoever read our output has had enough
        if isinstance(result, int):
            ctx.exit(result)
        return result


def _end(ctx: click.Context, error: BaseException) -> Exit:
    """Say what went wrong; the code to end with. What task groups wrapped is unwrapped; what nobody expected goes on."""
    leaves = list(_leaves(error))
    if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
        return _interrupted()
    ours = [leaf for leaf in leaves if isinstance(leaf, AegisError)]
    if len(ours) < len(leaves):
        raise error
    for leaf in ours:
        say(session(ctx).masked(_told(leaf)), colour="red")
    return exit_for(ours[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _interrupted() -> Exit:
    say("interrupted")
    return Exit.INTERRUPTED


def _told(error: AegisError) -> str:
    """The whole of an error for people; a wrong configuration shows the lines it is about."""
    shown = getattr(error, "shown", None)
    return str(shown()) if shown else str(error)


def _no_such(ctx: click.Context, name: str, names: Sequence[str]) -> NoReturn:
    close = get_close_matches(name, names, n=1)
    hint = f" Did you mean `{close[0]}`?" if close else ""
    raise click.UsageError(f"There is no command `{name}`.{hint}", ctx)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
"""For every command that prints data."""

__all__ = ["Group", "Lazy", "Root", "Session", "Speaking", "json_option"]
