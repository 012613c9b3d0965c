"""Writes configuration files for tests, and reads the problems they have."""

from pathlib import Path

from aegis.config.load import load
from aegis.config.problems import InvalidConfig
from aegis.config.settings import Config


def written(folder: Path, text: str, name: str = "aegis.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def loaded(folder: Path, text: str, **env: str) -> Config:
    return load(written(folder, text), env)


def wrong(folder: Path, text: str, **env: str) -> list[str]:
    """The problems of a file, one line each, without the folder in front of its name."""
    try:
        loaded(folder, text, **env)
    except InvalidConfig as error:
        return [line.replace(f"{folder}/", "") for line in error.problems]
    return []
