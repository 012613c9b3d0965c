"""Personal data does not reach a model, and comes back in the answer."""

import re

from hypothesis import given
from hypothesis import strategies as st
from tests.incidents.stage import KEY

from aegis.incidents.pseudonyms import DEFAULT_KINDS, Pseudonyms, given_names, luhn

OTHER_KEY = b"fedcba9876543210"
EVERYTHING = Pseudonyms(KEY, kinds=DEFAULT_KINDS | {"user", "address"})

pieces = st.one_of(
    st.text(max_size=20),
    st.emails(),
    st.sampled_from(
        ["Anna", "PETER", "4111 1111 1111 1111", "10.1.2.3", "deploy", "NAME_0123456789", "fe80::1", " ", "@"]
    ),
)


@given(st.lists(pieces, max_size=8).map("".join))
def test_what_was_hidden_comes_back_exactly(text: str) -> None:
    veil = EVERYTHING.veil(users=["deploy"])

    assert veil.restore(veil.hide(text)) == text


@given(st.lists(pieces, max_size=8).map(" ".join))
def test_the_same_text_is_hidden_the_same_way_every_time(text: str) -> None:
    assert EVERYTHING.veil(users=["deploy"]).hide(text) == EVERYTHING.veil(users=["deploy"]).hide(text)


def test_mail_addresses_cards_and_given_names_are_hidden_by_default() -> None:
    text = "Anna <anna.berg@example.org> paid with 4111-1111-1111-1111 from 10.1.2.3 as deploy"

    hidden = Pseudonyms(KEY).veil(users=["deploy"]).hide(text)

    assert re.fullmatch(r"NAME_\w{10} <EMAIL_\w{10}> paid with CARD_\w{10} from 10\.1\.2\.3 as deploy", hidden), hidden


def test_user_names_and_addresses_are_hidden_when_asked() -> None:
    hidden = EVERYTHING.veil(users=["deploy", "CORP\\x.smith"]).hide("deploy redeployed from fe80::12 as CORP\\x.smith")

    assert re.fullmatch(r"USER_\w{10} redeployed from ADDRESS_\w{10} as USER_\w{10}", hidden), hidden


def test_nobody_without_the_key_can_tell_who_it_is() -> None:
    one, other = Pseudonyms(KEY).veil().hide("Anna"), Pseudonyms(OTHER_KEY).veil().hide("Anna")

    assert one != other


def test_an_event_cannot_name_the_stand_in_of_somebody_else() -> None:
    veil = Pseudonyms(KEY).veil()
    stand_in = veil.hide("anna@example.org")

    echoed = Pseudonyms(KEY).veil().hide(f"user agent {stand_in}")

    assert stand_in not in echoed


def test_a_stand_in_that_was_never_given_stays_as_it_is() -> None:
    assert Pseudonyms(KEY).veil().restore("NAME_0123456789") == "NAME_0123456789"


def test_a_model_that_changes_the_case_of_a_stand_in_is_understood() -> None:
    veil = Pseudonyms(KEY).veil()
    hidden = veil.hide("Anna")

    assert veil.restore(f"{hidden.lower()} logged in") == "Anna logged in"


def test_a_number_that_only_looks_like_a_card_stays() -> None:
    veil = Pseudonyms(KEY).veil()

    assert veil.hide("request 4111111111111112 at 1763726400000") == "request 4111111111111112 at 1763726400000"
    assert luhn([int(digit) for digit in "4111111111111111"])


def test_words_of_the_trade_are_no_names() -> None:
    text = "Mark as read; Max retries; Jan 12; Grace period; Will retry; Said user; IDA; Virginia; Jenkins; Oracle"

    assert Pseudonyms(KEY).veil().hide(text) == text
    assert len(given_names()) > 500
    assert all(re.fullmatch(r"[A-Z][a-z]+", name) for name in given_names())
