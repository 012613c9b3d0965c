"""The shared rules and logs, as tests and benchmarks read them."""

from __future__ import annotations

import json
import lzma
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from aegis.sigma import Rule, parse_rules

WINDOWS_FOLDERS = ("rules/windows/", "rules-emerging-threats/", "rules-threat-hunting/windows/")


def data(shared: Path) -> Path:
    return shared / "data" / "detection"


@cache
def rule_texts(shared: Path) -> tuple[tuple[str, str], ...]:
    with tarfile.open(data(shared) / "sigmahq_rules.tar.xz") as archive:
        out = []
        for member in archive:
            opened = archive.extractfile(member)
            if opened is not None and member.name.endswith(".yml"):
                out.append((member.name, opened.read().decode()))
    return tuple(out)


@cache
def rules(shared: Path) -> tuple[Rule, ...]:
    """Every rule, the placeholder ones apart."""
    out: list[Rule] = []
    for name, text in rule_texts(shared):
        if not name.startswith("rules-placeholder/"):
            parsed = parse_rules(text, origin=name)
            assert not parsed.problems, parsed.problems
            out += parsed.rules
    return tuple(out)


@cache
def windows_rules(shared: Path) -> tuple[Rule, ...]:
    """The rules that the reference matches of the Windows corpora were made with."""
    return tuple(
        rule
        for rule in rules(shared)
        if rule.logsource.product == "windows" and rule.origin.startswith(WINDOWS_FOLDERS)
    )


def rows(shared: Path, name: str) -> Iterator[dict[str, Any]]:
    with lzma.open(data(shared) / f"{name}.jsonl.xz") as lines:
        for line in lines:
            yield orjson.loads(line)


def expected(shared: Path, name: str) -> dict[str, set[tuple[int, str]]]:
    with lzma.open(data(shared) / f"expected_{name}.json.xz") as text:
        read = json.load(text)
    return {
        key: {(line, rule) for line, rule in value}
        for key, value in read.items()
        if isinstance(value, list) and key != "engines"
    }
