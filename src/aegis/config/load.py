"""Loads the configuration: every source read, merged, checked whole, and turned into frozen settings.

Precedence: flag, `AEGIS_SECTION__KEY`, `.env` of the working directory, `./aegis.yaml`, state folder, XDG folder,
defaults. A wrong configuration raises with everything that is wrong with it; it never starts anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from aegis.config import explain, shipped
from aegis.config.converting import settings
from aegis.config.entries import entries, warnings
from aegis.config.environment import Variable, is_setting, setting_path
from aegis.config.layers import Layers
from aegis.config.problems import InvalidConfig, Place, Problem
from aegis.config.reading import FILE_BYTES_MAX, Document, read
from aegis.config.sections.root import RootSection
from aegis.config.settings import Config


def load(
    files: Path | Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    *,
    dotenv: Mapping[str, Variable] | None = None,
) -> Config:
    """The configuration from `files` (the weakest first; `config_files` finds them), `.env`, `env` and `flags`
    (dotted path to text).

    Raises `InvalidConfig` (a `ConfigError`) with every problem at once: file, line, column, path, what it must be.
    """
    paths = (files,) if isinstance(files, Path) else tuple(files)
    documents = [_document(path) for path in paths]
    if found := [problem for document in documents for problem in document.problems]:
        raise InvalidConfig(found)
    layers = Layers()
    if not any(document.tree.get(name) for document in documents for name in ("budgets", "budget_thresholds")):
        layers.tree["budgets"] = shipped.budgets()
    for document in documents:
        layers.add(document)
    for name, variable in (dotenv or {}).items():
        if is_setting(name):
            layers.put(setting_path(name), variable.value, Place(source=f".env:{variable.line}:1 {name}"))
    for name, text in (env or {}).items():
        if is_setting(name):
            layers.put(setting_path(name), text, Place(source=f"environment {name}"))
    for dotted, text in (flags or {}).items():
        layers.put(dotted.split("."), text, Place(source=f"flag {dotted}"))
    try:
        root = RootSection.model_validate(layers.tree)
    except ValidationError as error:
        raise InvalidConfig(explain.problems(error, layers)) from None
    config = replace(settings(root), entries=entries(root, layers), files=paths)
    return replace(config, warnings=warnings(config))


def _document(path: Path) -> Document:
    """One file, read; what is wrong with it stands in its `problems`."""
    name = path.name if path.parent == Path.cwd() else str(path)
    try:
        with path.open("rb") as file:
            body = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        return Document(name, problems=[_unreadable(name, f"cannot be read: {error.strerror}")])
    if len(body) > FILE_BYTES_MAX:
        return Document(name, problems=[_unreadable(name, f"is larger than {FILE_BYTES_MAX // 1024} KiB")])
    try:
        return read(body.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        return Document(name, problems=[_unreadable(f"{name}:{line}:1", "is not UTF-8")])


def _unreadable(name: str, message: str) -> Problem:
    return Problem(place=Place(source=name), path=(), message=message)
