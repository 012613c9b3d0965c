"""`aegis config`: what is in force, where each value comes from, and the schema of the file."""

from __future__ import annotations

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import session, show, show_json


@click.group(cls=Group, examples=("aegis config show --origin", "aegis config reload"))
def group() -> None:
    """The configuration in force."""


@group.command("show", examples=("aegis config show", "aegis config show --origin budgets"))
@click.argument("section", default="")
@click.option("--origin", is_flag=True, help="Say where each value was written.")
@json_option
def show_values(section: str, *, origin: bool, as_json: bool) -> None:
    """Print the values in force, those of one SECTION or all. Secrets are references, never values."""
    config = session().config()
    secrets = session().secrets(config)
    references = config.references()
    chosen = [e for e in config.entries if not section or e.path == section or e.path.startswith(f"{section}.")]
    if as_json:
        values = [{"path": e.path, "value": e.text, "origin": e.origin} for e in chosen]
        show_json("config", files=[str(file) for file in config.files], values=values)
        return
    for entry in chosen:
        reference = references.get(entry.path)
        text = f"<{reference} {secrets.resolver.state(reference)}>" if reference else entry.text
        show(f"{entry.path}: {text}" + (f"  # {entry.origin}" if origin else ""))


@group.command("reload", examples=("aegis config reload",))
@json_option
def read_again(*, as_json: bool) -> None:
    """Let the running Aegis read its configuration again: budgets, prices and the gateway's upstreams, without a pause.

    What else has changed is named: it holds from the next start on. A wrong file changes nothing.
    """
    import anyio

    from aegis.cli.beside import ask, is_busy
    from aegis.core.errors import BadInput

    run = session()
    run.config()  # a wrong file is told here, before anybody is asked
    if not is_busy(run.home):
        raise BadInput(f"no Aegis works on {run.home}: it reads the file when it starts", code="not_running")
    told = anyio.run(ask, run, "POST", "/api/config/reload")
    if as_json:
        show_json("reload", taken=told["taken"], waits=told["waits"])
        return
    for path in told["taken"]:
        show(f"{path} holds now")
    for path in told["waits"]:
        show(f"{path} holds from the next start on")
    if not told["taken"] and not told["waits"]:
        show("nothing has changed")


@group.command(examples=("aegis config schema", "aegis config schema > aegis.schema.json"))
def schema() -> None:
    """Print the JSON Schema of aegis.yaml."""
    from aegis.config.schema import schema_text

    click.echo(schema_text(), nl=False)
