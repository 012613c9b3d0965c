"""Atlassian Document Format as Jira Cloud checks it, and the few words of JQL that Aegis searches with.

Sources: developer.atlassian.com, "Atlassian Document Format" and "JQL fields"; what is not listed here is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from aegis.sandbox.checks import names

DEPTH_MAX = 20
"""Nesting of a document; a table in a list in a panel is about 8."""

NODES = names("""doc paragraph text heading bulletList orderedList listItem codeBlock blockquote panel rule hardBreak table tableRow
    tableCell tableHeader mention emoji inlineCard date status expand nestedExpand mediaSingle media taskList taskItem
    decisionList decisionItem""")
MARKS = names("strong em code link strike underline subsup textColor backgroundColor border alignment indentation")
LEAVES = names("text rule hardBreak mention emoji inlineCard date status media")

Matches: TypeAlias = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was understood. `label`: in lower case, what every issue that matches is labelled with; empty: not said."""

    matches: Matches
    label: str = ""


class BadQuery(ValueError):
    """A JQL text that is not understood; the message is for the sender."""


def document_problem(value: Any) -> str:
    """What is wrong with an ADF document, "" if nothing."""
    if not isinstance(value, dict) or value.get("type") != "doc" or value.get("version") != 1:
        return "is no Atlassian document"
    return _node_problem(value, 0)


def _node_problem(node: Any, depth: int) -> str:
    if depth > DEPTH_MAX:
        return "the document is nested too deeply"
    kind = node.get("type") if isinstance(node, dict) else None
    if kind not in NODES or (depth > 0 and kind == "doc"):
        return f"{str(kind)[:40]} is no node of a document"
    if kind == "text" and not (isinstance(node.get("text"), str) and node["text"]):
        return "a text node must not be empty"
    for mark in node.get("marks") or ():
        if not isinstance(mark, dict) or mark.get("type") not in MARKS:
            return "a mark is not known"
        if mark["type"] == "link" and not (mark.get("attrs") or {}).get("href"):
            return "a link needs an href"
    content = node.get("content")
    if content is None:
        return "" if kind in LEAVES or kind in ("paragraph", "codeBlock") else f"{kind} needs content"
    if not isinstance(content, list):
        return "content must be a list"
    return next(filter(None, (_node_problem(child, depth + 1) for child in content)), "")


def document_text(node: Any, depth: int = 0) -> str:
    """The plain text of a document that was checked."""
    if depth > DEPTH_MAX or not isinstance(node, dict):
        return ""
    inner = (document_text(child, depth + 1) for child in node.get("content") or ())
    return " ".join(filter(None, (str(node.get("text", "")), *inner)))


_VALUE = r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|[^\s()",=!]+'
_CLAUSE = re.compile(
    rf"\s*(?P<field>\w+)\s*(?P<operator>=|!=|\bnot\s+in\b|\bin\b)\s*(?:\((?P<many>[^()]*)\)|(?P<one>{_VALUE}))\s*",
    re.IGNORECASE,
)
_AND = re.compile(r"and\b", re.IGNORECASE)
_ORDER = re.compile(r"\border\s+by\b.*", re.IGNORECASE | re.DOTALL)


def labels(issue: Mapping[str, Any]) -> set[str]:
    """The labels of an issue in lower case, as searches compare them."""
    return {str(label).lower() for label in issue["fields"].get("labels") or ()}


def parse_jql(text: str) -> Query:
    """Clauses joined by AND over project, labels, key, status, statusCategory. Raises `BadQuery`."""
    rest = _ORDER.sub("", text).strip()
    if not rest:
        raise BadQuery("The query restricts nothing")
    clauses: list[Matches] = []
    label = ""
    while rest:
        found = _CLAUSE.match(rest)
        if found is None or found["field"].lower() not in _FIELDS:
            raise BadQuery(f"The JQL is not understood near: {rest[:40]}")
        wanted, negative = _wanted(found)
        clauses.append(_clause(found["field"].lower(), wanted, negative=negative))
        if found["field"].lower() == "labels" and len(wanted) == 1 and not negative:
            label = next(iter(wanted))
        rest = rest[found.end() :]
        joined = _AND.match(rest)
        if rest and joined is None:
            raise BadQuery(f"The JQL needs AND near: {rest[:40]}")
        if joined is not None:
            rest = rest[joined.end() :]
            if not rest.strip():
                raise BadQuery("The JQL ends after AND")
    return Query(lambda issue: all(clause(issue) for clause in clauses), label)


_FIELDS: Mapping[str, Callable[[Mapping[str, Any]], set[str]]] = {
    "project": lambda issue: {str(issue["key"]).partition("-")[0]},
    "labels": labels,
    "key": lambda issue: {str(issue["key"])},
    "issuekey": lambda issue: {str(issue["key"])},
    "status": lambda issue: {str(issue["fields"]["status"]["name"])},
    "statuscategory": lambda issue: {str(issue["fields"]["status"]["statusCategory"]["name"])},
}


def _wanted(found: re.Match[str]) -> tuple[set[str], bool]:
    """The values that a clause names, in lower case, and whether it is true for all others."""
    texts = re.findall(_VALUE, found["many"]) if found["one"] is None else [found["one"]]
    wanted = {re.sub(r"\\(.)", r"\1", text[1:-1] if text[0] in "\"'" else text).lower() for text in texts}
    return wanted, found["operator"].lower().startswith(("!=", "not"))


def _clause(field: str, wanted: set[str], *, negative: bool) -> Matches:
    read = _FIELDS[field]
    return lambda issue: bool({value.lower() for value in read(issue)} & wanted) != negative
