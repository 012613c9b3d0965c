"""Reads YAML 1.2 (and so JSON) into plain mappings, lists and texts, and remembers where each of them stands.

Every value stays the text that was written: the sections say what it means, so `5.00` is never a float and `NO` never
false. Tags, merge keys, repeated keys and documents that would grow without bound are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aegis.config.problems import Excerpt, Path, Place, Problem
from aegis.core.keyshapes import mask_keys

Tree: TypeAlias = dict[str, Any]
"""Nested mappings and lists of texts; None where nothing stands."""

FILE_BYTES_MAX = 1024 * 1024
"""A configuration a person wrote is far smaller."""
NODES_MAX = 20_000
DEPTH_MAX = 32
"""Aliases can name the same part again and again: what is counted is the tree that comes out."""

_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")
)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(slots=True)
class Document:
    """What one file holds: its tree, the place of every key and item, and its lines for showing them."""

    name: str
    tree: Tree = field(default_factory=dict)
    places: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read(text: str, name: str) -> Document:
    """The document in `text`; what is wrong with its form stands in `problems` (then the tree may be partial)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    document = Document(name)
    excerpt = Excerpt(text)
    try:
        root = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        excerpt.blind()
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = str(error.problem or error.context or "this is not YAML").strip()
        document.problems.append(_problem(name, line, column, f"this is not YAML: {mask_keys(what)}", excerpt))
        return document
    except (YAMLError, RecursionError, ValueError) as error:
        excerpt.blind()
        what = "nested too deeply" if isinstance(error, RecursionError) else "a character that YAML does not allow"
        document.problems.append(_problem(name, 1, 1, f"this is not YAML: {what}", excerpt))
        return document
    if root is None or (root.tag.endswith(":null") and root.value in _NULLS):
        return document
    builder = _Builder(document, excerpt)
    tree = builder.build(root, (), 0)
    if isinstance(tree, dict):
        document.tree = tree
    else:
        document.problems.append(_problem(name, 1, 1, "must be a mapping of sections, such as budgets:", excerpt))
    return document


def _problem(name: str, line: int, column: int, message: str, excerpt: Excerpt, path: Path = ()) -> Problem:
    place = Place(source=name, line=line, column=column, excerpt=excerpt)
    return Problem(place=place, path=path, message=message)


class _TooMuchError(Exception):
    """The document grew past its bounds."""


class _Builder:
    """Turns composed nodes into the tree, writing down places and problems."""

    def __init__(self, document: Document, excerpt: Excerpt) -> None:
        self._document, self._excerpt = document, excerpt
        self._nodes = 0

    def build(self, root: Any, path: Path, depth: int) -> Any:
        try:
            return self._value(root, path, depth)
        except _TooMuchError as error:
            self._document.problems.append(_problem(self._document.name, 1, 1, str(error), self._excerpt))
            return {}

    def _value(self, node: Any, path: Path, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > NODES_MAX or depth > DEPTH_MAX:
            raise _TooMuchError(f"too large: at most {NODES_MAX:,} values, {DEPTH_MAX} levels deep")
        if node.id == "scalar":
            self._excerpt.saw(node, path)
        if node.tag not in _PLAIN_TAGS:
            self._report(node, path, "must be plain: tags such as !name are not read")
            return None
        if node.id == "mapping":
            return dict(self._entries(node, path, depth))
        if node.id == "sequence":
            return [self._item(item, (*path, index), depth) for index, item in enumerate(node.value)]
        return None if node.style is None and node.value in _NULLS else node.value

    def _item(self, node: Any, path: Path, depth: int) -> Any:
        self._document.places[path] = self._place(node)
        return self._value(node, path, depth + 1)

    def _entries(self, node: Any, path: Path, depth: int) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.id != "scalar":
                self._report(key_node, path, "must be a plain name")
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key in seen:
                self._report(key_node, here, "is written twice")
                continue
            if key == "<<":
                self._report(key_node, here, "merge keys are not part of YAML 1.2: write the values out")
                continue
            seen.add(key)
            self._document.places[here] = self._place(key_node)
            yield key, self._value(value_node, here, depth + 1)

    def _place(self, node: Any) -> Place:
        mark = node.start_mark
        return Place(source=self._document.name, line=mark.line + 1, column=mark.column + 1, excerpt=self._excerpt)

    def _report(self, node: Any, path: Path, message: str) -> None:
        self._document.problems.append(Problem(place=self._place(node), path=path, message=message))


def flow(text: str) -> Sequence[Any] | Tree | str:
    """A value from the environment or a flag: a list or mapping when it is written as one, else the text itself."""
    if not text.startswith(("[", "{")):
        return text
    document = read(f"value: {text}", "value")
    value: Sequence[Any] | Tree | str = document.tree.get("value", text)
    return text if document.problems else value
