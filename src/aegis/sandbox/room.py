"""What one service remembers: documents by kind and key, bounded, with every change handed to the journal.

Services hold no state of their own, so a journal of changes is enough to bring a whole world back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


class Room:
    """The documents of one service."""

    def __init__(self, terms: Terms, *, most: int = DOCUMENTS_MAX) -> None:
        self.terms = terms
        self._most = most
        self._documents: dict[str, dict[str, Document]] = {}
        self._changes: list[Change] = []

    def get(self, kind: str, key: str) -> Document | None:
        return self._documents.get(kind, {}).get(key)

    def put(self, kind: str, key: str, document: Document) -> None:
        """Keep a document; the oldest of its kind goes when there are too many."""
        held = self._documents.setdefault(kind, {})
        held[key] = document
        self._changes.append((kind, key, document))
        if len(held) > self._most:
            self.drop(kind, next(iter(held)))

    def drop(self, kind: str, key: str) -> None:
        if self._documents.get(kind, {}).pop(key, None) is not None:
            self._changes.append((kind, key, None))

    def every(self, kind: str) -> Mapping[str, Document]:
        """All documents of a kind, oldest first."""
        return self._documents.get(kind, {})

    def next(self, name: str, first: int = 1) -> int:
        """The next number of a counter."""
        held = self.get(COUNTERS, name)
        number = first if held is None else int(held["next"])
        self.put(COUNTERS, name, {"next": number + 1})
        return number

    def apply(self, change: Change) -> None:
        """Put back what a journal says."""
        kind, key, document = change
        if document is None:
            self._documents.get(kind, {}).pop(key, None)
        else:
            self._documents.setdefault(kind, {})[key] = document

    def take_changes(self) -> list[Change]:
        """What changed since this was asked last."""
        changes, self._changes = self._changes, []
        return changes

    def all_documents(self) -> Iterator[Change]:
        for kind, held in self._documents.items():
            for key, document in held.items():
                yield kind, key, document
