"""JQL and documents from outside are understood as far as they go, and refused beyond that."""

from typing import Any

import pytest

from aegis.sandbox.services.jira_text import BadQuery, document_problem, parse_jql


@pytest.mark.parametrize(
    "jql", ["", "order by created", "assignee = me", "project = SEC OR key = SEC-1", "project = SEC AND"]
)
def test_a_query_that_is_not_understood_is_refused(jql: str) -> None:
    with pytest.raises(BadQuery):
        parse_jql(jql)


def test_a_document_may_not_nest_without_end() -> None:
    nested: dict[str, Any] = {"type": "text", "text": "x"}
    for _ in range(200):
        nested = {"type": "blockquote", "content": [nested]}
    assert document_problem({"type": "doc", "version": 1, "content": [nested]})
