"""What people write into a report's file: found between marks, and lines that they wrote anywhere else.

Policy: nothing that a person wrote is lost. The file's last line holds a short hash of every line that Aegis wrote and of
every section as it stood, so that what was changed by hand is told from what is out of date.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aegis.core.errors import BadInput

FOOT: Final = re.compile(r"<!-- aegis:report/1 lines=([0-9a-f]*) sections=([0-9a-f=,a-z-]*) -->")
BEGIN: Final = re.compile(r"<!-- aegis:begin ([a-z-]{1,32}) -->")
HASH_CHARS: Final = 10
"""Of a line's SHA-256 (40 bits): of a thousand million lines by hand one is taken for one of a report's thousand."""
FILE_BYTES_MAX: Final = 4 * 1024 * 1024
"""A report with ten thousand rows has about one."""
SECTION_CHARS_MAX: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a file held: `sections` as they stand, `changed` those that were changed since they were written, and lines that
    stood `elsewhere` and were not written by Aegis.
    """

    sections: Mapping[str, str] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    elsewhere: tuple[str, ...] = ()


def marked(name: str, text: str) -> str:
    """A section that is found again. Marks inside the text are no marks any more."""
    return f"<!-- aegis:begin {name} -->\n{unmarked(text)}\n<!-- aegis:end {name} -->"


def unmarked(text: str) -> str:
    return text.replace("<!-- aegis:", "<!-- aegis :")


def signed(text: str) -> str:
    """The text of a report with its last line."""
    found = _parts(text)
    lines = "".join(sorted({_hash(line) for line in found.elsewhere}))
    sections = ",".join(f"{name}={_hash(words)}" for name, words in sorted(found.sections.items()))
    return f"{text.rstrip()}\n\n<!-- aegis:report/1 lines={lines} sections={sections} -->\n"


def read(text: str) -> Read:
    """What people wrote into a report that Aegis had written. Raises `BadInput` for another file."""
    feet = FOOT.findall(text)
    if len(feet) != 1:
        raise BadInput("it is there already, and is no report that Aegis wrote", code="exists")
    known = {feet[0][0][at : at + HASH_CHARS] for at in range(0, len(feet[0][0]), HASH_CHARS)}
    was = dict(pair.split("=", 1) for pair in feet[0][1].split(",") if "=" in pair)
    found = _parts(FOOT.sub("", text))
    changed = frozenset(name for name, words in found.sections.items() if was.get(name) != _hash(words))
    elsewhere = tuple(line for line in found.elsewhere if _hash(line) not in known)
    return Read(sections=found.sections, changed=changed, elsewhere=elsewhere)


def merged(store: str, file: str, *, changed: bool) -> str:
    """One section of the store and of a file that was changed by hand (or not), in one text: nothing of either is lost."""
    ours, theirs = store.strip(), file.strip()
    if not changed or theirs in ours:
        return ours
    if not ours or ours in theirs:
        return theirs
    return f"{ours}\n\n(from the file:)\n\n{theirs}"


def _parts(text: str) -> Read:
    """The sections between marks, and every line outside of them; a mark without its end is a line like others."""
    sections: dict[str, str] = {}
    outside: list[str] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        begun = BEGIN.fullmatch(lines[at].strip())
        end = f"<!-- aegis:end {begun[1]} -->" if begun else ""
        closing = next((n for n in range(at + 1, len(lines)) if begun and lines[n].strip() == end), None)
        if begun is None or closing is None or begun[1] in sections:
            outside.append(lines[at].rstrip())
            at += 1
            continue
        sections[begun[1]] = "\n".join(lines[at + 1 : closing]).strip()[:SECTION_CHARS_MAX]
        at = closing + 1
    kept = tuple(line for line in outside if line and not line.startswith("<!-- aegis:"))
    return Read(sections=sections, elsewhere=kept)


def _hash(text: str) -> str:
    return hashlib.sha256(text.strip().encode("utf-8", "backslashreplace")).hexdigest()[:HASH_CHARS]
