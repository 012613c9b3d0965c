"""`aegis completion`: the script that teaches a shell to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from aegis.cli.commands import Speaking


@click.command(
    cls=Speaking,
    examples=('eval "$(aegis completion bash)"', "aegis completion fish > ~/.config/fish/completions/aegis.fish"),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL."""
    from aegis.cli.main import root

    script = get_completion_class(shell)
    assert script is not None, "click knows every shell of the list"
    click.echo(script(root, {}, "aegis", "_AEGIS_COMPLETE").source())
