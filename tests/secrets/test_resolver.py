"""Claims about looking references up."""

from pathlib import Path

import pytest
from tests.secrets.opened import store

from aegis.core.errors import ConfigError
from aegis.core.references import Reference, parse_reference
from aegis.core.secret import Secret
from aegis.secrets.opening import open_secrets
from aegis.secrets.resolver import Resolver
from aegis.testing import START


def _resolver(folder: Path, heard: list[Secret] | None = None, **env: str) -> Resolver:
    ring = {("aegis", "slack"): "from-the-ring"}
    heard = [] if heard is None else heard
    return Resolver(
        env=env, stored=store(folder).get, keyring=lambda service, name: ring.get((service, name)), found=heard.append
    )


def test_every_kind_is_found_and_told_to_the_redactor(tmp_path: Path) -> None:
    store(tmp_path).set("kept", Secret("from-the-store"))
    path = tmp_path / "token"
    path.write_text("from-the-file\n")
    path.chmod(0o600)
    heard: list[Secret] = []
    resolver = _resolver(tmp_path, heard, NAME="from-the-environment")

    texts = ("env:NAME", f"file:{path}", "keyring:aegis/slack", "secret:kept")
    values = [resolver.resolve(text).reveal() for text in texts]

    assert values == ["from-the-environment", "from-the-file", "from-the-ring", "from-the-store"]
    assert [secret.reveal() for secret in heard] == values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("env:NONE", "env:NONE is not set in the environment or .env"),
        ("env:EMPTY", "env:EMPTY is empty"),
        ("file:/nowhere/at/all", "cannot be read"),
        ("keyring:aegis/none", "keyring set aegis none"),
        ("secret:none", "aegis secrets set none"),
    ],
)
def test_what_is_not_there_is_said_with_the_way_out(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        _resolver(tmp_path, EMPTY="").resolve(text)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    path.write_text("value")
    path.chmod(mode)

    with pytest.raises(ConfigError, match="chmod 600") as caught:
        _resolver(tmp_path).resolve(f"file:{path}")
    assert "value" not in str(caught.value)


def test_a_folder_a_binary_and_a_large_file_are_no_secrets(tmp_path: Path) -> None:
    binary, large = tmp_path / "b", tmp_path / "l"
    binary.write_bytes(b"\xff\xfe\xfd")
    large.write_bytes(b"x" * (64 * 1024 + 1))
    for path in (binary, large):
        path.chmod(0o600)

    for path, said in (
        (tmp_path, "is no ordinary file|cannot be read"),
        (binary, "is no text"),
        (large, "is larger than"),
    ):
        with pytest.raises(ConfigError, match=said):
            _resolver(tmp_path).resolve(f"file:{path}")


def test_whether_a_reference_leads_anywhere_is_told_without_the_value(tmp_path: Path) -> None:
    resolver = _resolver(tmp_path, NAME="value")

    assert [resolver.state(parse_reference(text)) for text in ("env:NAME", "env:NONE", "secret:x")] == [
        "set",
        "not set",
        "stored",
    ]


def test_nothing_of_a_resolver_shows_the_environment(tmp_path: Path) -> None:
    assert "value" not in repr(_resolver(tmp_path, NAME="value"))


def test_a_passphrase_can_come_from_a_reference_but_not_from_the_store_it_opens(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()

    def opened(reference: str, **env: str) -> Secret:
        secrets = open_secrets(
            tmp_path / "home",
            env=env,
            credential="c",
            key_file=None,
            passphrase=parse_reference(reference),
            now=lambda: START,
        )
        secrets.store.set("a", Secret("v"))
        return secrets.resolver.resolve(Reference("secret", "a"))

    assert opened("env:WORDS", WORDS="twelve characters") == Secret("v")
    with pytest.raises(ConfigError, match="cannot stand in the store that it opens"):
        opened("secret:words")
