"""A room finds its documents by what is in them, whatever happened to them before."""

from hypothesis import given
from hypothesis import strategies as st

from aegis.sandbox.room import Document, Room, Terms

KEYS, WORDS = st.sampled_from("abcdef"), st.sets(st.sampled_from("xyz"))
STEPS = st.lists(st.tuples(KEYS, st.none() | WORDS), max_size=30)


def words(document: Document) -> list[str]:
    return list(document["words"])


@given(STEPS, st.integers(0, 30))
def test_a_search_by_a_word_finds_what_looking_at_every_document_finds(
    steps: list[tuple[str, set[str] | None]], asked_after: int
) -> None:
    room = Room(Terms(), most=4)
    for number, (key, found) in enumerate(steps):
        if number == asked_after:
            list(room.having("thing", "x", words))
        if found is None:
            room.drop("thing", key)
        else:
            room.put("thing", key, {"words": sorted(found), "n": number})
    again = Room(Terms(), most=4)
    list(again.having("thing", "x", words))
    for change in room.take_changes():
        again.apply(change)
    for word in "xyz":
        every = [one["n"] for one in room.every("thing").values() if word in one["words"]]
        for held in (room, again):
            assert sorted(one["n"] for one in held.having("thing", word, words)) == sorted(every)
