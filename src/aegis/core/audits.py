"""The audit log's entries and their chain: each holds the hash of the one before, so that nothing is changed unseen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

FIRST: Final = "0" * 64
"""What the first entry follows."""
WHO_CHARS_MAX, WHAT_CHARS_MAX, FACT_CHARS_MAX, FACTS_MAX = 120, 64, 1_000, 40
"""Of one entry: enough for a sentence each; who asks for more has its words cut, not its entry refused."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """`who` did `what` (a stable word, `budget.set`), with its facts; `seq` counts from 1, `at_us` is UTC."""

    seq: int
    at_us: int
    who: str
    what: str
    facts: Mapping[str, str]
    previous: str
    hash: str = ""

    @property
    def at(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.at_us)


def facts_text(facts: Mapping[str, str]) -> str:
    """Facts as they are stored and hashed: JSON, sorted, without blanks, ASCII only."""
    cut = {str(name)[:WHAT_CHARS_MAX]: str(facts[name])[:FACT_CHARS_MAX] for name in sorted(facts)[:FACTS_MAX]}
    return json.dumps(cut, sort_keys=True, separators=(",", ":"))


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 in hex over one canonical text: a JSON list, so that no two entries can be written alike."""
    parts = [
        "aegis.audit/1",
        entry.seq,
        entry.at_us,
        entry.who,
        entry.what,
        facts_text(entry.facts),
        entry.previous,
    ]
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()


def breaks(entries: Iterable[AuditEntry], head: tuple[int, str] | None) -> Iterator[str]:
    """What is wrong with a chain, in words, in order; `head` is the last entry's number and hash as kept elsewhere.

    A changed, removed or reordered entry is named by its number, a cut tail by the head. After a break the chain is
    followed from what is there, so that one change is told once.
    """
    expected, previous, last = 1, FIRST, (0, FIRST)
    for entry in entries:
        if entry.seq != expected:
            missing = f"{expected}" if entry.seq == expected + 1 else f"{expected} to {entry.seq - 1}"
            yield f"entry {missing} is missing" if entry.seq > expected else f"entry {entry.seq} stands out of order"
        elif entry.previous != previous:
            yield f"entry {entry.seq} does not follow the one before it: one of the two was changed, moved or put in"
        if entry_hash(entry) != entry.hash:
            yield f"entry {entry.seq} was changed after it was written"
        expected, previous, last = entry.seq + 1, entry.hash, (entry.seq, entry.hash)
    if head is None:
        if last[0]:
            yield "the head of the log is gone: its last entry cannot be told"
    elif head[0] > last[0]:
        yield f"the end was cut off: the last entry was {head[0]}, now it is {last[0]}"
    elif head != last:
        yield f"the head names entry {head[0]} with another hash than what stands there"
