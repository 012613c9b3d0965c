"""Claims about references to secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import ConfigError
from aegis.core.references import Reference, parse_reference


@pytest.mark.parametrize("text", ["env:A_KEY", "file:/run/secrets/a", "keyring:aegis/slack", "secret:slack-token.2"])
def test_a_reference_comes_back_as_it_was_written(text: str) -> None:
    assert str(parse_reference(text)) == text


@given(st.text())
def test_what_is_no_reference_is_never_shown(text: str) -> None:
    try:
        assert isinstance(parse_reference(text), Reference)
    except ConfigError as error:
        assert len(text) < 9 or text not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "text", ["env:1A", "env:", "file:relative", "keyring:noslash", "secret:../x", "cmd:id", "ENV:A", "sk-ant-x"]
)
def test_no_reference(text: str) -> None:
    with pytest.raises(ConfigError, match="env:NAME, file:/path, keyring:service/name or secret:NAME"):
        parse_reference(text)
