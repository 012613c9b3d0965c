"""Where Aegis keeps its state and looks for its configuration on this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from aegis.core.errors import ConfigError

FILE_NAME = "aegis.yaml"


def state_folder(env: Mapping[str, str], *, flag: str = "") -> Path:
    """The folder of all state: `--home`, else `AEGIS_HOME`, else the XDG state folder. Nothing is created.

    Source: XDG Base Directory Specification 0.8, `XDG_STATE_HOME` (relative values are to be ignored).
    """
    chosen = flag or env.get("AEGIS_HOME", "")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return _xdg(env, "XDG_STATE_HOME", ".local/state") / "aegis"


def config_folder(env: Mapping[str, str]) -> Path:
    """Where a person's own configuration stands when the working directory has none."""
    return _xdg(env, "XDG_CONFIG_HOME", ".config") / "aegis"


def config_files(env: Mapping[str, str], *, home: Path, folder: Path) -> tuple[Path, ...]:
    """The configuration files that exist, the weakest first: XDG folder, state folder, working directory."""
    places = (config_folder(env) / FILE_NAME, home / FILE_NAME, folder / FILE_NAME)
    return tuple(dict.fromkeys(place for place in places if place.is_file()))


def make_state_folder(folder: Path) -> Path:
    """Create the state folder if need be, for its owner only.

    Raises `ConfigError` when it cannot be made, is no folder, or other people can read it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        raise ConfigError(
            f"{folder} - the state folder cannot be made ({error.strerror}); choose another: --home"
        ) from error
    if os.name != "nt" and mode & 0o077:
        raise ConfigError(f"{folder} - other people can read the state folder; run: chmod 700 '{folder}'")
    return folder


def _xdg(env: Mapping[str, str], name: str, below_home: str) -> Path:
    value = env.get(name, "")
    if value and Path(value).is_absolute():
        return Path(value)
    home = env.get("HOME", "")
    return (Path(home) if home else Path.home()) / below_home
