"""SQL lives in `.sql` files beside this module: named queries, and scripts that are read statement by statement.

A query file reads `-- name: claim_due`, one comment that says what it is for, then the statement with parameters
written `:like_this`. PostgreSQL has to be able to run every statement, so SQLite's own dialect stays out.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TypeVar

T = TypeVar("T")

_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$", re.MULTILINE)


def read_queries(file: str) -> Mapping[str, str]:
    """The named queries of `stores/<file>.sql`."""
    return named_queries(files("aegis.stores").joinpath(f"{file}.sql").read_text(encoding="utf-8"))


def named_queries(text: str) -> Mapping[str, str]:
    """The statements of a query file by name. Each must have its comment; a name given twice is an assertion."""
    parts = _NAME.split(text)
    queries: dict[str, str] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        assert name not in queries, f"the query {name} is written twice"
        assert body.strip().startswith("--"), f"the query {name} does not say what it is for"
        queries[name] = "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()
    return queries


@cache
def repeated(query: str, times: int) -> str:
    """An INSERT whose one row of values is written so many times. Its parameters are question marks, row after row."""
    head, _, tail = query.partition("VALUES (")
    row, close, rest = tail.partition(")")
    assert close, "only an INSERT of one row of values can be repeated"
    return f"{head}VALUES {', '.join([f'({row})'] * times)}{rest}"


@cache
def listed(query: str, times: int) -> str:
    """A query whose last `IN (?)` asks for so many values."""
    head, found, rest = query.rpartition("IN (?)")
    assert found, "only a query that ends in a list of one can ask for several"
    return f"{head}IN ({', '.join('?' * times)}){rest}"


PARTS = (64, 32, 16, 8, 4, 2, 1)
"""So many rows at a time: a statement is prepared once for each size, and a few sizes make up any number."""
LISTS = (64, 16, 4, 1)
"""So many values in a list at a time: it may be filled up, so fewer sizes do."""


def in_parts(many: Sequence[T]) -> Iterator[Sequence[T]]:
    """The same in order, in parts of these sizes."""
    first = 0
    for size in PARTS:
        while len(many) - first >= size:
            yield many[first : first + size]
            first += size


def in_lists(many: Sequence[T]) -> Iterator[Sequence[T]]:
    """The same for `IN (?)`, where a value that is named twice counts once: the rest is filled up to one of these sizes
    with its last value, so that any number takes few statements.
    """
    for first in range(0, len(many), LISTS[0]):
        part = many[first : first + LISTS[0]]
        size = next(size for size in reversed(LISTS) if size >= len(part))
        yield (*part, *([part[-1]] * (size - len(part))))


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one at a time, so that each can run inside a transaction of the caller's."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
    rest = "".join(line for line in pending.splitlines() if not line.startswith("--"))
    assert not rest.strip(), "the script ends in the middle of a statement"
