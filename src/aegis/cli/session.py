"""What every command knows: folders, sources of configuration, and how to speak to people and programs.

Policy: stdout is data, stderr is prose; `--json` prints one object and nothing else on stdout.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from aegis.config import home as places
from aegis.core.keyshapes import mask_keys
from aegis.core.secret import Secret

if TYPE_CHECKING:
    from aegis.app import Machine
    from aegis.config.settings import Config
    from aegis.secrets.opening import Secrets
    from aegis.secrets.resolver import Resolver


@dataclass(slots=True)
class Session:
    """One run of the command line."""

    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    folder: Path = field(default_factory=Path.cwd)
    home_flag: str = ""
    config_flag: str = ""
    overrides: dict[str, str] = field(default_factory=dict, repr=False)
    ask: bool = True
    """Whether a person may be asked (`--no-input` forbids it)."""
    machine: Machine | None = field(default=None, repr=False)
    """Another clock and other randomness, for rehearsals; None: this machine's."""
    opened: Secrets | None = field(default=None, repr=False)

    read: Config | None = field(default=None, repr=False)
    """The configuration, once somebody asked for it."""

    @property
    def home(self) -> Path:
        """The state folder; it may not exist yet."""
        return places.state_folder(self.env, flag=self.home_flag)

    def make_home(self) -> Path:
        """The state folder, made if need be. Raises `ConfigError`."""
        return places.make_state_folder(self.home)

    def files(self) -> tuple[Path, ...]:
        """The configuration files that are read, the weakest first: the one of `--config` or `AEGIS_CONFIG` alone, or
        all that stand in their usual places.
        """
        chosen = self.config_flag or self.env.get("AEGIS_CONFIG", "")
        if chosen:
            return (Path(chosen).expanduser().absolute(),)
        return places.config_files(self.env, home=self.home, folder=self.folder)

    def config(self) -> Config:
        """The whole configuration, read once. Raises `InvalidConfig` or `ConfigError`."""
        if self.read is None:
            self.read = self.read_again()
        return self.read

    def read_again(self) -> Config:
        """The configuration as it stands now. Raises `InvalidConfig` or `ConfigError`."""
        from aegis.config.environment import read_dotenv
        from aegis.config.load import load

        return load(self.files(), self.env, self.overrides, dotenv=read_dotenv(self.folder))

    def resolver(self, config: Config) -> Resolver:
        """What turns this configuration's references into secrets."""
        return self.secrets(config).resolver

    def secrets(self, config: Config) -> Secrets:
        """The secrets of this state folder, opened once; a person is asked for a passphrase only where one can
        answer.
        """
        if self.opened is None:
            self.opened = self._secrets(config)
        return self.opened

    def masked(self, text: str) -> str:
        """The text without any secret that this run has seen, nor anything that looks like one."""
        return self.opened.redactor.text(text) if self.opened else mask_keys(text)

    def _secrets(self, config: Config) -> Secrets:
        from aegis.config.environment import read_dotenv, with_dotenv
        from aegis.secrets.opening import open_secrets

        return open_secrets(
            self.home,
            env=with_dotenv(self.env, read_dotenv(self.folder)),
            credential=config.secrets.credential,
            key_file=config.secrets.key_file,
            passphrase=config.secrets.passphrase,
            now=lambda: datetime.now(UTC),
            ask=ask_passphrase if self.ask and sys.stdin.isatty() else None,
        )


def session(context: click.Context | None = None) -> Session:
    """The session of the command that runs."""
    context = context or click.get_current_context()
    root = context.find_root()
    if root.obj is None:
        root.obj = Session()
    return cast(Session, root.obj)


def ask_passphrase(new: bool) -> Secret:
    """Ask for the passphrase of the encrypted store, twice for a new one. Nothing is shown."""
    words: str = click.prompt("Passphrase of the secrets", hide_input=True, confirmation_prompt=new, err=True)
    return Secret(words)


def say(text: str, *, bold: bool = False, colour: str | None = None) -> None:
    """Prose, for people: to stderr."""
    click.secho(text, err=True, bold=bold, fg=colour)


def show(text: str) -> None:
    """Data, as text: to stdout."""
    click.echo(text)


def show_json(schema: str, /, **values: Any) -> None:
    """Data, as one JSON object whose first key names its schema: to stdout."""
    click.echo(json.dumps({"schema": f"aegis.{schema}/1", **values}, ensure_ascii=False))
