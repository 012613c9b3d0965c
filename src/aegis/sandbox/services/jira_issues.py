"""What a Jira issue is in the sandbox: which fields it takes, how wrong ones are named, its three statuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aegis.sandbox.exchange import clip
from aegis.sandbox.room import Document
from aegis.sandbox.services.jira_text import document_problem, document_text

SUMMARY_MAX, LABEL_MAX, DESCRIPTION_KEPT, DESCRIPTION_MAX = 255, 255, 2_000, 32_767
PRIORITIES = ("Highest", "High", "Medium", "Low", "Lowest")
ISSUE_TYPES = ("Bug", "Task", "Story", "Epic", "Incident", "Sub-task")


@dataclass(frozen=True, slots=True)
class IssueStatus:
    """A step of the workflow, the transition that leads to it, and its category."""

    id: str
    name: str
    transition: str
    category_id: int
    category: str
    category_name: str
    color: str


STATUSES = (
    IssueStatus("10000", "To Do", "11", 2, "new", "To Do", "blue-gray"),
    IssueStatus("10001", "In Progress", "21", 4, "indeterminate", "In Progress", "yellow"),
    IssueStatus("10002", "Done", "31", 3, "done", "Done", "green"),
)


def status_document(status: IssueStatus) -> Document:
    category = {
        "id": status.category_id,
        "key": status.category,
        "name": status.category_name,
        "colorName": status.color,
    }
    return {"id": status.id, "name": status.name, "statusCategory": category}


def issue_problems(body: Document, *, new: bool = True) -> dict[str, str]:
    """What is wrong with the fields of an issue, by field, in Jira's manner."""
    unknown = set(body) - {"fields", "update", "properties", "historyMetadata", "transition"}
    if unknown:
        return {clip(min(unknown), 40): "is not a known part of an issue"}
    fields = body.get("fields")
    if not isinstance(fields, dict):
        return {"fields": "is required"} if new or fields is not None else {}
    problems = {}
    for name in REQUIRED if new else ():
        if name not in fields:
            problems[name] = REQUIRED[name]
    for name, value in fields.items():
        check = CHECKS.get(name)
        problem = "is not on the screen, or unknown" if check is None else check(value)
        if problem:
            problems[clip(name, 80)] = problem
    return problems


REQUIRED = {
    "project": "is no key of a project",
    "issuetype": "is required",
    "summary": "is required",
}


def _named(value: Any, allowed: Sequence[str] = ()) -> bool:
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("id"), str) and value["id"].isdecimal():
        return True
    return isinstance(value.get("name"), str) and value["name"] in allowed


def _project(value: Any) -> str:
    key = value.get("key") if isinstance(value, dict) else None
    right = isinstance(key, str) and re.fullmatch(r"[A-Z][A-Z0-9_]{1,9}", key)
    return "" if right else REQUIRED["project"]


def _summary(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        return REQUIRED["summary"]
    if "\n" in value or "\r" in value:
        return "must not contain line ends"
    return f"must be at most {SUMMARY_MAX} characters" if len(value) > SUMMARY_MAX else ""


def _labels(value: Any) -> str:
    if not isinstance(value, list) or not all(isinstance(label, str) and label for label in value):
        return "must be a list of strings"
    if any(re.search(r"\s", label) for label in value):
        return "must not contain spaces"
    return f"must be at most {LABEL_MAX} characters each" if any(len(label) > LABEL_MAX for label in value) else ""


def _description(value: Any) -> str:
    problem = "" if value is None else document_problem(value)
    if problem or len(document_text(value)) <= DESCRIPTION_MAX:
        return problem
    return f"must be at most {DESCRIPTION_MAX} characters"


CHECKS: dict[str, Callable[[Any], str]] = {
    "project": _project,
    "issuetype": lambda value: "" if _named(value, ISSUE_TYPES) else "is no type of an issue",
    "summary": _summary,
    "labels": _labels,
    "description": _description,
    "priority": lambda value: "" if value is None or _named(value, PRIORITIES) else "is no priority",
    "duedate": lambda value: "" if re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)) else "is no date",
    "assignee": lambda value: "" if value is None or isinstance(value, dict) else "must be an object",
}


def new_issue(body: Document, *, key: str, number: int, at: datetime) -> Document:
    """An issue in the first status, from a body without problems."""
    bare = {
        "id": str(number),
        "key": key,
        "comments": 0,
        "last_comment": "",
        "fields": {"status": status_document(STATUSES[0]), "labels": [], "created": _time(at)},
        "created_ms": int(at.timestamp() * 1_000),
    }
    return set_fields(bare, body["fields"], at)


def set_fields(issue: Document, fields: Document, at: datetime) -> Document:
    """The issue with these fields set. A long description is kept as its beginning."""
    kept = dict(fields)
    description = kept.get("description")
    text = document_text(description)
    if len(text) > DESCRIPTION_KEPT:
        paragraph = {"type": "paragraph", "content": [{"type": "text", "text": clip(text, DESCRIPTION_KEPT)}]}
        kept["description"] = {"type": "doc", "version": 1, "content": [paragraph]}
    merged = {**issue["fields"], **kept, "updated": _time(at)}
    return {**issue, "fields": merged}


def shown(issue: Document, fields: Sequence[Any], address: str) -> Document:
    """The issue as an answer shows it, with the wanted fields only."""
    names = {str(field).strip() for field in fields}
    whole = bool(names & {"*all", "*navigable"})
    inside = {name: value for name, value in issue["fields"].items() if whole or name in names}
    result: Document = {"id": issue["id"], "key": issue["key"], "self": address}
    return {**result, "fields": inside} if inside or names != {"id"} else {**result, "expand": ""}


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
