"""What one service remembers: documents by kind and key, bounded, with every change handed to the journal.

Services hold no state of their own, so a journal of changes is enough to bring a whole world back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aegis.sandbox.prices import LIST_PRICES, PriceList

DOCUMENTS_MAX = 20_000
"""Documents of one kind: twice the incidents of the largest drill (10,000). The oldest goes first."""

COUNTERS = "counter"

Document: TypeAlias = dict[str, Any]
"""JSON values only."""

Change: TypeAlias = tuple[str, str, Document | None]
"""Kind, key and the document as it is now (None: gone)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The conditions that the services give. `search_lag_ms` is how long Jira needs until a search finds a new issue
    (the real one: seconds), `batch_ms` how long a batch of a model's vendor takes (the real ones: minutes to a day).
    VirusTotal's public API: 4 a minute, 500 a day (docs.virustotal.com, public vs premium).
    """

    prices: PriceList = field(default=LIST_PRICES)
    virustotal_per_minute: int = 4
    virustotal_per_day: int = 500
    search_lag_ms: int = 0
    batch_ms: int = 0


class Index:
    """Keys of documents by what `read` finds in each, so that a search need not look at all of them."""

    def __init__(self, read: Callable[[Document], Collection[str]]) -> None:
        self._read = read
        self._keys: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def keys(self, value: str) -> Collection[str]:
        """The keys of the documents with this value, oldest first."""
        return tuple(self._keys.get(value, ()))

    def change(self, key: str, before: Document | None, after: Document | None) -> None:
        old, new = (set() if one is None else set(self._read(one)) for one in (before, after))
        for value in old - new:
            self._keys[value].pop(key, None)
            if not self._keys[value]:
                del self._keys[value]
        for value in new - old:
            self._keys[value][key] = None


class Room:
    """The documents of one service."""

    def __init__(self, terms: Terms, *, most: int = DOCUMENTS_MAX) -> None:
        self.terms = terms
        self._most = most
        self._documents: dict[str, dict[str, Document]] = {}
        self._changes: list[Change] = []
        self._indexes: dict[str, Index] = {}

    def get(self, kind: str, key: str) -> Document | None:
        return self._documents.get(kind, {}).get(key)

    def put(self, kind: str, key: str, document: Document) -> None:
        """Keep a document; the oldest of its kind goes when there are too many."""
        self.apply((kind, key, document))
        self._changes.append((kind, key, document))
        held = self._documents[kind]
        if len(held) > self._most:
            self.drop(kind, next(iter(held)))

    def drop(self, kind: str, key: str) -> None:
        if self.get(kind, key) is not None:
            self.apply((kind, key, None))
            self._changes.append((kind, key, None))

    def every(self, kind: str) -> Mapping[str, Document]:
        """All documents of a kind, oldest first."""
        return self._documents.get(kind, {})

    def having(self, kind: str, value: str, read: Callable[[Document], Collection[str]]) -> Iterator[Document]:
        """The documents of a kind in which `read` finds a value, oldest first. A kind is always asked with the same `read`."""
        if kind not in self._indexes:
            self._indexes[kind] = Index(read)
            for key, document in self.every(kind).items():
                self._indexes[kind].change(key, None, document)
        held = self.every(kind)
        return (held[key] for key in self._indexes[kind].keys(value))

    def next(self, name: str, first: int = 1) -> int:
        """The next number of a counter."""
        held = self.get(COUNTERS, name)
        number = first if held is None else int(held["next"])
        self.put(COUNTERS, name, {"next": number + 1})
        return number

    def apply(self, change: Change) -> None:
        """Take over a change as it stands: also what a journal says."""
        kind, key, document = change
        held = self._documents.setdefault(kind, {})
        if kind in self._indexes:
            self._indexes[kind].change(key, held.get(key), document)
        if document is None:
            held.pop(key, None)
        else:
            held[key] = document

    def take_changes(self) -> list[Change]:
        """What changed since this was asked last."""
        changes, self._changes = self._changes, []
        return changes

    def all_documents(self) -> Iterator[Change]:
        for kind, held in self._documents.items():
            for key, document in held.items():
                yield kind, key, document
