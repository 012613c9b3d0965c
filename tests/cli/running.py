"""Runs the command line in a folder of its own, with nothing of this machine's environment."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from aegis.cli.main import root
from aegis.cli.session import Session


@dataclass(frozen=True, slots=True)
class Place:
    """A working directory, a state folder beside it, and an environment."""

    folder: Path
    env: dict[str, str]

    @property
    def home(self) -> Path:
        return self.folder.parent / "home"

    def run(self, *arguments: str, stdin: str = "") -> Result:
        session = Session(env=self.env, folder=self.folder)
        return CliRunner().invoke(root, [str(word) for word in arguments], obj=session, prog_name="aegis", input=stdin)

    def write(self, text: str) -> None:
        (self.folder / "aegis.yaml").write_text(text)


def place(folder: Path) -> Place:
    work = folder / "work"
    work.mkdir()
    return Place(work, {"HOME": str(folder), "AEGIS_HOME": str(folder / "home")})


def data(result: Result) -> Any:
    """The one JSON object on stdout."""
    return json.loads(result.stdout)
