"""Claims about reading YAML with positions."""

from hypothesis import given
from hypothesis import strategies as st

from aegis.config.reading import flow, read

HOSTILE = st.text(st.sampled_from("ab:{}[],-&*!#|>'\"\n \t%@`?<~\x00\ufeffé0."), max_size=60)


@given(HOSTILE)
def test_any_text_is_a_document_or_a_problem_with_a_place(text: str) -> None:
    document = read(text, "x.yaml")

    assert isinstance(document.tree, dict)
    for problem in document.problems:
        assert problem.place.line >= 1
        assert problem.shown().startswith("x.yaml:")


def test_every_value_is_the_text_that_was_written() -> None:
    document = read('a: 5.00\nb: NO\nc: 12:30:45\nd: "quoted"\ne: 0x1F\nf: true\ng: ~\nh: 007\n', "x.yaml")

    assert document.tree == {
        "a": "5.00", "b": "NO", "c": "12:30:45", "d": "quoted", "e": "0x1F", "f": "true", "g": None, "h": "007",
    }  # fmt: skip


def test_json_with_tabs_and_positions() -> None:
    document = read('{\n\t"a": {\n\t\t"b": 1.50\n\t}\n}', "x.json")

    assert document.tree == {"a": {"b": "1.50"}}
    assert str(document.places["a", "b"]) == "x.json:3:3"


def test_an_anchor_gives_its_value_to_each_alias() -> None:
    assert read("a: &x {b: 1}\nc: *x\n", "x.yaml").tree == {"a": {"b": "1"}, "c": {"b": "1"}}


@given(st.text(max_size=30))
def test_a_value_of_the_environment_is_never_lost(text: str) -> None:
    value = flow(text)

    assert value == text or text.startswith(("[", "{"))


def test_a_list_of_the_environment() -> None:
    assert (flow("[a, 'b c']"), flow("{a: 1}"), flow("[broken"), flow("#x")) == (
        ["a", "b c"],
        {"a": "1"},
        "[broken",
        "#x",
    )
