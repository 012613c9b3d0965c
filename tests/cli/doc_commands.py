"""Every command that the documents show: in blocks, line by line, and between backticks in the text."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

from aegis.cli.commands import shared_options
from aegis.cli.main import root

ROOT = Path(__file__).parents[2]
REFERENCE = "docs/reference/"
"""Pages made from the code: their examples are those of the commands' own help."""
_BLOCK = re.compile(r"^[ \t]*```(\w*)[^\n]*\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)
_SHELLS = {"", "console", "sh", "bash", "shell", "text"}
_LINE = re.compile(r"^[ \t]*(?:\$ )?aegis (?=[a-z-]).*$", re.MULTILINE)
_SPAN = re.compile(r"`aegis ([a-z-][^`]*)`")


@cache
def pages() -> dict[str, str]:
    """README, CONTRIBUTING and everything under docs, by path."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}


def shown(page: str) -> list[str]:
    """The command lines of a page's blocks, as they stand there."""
    blocks = [block for language, block in _BLOCK.findall(pages()[page]) if language in _SHELLS]
    return [line for block in blocks for line in _LINE.findall(block)]


def mentioned(page: str) -> list[str]:
    """The commands between backticks, without `aegis`."""
    text = _BLOCK.sub("", pages()[page])
    return [" ".join(span.split()) for span in _SPAN.findall(text)]


def words_of(line: str) -> list[str]:
    """The arguments of a command line: without the prompt, a comment, a redirection or `&`."""
    plain = re.sub(r"\s(&|[<>]{1,2}\s*\S+|\|.*)$", "", re.sub(r"\s+#\s.*$", "", line.strip().removeprefix("$ ")))
    return shlex.split(plain)[1:]


def wrong(words: list[str]) -> str:
    """What is wrong with a command's words by the command line's own tables; empty when it is there with all its options."""
    return next((why for each in _alternatives(words) if (why := _wrong(each))), "")


def _alternatives(words: list[str]) -> Iterator[list[str]]:
    """`plan|apply` and `[--json]` stand for several."""
    words = [word.strip("[],") for word in words]
    at = next((number for number, word in enumerate(words) if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", word)), None)
    if at is None:
        yield words
        return
    for each in words[at].split("|"):
        yield from _alternatives([*words[:at], each, *words[at + 1 :]])


def _wrong(words: list[str]) -> str:
    command: click.Command = root
    left = list(words)
    while left and isinstance(command, click.Group) and not left[0].startswith("-"):
        name = left.pop(0)
        if name.isupper() or name == "...":
            return ""
        below = command.get_command(click.Context(command), name)
        if below is None:
            return f"there is no `{name}` below `{command.name}`"
        command = below
    known = {flag for option in (*command.params, *shared_options()) for flag in (*option.opts, *option.secondary_opts)}
    for word in left:
        if word == "--":
            break  # what follows is another program's
        if word.startswith("--") and word.partition("=")[0] not in known | {"--help", "--version"}:
            return f"`{command.name}` has no {word}"
    return ""
