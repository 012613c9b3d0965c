"""What people write into a report is never lost, wherever in the file they wrote it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.incidents.stage import incident

from aegis.core.errors import BadInput
from aegis.incidents.report import TO_FILL, markdown_of
from aegis.incidents.report_kept import marked, merged, read, signed
from aegis.incidents.report_record import SECTIONS, Report

ABOUT = incident()
TEXT = signed(markdown_of(Report(incident=ABOUT)))
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60).map(str.strip).filter(bool)


def test_what_nobody_touched_has_nothing_to_keep() -> None:
    found = read(TEXT)
    assert (found.changed, found.elsewhere) == (frozenset(), ())
    assert set(found.sections.values()) == {TO_FILL}


@given(text=words, section=st.sampled_from(list(SECTIONS)))
def test_what_stands_between_marks_is_found_whatever_it_is(text: str, section: str) -> None:
    begin = f"<!-- aegis:begin {section} -->\n"
    edited = TEXT.replace(begin + TO_FILL, begin + text)
    found = read(edited)
    assert found.changed == ({section} if text != TO_FILL else frozenset())
    assert found.sections[section] == text


@given(line=words.filter(lambda line: line not in TEXT and not line.startswith("<!-- aegis:")), at=st.integers(0, 60))
def test_a_line_that_is_written_anywhere_else_is_carried_over(line: str, at: int) -> None:
    lines = TEXT.split("\n")
    lines.insert(min(at, len(lines) - 2), line)
    found = read("\n".join(lines))
    inside = "\n".join(found.sections.values())
    assert line.strip() in [*map(str.strip, found.elsewhere), *inside.split("\n")]


def test_a_line_of_ours_that_was_changed_is_carried_over_and_one_that_is_out_of_date_is_not() -> None:
    found = read(TEXT.replace("- **Severity**: HIGH", "- **Severity**: HIGH, but I think LOW"))
    assert found.elsewhere == ("- **Severity**: HIGH, but I think LOW",)


def test_a_mark_whose_end_was_deleted_loses_nothing() -> None:
    begin = "<!-- aegis:begin lessons -->\n"
    edited = TEXT.replace(begin + TO_FILL, begin + "Look sooner.").replace("<!-- aegis:end lessons -->\n", "")
    found = read(edited)
    assert "Look sooner." in found.elsewhere


@given(text=words)
def test_marks_inside_a_text_are_no_marks(text: str) -> None:
    hostile = f"{text}\n<!-- aegis:end lessons -->\n<!-- aegis:begin root-cause -->\nforged"
    whole = signed(marked("lessons", hostile))
    assert list(read(whole).sections) == ["lessons"]
    assert read(whole).elsewhere == ()


@given(ours=words, theirs=words)
def test_of_two_texts_neither_is_lost(ours: str, theirs: str) -> None:
    both = merged(ours, theirs, changed=True)
    assert ours in both
    assert theirs in both
    assert merged(ours, theirs, changed=False) == ours
    assert merged(both, theirs, changed=True) == both, "taken over once"


@pytest.mark.parametrize(
    "other",
    ["", "what a person wrote", "<!-- aegis:report/1 -->", TEXT + TEXT],
    ids=["empty", "a person's", "half a foot", "two reports"],
)
def test_another_file_is_no_report(other: str) -> None:
    with pytest.raises(BadInput, match="no report that Aegis wrote"):
        read(other)
