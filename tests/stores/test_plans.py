"""Every query that runs often goes by an index, so that a large backlog is as quick as a small one."""

import sqlite3
from pathlib import Path

import pytest

from aegis.stores.queries import read_queries
from aegis.stores.schema import migrate, shipped

OFTEN = {
    "events": ("last_seq", "pending", "worked_since"),
    "incidents": ("mark_done", "get", "unresolved", "recent"),
    "outbox": ("lapsed", "claimable", "lease", "whole", "next_due", "done", "retry", "counts", "undelivered", "dead"),
    "ledger": (
        "epoch",
        "row",
        "newest",
        "lease",
        "recalled",
        "sent_by",
        "shrunk",
        "entry",
        "attempts",
        "totals",
        "parts",
    ),
    "spending": ("since", "newest", "has_ended"),
    "placing": ("overtaken", "newer"),
    "retention": ("deliveries", "dead_letters", "notifications", "incidents", "remotes", "idempotency", "set_aside"),
}
SORTED_BY_INDEX = {"pending", "worked_since", "recent", "claimable", "unresolved"}


@pytest.mark.parametrize(("file", "name"), [(file, name) for file, names in OFTEN.items() for name in names])
def test_no_table_is_read_from_end_to_end(file: str, name: str, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "aegis.db", isolation_level=None)
    migrate(connection, shipped(), "x")
    query = read_queries(file)[name]
    names = {word.strip("(),;:") for word in query.split() if word.strip("(,").startswith(":")}

    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", dict.fromkeys(names, 1))]
    connection.close()

    whole = [step for step in steps if step.startswith("SCAN") and "INDEX" not in step and "waiting" not in step]
    assert not whole, steps
    assert name not in SORTED_BY_INDEX or not any("TEMP B-TREE" in step for step in steps), steps
