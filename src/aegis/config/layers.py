"""Puts the sources on top of one another: shipped budgets, files, `.env`, environment, flags.

Mappings are merged key by key, anything else is replaced; every key remembers the place it came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aegis.config.problems import Path, Place
from aegis.config.reading import Document, Tree, flow


@dataclass(slots=True)
class Layers:
    """The merged tree so far, and where each key in it was written."""

    tree: Tree = field(default_factory=dict)
    places: dict[Path, Place] = field(default_factory=dict)

    def add(self, document: Document) -> None:
        """A file on top. A section with nothing in it (all commented out) counts as not written."""
        tree = {name: section for name, section in document.tree.items() if section is not None}
        self._merge(self.tree, tree, (), document.places)

    def put(self, parts: Sequence[str], text: str, place: Place) -> None:
        """One value on top. Parts find existing keys in any case, with `_` for `-`; parents are made as needed."""
        into = self.tree
        path: Path = ()
        for part in parts[:-1]:
            key = _existing(into, part)
            path = (*path, key)
            below = into.get(key)
            if not isinstance(below, dict):
                below = into[key] = {}
                self.places[path] = place
            into = below
        key = _existing(into, parts[-1])
        value = flow(text)
        self._replace(into, (*path, key), value, dict.fromkeys(_paths(value, (*path, key)), place))

    def place(self, path: Path) -> Place:
        """Where a path was written; for one that was not, where the nearest thing around it was."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place(source="default")

    def origin(self, path: Path) -> str:
        """Where exactly this value was written; `default` when nowhere."""
        for length in range(len(path), 0, -1):
            place = self.places.get(path[:length])
            if place and (length == len(path) or isinstance(path[length], int)):
                return str(place)
        return "default"

    def _merge(self, into: Tree, tree: Tree, path: Path, places: Mapping[Path, Place]) -> None:
        for key, value in tree.items():
            here = (*path, key)
            below = into.get(key)
            if isinstance(below, dict) and isinstance(value, dict):
                self.places[here] = places[here]
                self._merge(below, value, here, places)
            else:
                self._replace(into, here, value, places)

    def _replace(self, into: Tree, path: Path, value: Any, places: Mapping[Path, Place]) -> None:
        self.places = {known: place for known, place in self.places.items() if known[: len(path)] != path}
        self.places |= {known: place for known, place in places.items() if known[: len(path)] == path}
        into[str(path[-1])] = value


def _existing(tree: Tree, part: str) -> str:
    wanted = part.lower().replace("-", "_")
    return next((key for key in tree if key.lower().replace("-", "_") == wanted), part)


def _paths(value: Any, path: Path) -> Iterator[Path]:
    """The path of a value and of everything in it."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from _paths(below, (*path, key))
