"""Sigma's YAML as plain values, one document at a time, so that a broken document spoils only itself.

Policy: the text is hostile. Nesting is checked before the parser (which recurses in C) sees it, anchors are expanded
only within a bound, and dates stay the text that was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

DOCUMENT_CHARS_MAX = 1 << 20
"""SigmaHQ's largest rule has some 40,000 characters; a megabyte is no rule."""
DEPTH_MAX = 40
"""The deepest rule of SigmaHQ nests 5 levels; libyaml's reader overflows the C stack at some 20,000."""
NODES_MAX = 100_000
"""What a document may grow to once its aliases are followed."""

_SEPARATOR = re.compile(r"^---(?=\s|$)[ \t]*", re.MULTILINE)
_END = re.compile(r"^\.\.\.\s*$", re.MULTILINE)
_DEEP_BLOCK = re.compile(rf"(?:[-?:][ \t]+){{{DEPTH_MAX // 2}}}|^ {{{2 * DEPTH_MAX}}}", re.MULTILINE)
_ALIAS = re.compile(r"(?:^|[\s\[,:])\*\w", re.MULTILINE)


class _Loader(yaml.CSafeLoader):
    """The safe loader, except that an unquoted date stays text: `date: 2026-11-21` is compared as written."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # declared by the parent
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: the line it starts on (from 1), its value, or why it has none."""

    line: int
    value: Any = None
    fault: str = ""


def read_documents(text: str) -> Iterator[Document]:
    """Every document of a multi-document text that is not empty, in order."""
    for line, chunk in _split(text):
        if chunk.strip():
            document = _read(line, chunk)
            if document.fault or document.value is not None:
                yield document


def _split(text: str) -> Iterator[tuple[int, str]]:
    line, start = 1, 0
    for found in _SEPARATOR.finditer(text):
        yield line, text[start : found.start()]
        line += text.count("\n", start, found.end())
        start = found.end()
    yield line, text[start:]


def _read(line: int, chunk: str) -> Document:
    if len(chunk) > DOCUMENT_CHARS_MAX:
        return Document(line, fault=f"longer than {DOCUMENT_CHARS_MAX} characters")
    chunk = _END.sub("", chunk)
    try:
        brackets = chunk.count("[") + chunk.count("{")
        if (brackets > DEPTH_MAX or _DEEP_BLOCK.search(chunk)) and (fault := _too_deep(chunk)):
            return Document(line, fault=fault)
        loader = _Loader(chunk)
        try:
            node = loader.get_single_node()
            if node is None:
                return Document(line)
            if _ALIAS.search(chunk) and _expanded(node) > NODES_MAX:
                return Document(line, fault="its aliases expand beyond all measure")
            first = line + node.start_mark.line
            return Document(first, loader.construct_document(node))
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        return _broken(line, error)
    except (ValueError, OverflowError) as error:
        return Document(line, fault=f"holds a value that cannot be read: {str(error)[:120]}")
    except RecursionError:
        return Document(line, fault="contains itself")


def _broken(line: int, error: yaml.YAMLError) -> Document:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or str(error)
    return Document(line + (mark.line if mark else 0), fault=f"not valid YAML: {str(said)[:120]}")


def _too_deep(chunk: str) -> str:
    """Counts nesting from the parser's events, which are produced without recursion."""
    depth = 0
    for event in yaml.parse(chunk, yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_MAX:
                return f"nested deeper than {DEPTH_MAX} levels"
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return ""


def _expanded(node: yaml.Node) -> int:
    """How many nodes the document has with every alias followed, counted up to the bound."""
    count, stack = 0, [node]
    while stack and count <= NODES_MAX:
        current = stack.pop()
        count += 1
        if isinstance(current, yaml.SequenceNode):
            stack.extend(current.value)
        elif isinstance(current, yaml.MappingNode):
            for pair in current.value:
                stack.extend(pair)
    return count
