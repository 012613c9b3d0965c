"""Every stable `code` of an error, found in the sources: which error carries it, with which status, and what it says."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import aegis
from aegis.core.dialects.fields import UNTRANSLATED
from aegis.core.metering.bounds import NO_BOUND
from aegis.web.problems import bad_input_status

SOURCES: Final = Path(aegis.__file__).parent
NOT_OURS: Final = ("sandbox",)
"""What stands in for others answers as they do; its codes are theirs."""
CARRIERS: Final = frozenset({"BadInput", "Untrusted", "Refusal", "problem"})
NAMED: Final = {"NO_BOUND": NO_BOUND, "UNTRANSLATED": UNTRANSLATED}
"""Codes that have a name of their own in the code."""
UNTRUSTED: Final = 401
"""What a webhook hears whose signature does not hold."""
SAID_MAX: Final = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One place that tells a code: the room and file or folder, the HTTP status (0: another's), the sentence."""

    place: str
    status: int
    said: str


@cache
def codes() -> Mapping[str, list[Use]]:
    """Where each code is told, in the order of the alphabet."""
    found: dict[str, list[Use]] = defaultdict(list)
    for path in sorted(SOURCES.rglob("*.py")):
        parts = path.relative_to(SOURCES).parts
        if parts[0] in NOT_OURS:
            continue
        for name, status, said in _in(ast.parse(path.read_text(encoding="utf-8"))):
            found[name].append(Use(place="/".join(parts[:2]), status=status, said=said))
    return dict(sorted(found.items()))


def _in(tree: ast.AST) -> Iterator[tuple[str, int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        kind = node.func.id if isinstance(node.func, ast.Name) else ""
        if kind not in CARRIERS:
            continue
        named = next((one.value for one in node.keywords if one.arg == "code"), None)
        texts = list(node.args)
        if kind == "problem":
            named = node.args[1] if len(node.args) > 1 else None
            texts = node.args[2:3]
        elif kind == "Refusal":
            texts = node.args[1:2]
        name = _constant(named)
        if name:
            status = bad_input_status(name)
            if kind in ("problem", "Refusal") and node.args:
                status = _number(node.args[0])
            elif kind == "Untrusted":
                status = UNTRUSTED
            yield name, status, _text(texts[0]) if texts else ""


def _constant(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return NAMED.get(node.id, "") if isinstance(node, ast.Name) else ""


def _number(node: ast.expr) -> int:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) else 0


def _text(node: ast.expr) -> str:
    """The sentence with dots where something is filled in; empty for one that is made elsewhere."""
    if isinstance(node, ast.Constant):
        return str(node.value)[:SAID_MAX]
    if isinstance(node, ast.JoinedStr):
        parts = [str(one.value) if isinstance(one, ast.Constant) else "..." for one in node.values]
        text = "".join(parts)
        return text[:SAID_MAX] if text.replace("...", "").strip(" :;,") else ""
    return ""
