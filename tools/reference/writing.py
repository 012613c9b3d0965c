"""How a page is written: tables whose cells cannot break out, and the anchors that Markdown gives to headings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MADE = "<!-- Made from the code by `python3 dev.py reference`. Change the code, not this page. -->"


def cell(text: str) -> str:
    """One line without an unescaped bar."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def code(text: str) -> str:
    """Text as it is written; nothing stays nothing."""
    return f"`{text}`" if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table and the empty line after it."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(cell(one) for one in row)} |" for row in rows), ""]


def anchor(heading: str) -> str:
    """The fragment of a heading, as GitHub makes it: lower case, no punctuation, dashes for blanks."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def sentence(text: str) -> str:
    """A docstring as one paragraph."""
    return re.sub(r"\s+", " ", text).strip()


def page(lines: Iterable[str]) -> str:
    """The whole page: a mark that it is made, one newline at its end."""
    return "\n".join([MADE, "", *lines]).rstrip("\n") + "\n"
