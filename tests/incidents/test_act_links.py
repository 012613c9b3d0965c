"""A link stands for one act on one incident until it ends; whatever is changed in it, it stands for nothing."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.incidents.stage import detection, incident

from aegis.core.errors import BadInput
from aegis.core.incidents import Status
from aegis.incidents.act_links import VALID, ActLinks, buttons

LINKS = ActLinks(b"k" * 32, base="https://aegis.example/")
INCIDENT = incident(detection())
NOW = INCIDENT.updated_at


def token(url: str) -> str:
    return urlsplit(url).path.removeprefix("/act/")


def name_of(written: str) -> str:
    """What a link is remembered by; empty when it is none of ours."""
    try:
        return LINKS.read(written, now=NOW).name
    except BadInput:
        return ""


@given(contact=st.text(max_size=200), status=st.sampled_from(Status))
def test_a_link_is_read_back_as_what_it_was_made_for(contact: str, status: Status) -> None:
    changed = replace(INCIDENT, status=status)
    for button in LINKS.links(changed, contact=contact):
        act = LINKS.read(token(button.url), now=NOW)
        assert (act.incident_id, act.verb, act.contact) == (INCIDENT.id, button.verb, " ".join(contact.split())[:80])
        assert act.token not in act.name


@given(data=st.data())
def test_a_link_in_which_one_letter_differs_is_none_of_ours(data: st.DataObject) -> None:
    whole = token(LINKS.links(INCIDENT)[0].url)
    place = data.draw(st.integers(0, len(whole) - 1))
    letter = data.draw(st.characters(codec="ascii").filter(lambda one: one != whole[place]))
    changed = whole[:place] + letter + whole[place + 1 :]
    assert name_of(changed) in ("", name_of(whole)), "base64 may write the same bytes in two ways: it is the same link"


@given(text=st.text(max_size=600))
def test_any_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadInput, match="not one of ours"):
        LINKS.read(text, now=NOW)


def test_a_link_ends_and_another_key_knows_none() -> None:
    whole = token(LINKS.links(INCIDENT)[0].url)
    assert LINKS.read(whole, now=NOW + VALID - timedelta(seconds=1))
    with pytest.raises(BadInput, match="ended"):
        LINKS.read(whole, now=NOW + VALID)
    with pytest.raises(BadInput, match="not one of ours"):
        ActLinks(b"x" * 32, base="https://aegis.example").read(whole, now=NOW)


def test_what_is_offered_depends_on_where_the_incident_stands() -> None:
    offered = {status: [one.verb for one in buttons(replace(INCIDENT, status=status))] for status in Status}
    assert offered == {
        Status.OPEN: ["acknowledge", "resolve"],
        Status.ACKNOWLEDGED: ["resolve"],
        Status.RESOLVED: ["reopen"],
    }
