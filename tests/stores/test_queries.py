"""Query files: every statement has a name and says what it is for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.stores.queries import LISTS, in_lists, in_parts, named_queries, statements


def test_queries_are_found_by_name() -> None:
    text = "-- name: one\n-- Says one.\nSELECT 1;\n\n-- name: two\n-- Says two.\nSELECT\n  2;\n"

    assert named_queries(text) == {"one": "SELECT 1;", "two": "SELECT\n  2;"}


@pytest.mark.parametrize(
    "text", ["-- name: one\nSELECT 1;", "-- name: a\n-- x\nSELECT 1;\n-- name: a\n-- x\nSELECT 2;"]
)
def test_a_query_without_a_comment_or_with_a_name_twice_is_a_mistake(text: str) -> None:
    with pytest.raises(AssertionError):
        named_queries(text)


def test_a_script_is_cut_where_its_statements_end() -> None:
    script = "-- a; b\nCREATE TABLE a (b TEXT DEFAULT ';\n');\nDELETE FROM a;\n-- the end\n"

    assert len(list(statements(script))) == 2


def test_half_a_statement_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        list(statements("DELETE FROM a"))


@given(st.integers(0, 300))
def test_parts_and_lists_hold_everything_in_order_and_a_list_only_names_its_last_again(number: int) -> None:
    many = range(number)

    lists = [tuple(one) for one in in_lists(many)]

    assert [one for part in in_parts(many) for one in part] == list(many)
    assert list(dict.fromkeys(one for part in lists for one in part)) == list(many)
    assert {len(part) for part in lists} <= set(LISTS)
    assert len(lists) == -(-number // max(LISTS))
