"""What notifications say, by id: read from the store once for all the services that are told it.

A text's id is made of its content, so what was read once is true for ever. Bounded in bytes; the oldest are let go first.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Mapping

from aegis.core.notifications import Notification
from aegis.stores.queries import in_lists, listed, read_queries
from aegis.stores.records import notification_from_text

KEPT_BYTES_MAX = 4 * 1024 * 1024
"""Of texts: some thousand notifications of the usual size, which take about four times as much once they are read."""


class Texts:
    """Notifications that were read. Used from the store's threads."""

    def __init__(self, *, kept_bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._kept_bytes_max = kept_bytes_max
        self._query = read_queries("outbox")["texts"]
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Notification, int]] = {}
        self._bytes = 0

    def read(self, connection: sqlite3.Connection, ids: Collection[str]) -> Mapping[str, Notification]:
        """The notifications with these ids; one that is not in the store is left out."""
        with self._lock:
            found = {one: self._kept[one][0] for one in ids if one in self._kept}
        missing = [one for one in dict.fromkeys(ids) if one not in found]
        for part in in_lists(missing):
            for one, body in connection.execute(listed(self._query, len(part)), part):
                found[one] = notification_from_text(body)
                self._keep(one, found[one], len(body))
        return found

    def _keep(self, one: str, said: Notification, size: int) -> None:
        with self._lock:
            if one in self._kept:
                return
            self._kept[one] = said, size
            self._bytes += size
            while self._bytes > self._kept_bytes_max:
                self._bytes -= self._kept.pop(next(iter(self._kept)))[1]
