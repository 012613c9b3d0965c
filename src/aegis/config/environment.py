"""Values from outside the file: `AEGIS_SECTION__KEY` variables and the `.env` file of the working directory."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aegis.core.errors import ConfigError

PREFIX, SEPARATOR = "AEGIS_", "__"
DOTENV_BYTES_MAX = 64 * 1024

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


@dataclass(frozen=True, slots=True)
class Variable:
    """One line of a `.env` file. The value may be a secret: it is never shown."""

    value: str
    line: int

    def __repr__(self) -> str:
        return f"Variable(line={self.line})"


def read_dotenv(folder: Path) -> Mapping[str, Variable]:
    """The variables of `.env` in `folder` (none when there is no such file). Values are taken as they stand, without
    the quotes around them; nothing is expanded.

    Raises `ConfigError` when other people can read the file, when it is too large, or for a line that is no
    NAME=value.
    """
    path = folder / ".env"
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name != "nt" and mode & 0o077:
                raise ConfigError(f".env - other people can read it (mode {mode:04o}); run: chmod 600 .env")
            body = file.read(DOTENV_BYTES_MAX + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f".env - cannot be read: {error.strerror}") from error
    if len(body) > DOTENV_BYTES_MAX:
        raise ConfigError(f".env - is larger than {DOTENV_BYTES_MAX // 1024} KiB")
    return _variables(body.decode("utf-8", "replace"))


def _variables(text: str) -> Mapping[str, Variable]:
    found: dict[str, Variable] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match:
            found[match[1]] = Variable(_unquoted(match[2]), number)
        else:
            problems.append(f".env:{number}:1 - must be NAME=value")
    if problems:
        raise ConfigError(*problems)
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value.partition(" #")[0].rstrip()


def with_dotenv(env: Mapping[str, str], dotenv: Mapping[str, Variable]) -> Mapping[str, str]:
    """The environment that references are looked up in: the real one wins over `.env`."""
    return {**{name: variable.value for name, variable in dotenv.items()}, **env}


def is_setting(name: str) -> bool:
    """Whether a variable sets a value of the configuration (`AEGIS_HOME` and the like do not)."""
    return name.startswith(PREFIX) and SEPARATOR in name[len(PREFIX) :]


def setting_path(name: str) -> tuple[str, ...]:
    """`AEGIS_BUDGETS__EVERYTHING__DAILY` as the parts of a path, in lower case."""
    return tuple(part.lower() for part in name[len(PREFIX) :].split(SEPARATOR))
