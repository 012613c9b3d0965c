"""`aegis init`: a commented `aegis.yaml` and the schema that editors check it with. Never overwrites."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from aegis.cli.commands import Speaking, json_option
from aegis.cli.session import say, session, show, show_json
from aegis.config.home import FILE_NAME
from aegis.core.errors import BadInput


@click.command(cls=Speaking, examples=("aegis init", "aegis init ~/.config/aegis"))
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@json_option
def command(folder: Path, *, as_json: bool) -> None:
    """Write a commented aegis.yaml into FOLDER (default: here), and aegis.schema.json beside it."""
    from aegis.config.schema import FILE_NAME as SCHEMA_NAME
    from aegis.config.schema import schema_text

    place = (session().folder / folder).resolve()
    target = place / FILE_NAME
    if target.exists():
        raise BadInput(f"{target} is already there; nothing was changed", code="exists")
    place.mkdir(parents=True, exist_ok=True)
    starter = files("aegis.config").joinpath("starter.yaml").read_text(encoding="utf-8")
    with target.open("x", encoding="utf-8") as file:  # x: whoever was faster keeps theirs
        file.write(starter)
    schema = place / SCHEMA_NAME
    if not schema.exists():
        schema.write_text(schema_text(), encoding="utf-8")
    if as_json:
        show_json("init", file=str(target), json_schema=str(schema))
    else:
        show(str(target))
        say("Next: edit it, then `aegis check`.")
