"""Every query that runs often goes by an index, so that a large backlog is as quick as a small one."""

import sqlite3
from pathlib import Path

import pytest

from aegis.core.incidents import Severity
from aegis.stores.incident_list import UNRESOLVED, Wanted, listing
from aegis.stores.queries import listed, read_queries
from aegis.stores.schema import migrate, shipped

OFTEN = {
    "events": ("last_seq", "pending", "worked_since"),
    "incidents": ("mark_done", "get", "unresolved", "recent"),
    "outbox": (
        "lapsed",
        "claimable",
        "lease",
        "whole",
        "texts",
        "next_due",
        "done",
        "retry",
        "counts",
        "undelivered",
        "dead",
    ),
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
    "incident_list": ("unread", "counts", "techniques", "dearest", "held"),
    "calls": ("stretch", "of_incident", "sums"),
    "placing": ("overtaken", "newer"),
    "retention": ("deliveries", "dead_letters", "notifications", "incidents", "remotes", "idempotency", "set_aside"),
}
SORTED_BY_INDEX = {"pending", "worked_since", "recent", "claimable", "unresolved", "dearest", "stretch"}


@pytest.mark.parametrize(("file", "name"), [(file, name) for file, names in OFTEN.items() for name in names])
def test_no_table_is_read_from_end_to_end(file: str, name: str, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "aegis.db", isolation_level=None)
    migrate(connection, shipped(), "x")
    query = read_queries(file)[name]
    names = {word.strip("(),;:") for word in query.split() if word.strip("(,").startswith(":")}

    values = dict.fromkeys(names, 1) if names else (1,) * query.count("?")

    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    connection.close()

    whole = [
        step
        for step in steps
        if step.startswith("SCAN") and "INDEX" not in step and "waiting" not in step and "stretch" not in step
    ]
    assert not whole, steps
    assert name not in SORTED_BY_INDEX or not any("TEMP B-TREE" in step for step in steps), steps


LISTS = {
    "newest": Wanted(),
    "unresolved, the worst first": Wanted(status=UNRESOLVED, worst_first=True),
    "one status": Wanted(status="open"),
    "one severity": Wanted(severity=Severity.HIGH),
    "one status and severity": Wanted(status="open", severity=Severity.HIGH),
    "one technique": Wanted(technique="T1110"),
    "what a silence holds": Wanted(held="sil_1"),
    "an older page": Wanted(before=(1, "inc_1")),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_incidents_is_read_in_the_order_of_an_index(name: str, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "aegis.db", isolation_level=None)
    migrate(connection, shipped(), "x")
    query, values = listing(LISTS[name], 50)
    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    connection.close()
    assert not [step for step in steps if "TEMP B-TREE" in step or (step.startswith("SCAN") and "INDEX" not in step)], (
        steps
    )


@pytest.mark.parametrize("name", ["lease", "done", "whole"])
def test_many_deliveries_are_found_by_their_ids_however_many_wait(name: str, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "aegis.db", isolation_level=None)
    migrate(connection, shipped(), "x")
    query = listed(read_queries("outbox")[name], 64)

    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", (1,) * query.count("?"))]
    connection.close()

    assert "(id=?)" in steps[0], steps
