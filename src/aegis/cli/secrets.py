"""`aegis secrets`: the encrypted store. A value comes from stdin or a hidden prompt, never from a flag, and is never shown."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import say, session, show, show_json
from aegis.core.errors import BadInput
from aegis.core.secret import Secret

STDIN_CHARS_MAX = 64 * 1024 + 2


@click.group(cls=Group, examples=("aegis secrets set slack-token", "aegis secrets list"))
def group() -> None:
    """Keep keys and tokens encrypted in the state folder; point at them with secret:NAME."""


@group.command("set", examples=("aegis secrets set slack-token", "aegis secrets set slack-token < token.txt"))
@click.argument("name")
@json_option
def set_value(name: str, *, as_json: bool) -> None:
    """Store the value of NAME, new or again. Reads stdin, or asks without showing."""
    here = session()
    here.make_home()
    secrets = here.secrets(here.config())
    fresh = not secrets.store.exists()
    version = secrets.store.set(name, _value(name, ask=here.ask))
    if fresh:
        say(f"The encrypted store was made in {here.home}; its key is kept elsewhere: do not lose it.")
    if as_json:
        show_json("secret", name=name, version=version)
    else:
        show(f"secret:{name} (version {version})")


@group.command("list", examples=("aegis secrets list", "aegis secrets list --json"))
@json_option
def list_names(*, as_json: bool) -> None:
    """List names, versions and dates. Values are never shown, and no key is needed."""
    here = session()
    records = here.secrets(here.config()).store.records()
    if as_json:
        fields = ("name", "version", "created_at", "changed_at")
        show_json("secrets", secrets=[{name: asdict(record)[name] for name in fields} for record in records])
        return
    for record in records:
        show(f"{record.name}  version {record.version}  changed {record.changed_at}")
    if not records:
        say("No secrets yet: aegis secrets set NAME")


@group.command("rotate", examples=("aegis secrets rotate", "aegis secrets rotate --json"))
@json_option
def rotate(*, as_json: bool) -> None:
    """Encrypt everything anew under a new key, locked by the key source that is configured now."""
    here = session()
    count = here.secrets(here.config()).store.rotate()
    if as_json:
        show_json("rotation", secrets=count)
    else:
        show(f"{count} secrets under a new key")


@group.command("rm", examples=("aegis secrets rm slack-token", "aegis secrets rm slack-token --json"))
@click.argument("name")
@json_option
def remove(name: str, *, as_json: bool) -> None:
    """Forget the secret NAME."""
    here = session()
    if not here.secrets(here.config()).store.remove(name):
        raise BadInput(f"There is no secret {name!r}: aegis secrets list", code="no_such_secret")
    if as_json:
        show_json("secret", name=name, removed=True)
    else:
        show(f"secret:{name} is gone")


def _value(name: str, *, ask: bool) -> Secret:
    if not sys.stdin.isatty():
        text = sys.stdin.read(STDIN_CHARS_MAX)
        return Secret(text.removesuffix("\n").removesuffix("\r"))
    if not ask:
        raise BadInput(f"give the value on stdin: aegis secrets set {name} < FILE")
    return Secret(click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True))
