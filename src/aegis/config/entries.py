"""Every value in force as text with its origin, and sentences about what is allowed but probably not meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from aegis.config.layers import Layers
from aegis.config.problems import Path, dotted
from aegis.config.sections.root import RootSection
from aegis.config.settings import Config, Entry
from aegis.core.budgets import MONEY


def entries(root: RootSection, layers: Layers) -> tuple[Entry, ...]:
    """All values, in the order of the sections: as written, or as the default would be written."""
    return tuple(
        Entry(path=dotted(path), text=text, origin=layers.origin(path)) for path, text in _model(root, layers.tree, ())
    )


def _model(model: BaseModel, written: Any, path: Path) -> Iterator[tuple[Path, str]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(written, dict) and name in written:
            raw = written[name]
        else:
            raw = field.get_default(call_default_factory=True, validated_data={})
        yield from _value(value, raw, (*path, name))
    for name in model.model_extra or {}:
        yield (*path, name), str(written[name])


def _value(value: Any, raw: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, BaseModel):
        # A default that is a section itself was written by nobody: only what it sets differs from its own defaults.
        written = raw if isinstance(raw, dict) else {name: getattr(raw, name) for name in raw.model_fields_set}
        yield from _model(value, written, path)
    elif isinstance(value, dict):
        if value:
            for key, below in value.items():
                yield from _value(below, raw[key], (*path, key))
        elif raw:
            yield path, str(raw)
    elif isinstance(value, list):
        yield path, _list(raw)
    elif value is not None:
        yield path, _scalar(raw)


def _list(raw: Any) -> str:
    if isinstance(raw, list):
        return f"[{', '.join(_list(item) for item in raw)}]"
    if isinstance(raw, dict):
        return f"{{{', '.join(f'{key}: {_list(value)}' for key, value in raw.items())}}}"
    return _scalar(raw)


def _scalar(raw: Any) -> str:
    return str(raw).lower() if isinstance(raw, bool) else str(raw)


def warnings(config: Config) -> tuple[str, ...]:
    """What is allowed and probably not meant."""
    found: list[str] = []
    if not any(budget.unit == MONEY and not budget.scope and not budget.observe for budget in config.budgets):
        found.append("budgets - no budget in dollars covers all calls: add one with `scope: all`")
    told = {name for route in config.routes for name in route.to}
    found += [
        f"routes - {name} is told by a route and is no configured connector"
        for name in sorted(told - set(config.connectors))
    ]
    return tuple(found)
