"""The words that every channel shares."""

from typing import get_args

import pytest
from tests.incidents.lanes import delivery

from aegis.core.notifications import Change
from aegis.core.wording import CHANGE_WORDS, headline, state
from aegis.incidents.digest import digest
from aegis.testing import START


@pytest.mark.parametrize("change", get_args(Change))
def test_every_change_has_a_word(change: Change) -> None:
    assert CHANGE_WORDS[change] in state(delivery("inc", change=change).notification)


def test_a_digest_is_headed_by_its_counts_and_names_no_incident() -> None:
    said = digest([delivery("a"), delivery("b")], START)

    assert headline(said) == "2 incidents: 2 HIGH"
    assert "digest-" not in state(said)
