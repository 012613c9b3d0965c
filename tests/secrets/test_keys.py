"""Claims about where the key of the encrypted store comes from."""

from pathlib import Path

import pytest
from tests.secrets.opened import keys, store, words

from aegis.core.errors import ConfigError
from aegis.core.secret import Secret

SALT = b"0" * 16


def _credential(folder: Path) -> dict[str, str]:
    (folder / "credentials").mkdir()
    path = folder / "credentials" / "aegis-secrets-key"
    path.write_bytes(b"k" * 32)
    path.chmod(0o400)
    return {"CREDENTIALS_DIRECTORY": str(folder / "credentials")}


def test_a_systemd_credential_comes_first_then_a_key_file_then_words(tmp_path: Path) -> None:
    env = _credential(tmp_path)

    assert keys(tmp_path, env=env, passphrase=words()).preferred() == "credential"
    assert keys(tmp_path, passphrase=words()).preferred() == "key_file"
    assert keys(tmp_path, key_file=None, passphrase=words()).preferred() == "passphrase"


def test_a_store_locked_by_a_credential_opens_only_with_it(tmp_path: Path) -> None:
    env = _credential(tmp_path)
    store(tmp_path, keys(tmp_path, env=env)).set("a", Secret("v"))

    assert store(tmp_path, keys(tmp_path, env=env)).get("a") == Secret("v")
    with pytest.raises(ConfigError, match="locked with the systemd credential aegis-secrets-key"):
        store(tmp_path, keys(tmp_path)).get("a")


def test_without_any_source_the_three_ways_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"systemd credential.*secrets\.key_file.*passphrase"):
        store(tmp_path, keys(tmp_path, key_file=None)).set("a", Secret("v"))


@pytest.mark.parametrize("place", ["home/aegis.key", "home/deep/aegis.key", "home/../home/aegis.key"])
def test_a_key_beside_the_data_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError, match="a key inside the state folder"):
        store(tmp_path, keys(tmp_path, key_file=tmp_path / place)).set("a", Secret("v"))


def test_a_key_that_a_link_brings_into_the_state_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "home")

    with pytest.raises(ConfigError, match="a key inside the state folder"):
        keys(tmp_path, key_file=tmp_path / "link" / "k").make_key_file()


def test_a_key_file_that_others_can_read_is_refused_with_the_command(tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_bytes(b"k" * 44)
    path.chmod(0o640)

    with pytest.raises(ConfigError, match="run: chmod 600"):
        keys(tmp_path, key_file=path).key("key_file", SALT)


def test_a_short_key_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_bytes(b"short\n")
    path.chmod(0o600)

    with pytest.raises(ConfigError, match="too short for a key"):
        keys(tmp_path, key_file=path).key("key_file", SALT)


def test_a_key_file_is_made_once_and_never_again(tmp_path: Path) -> None:
    assert keys(tmp_path).make_key_file()
    body = (tmp_path / "keys" / "aegis.key").read_bytes()

    assert not keys(tmp_path).make_key_file()
    assert (tmp_path / "keys" / "aegis.key").read_bytes() == body


def test_a_key_file_that_is_lost_is_not_made_anew_for_a_store_that_it_locked(tmp_path: Path) -> None:
    store(tmp_path).set("a", Secret("v"))
    path = tmp_path / "keys" / "aegis.key"
    path.unlink()

    with pytest.raises(ConfigError, match="cannot be read"):
        store(tmp_path).set("b", Secret("v"))
    assert not path.exists()


def test_a_new_passphrase_must_be_long_enough(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 12 characters"):
        store(tmp_path, keys(tmp_path, key_file=None, passphrase=words("short"))).set("a", Secret("v"))
