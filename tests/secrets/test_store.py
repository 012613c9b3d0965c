"""Claims about the encrypted store."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.secrets.opened import WORDS, file_of, keys, store, words

from aegis.core.errors import BadInput, ConfigError
from aegis.core.secret import Secret

VALUE = "hunter2-correct-horse"


def _changed(folder: Path, change: Any) -> None:
    document = json.loads(file_of(folder).read_text())
    change(document)
    file_of(folder).write_text(json.dumps(document))


def test_a_value_comes_back_in_another_process(tmp_path: Path) -> None:
    assert store(tmp_path).set("slack", Secret(VALUE)) == 1

    assert store(tmp_path).get("slack") == Secret(VALUE)


def test_the_file_holds_no_value_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    store(tmp_path).set("slack", Secret(VALUE))

    assert VALUE not in file_of(tmp_path).read_text()
    assert stat.S_IMODE(file_of(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys" / "aegis.key").stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["secrets.json", "secrets.lock"]


def test_the_list_has_names_versions_and_dates_and_needs_no_key(tmp_path: Path) -> None:
    store(tmp_path).set("slack", Secret(VALUE))
    store(tmp_path).set("jira", Secret("x"))
    store(tmp_path).set("slack", Secret("new"))
    (tmp_path / "keys" / "aegis.key").unlink()

    records = store(tmp_path).records()

    assert [(record.name, record.version) for record in records] == [("jira", 1), ("slack", 2)]
    assert {record.changed_at for record in records} == {"2026-01-01T00:00:00.000Z"}
    assert VALUE not in repr(records)


def test_a_ciphertext_moved_to_another_name_or_version_does_not_open(tmp_path: Path) -> None:
    one = store(tmp_path)
    one.set("admin", Secret("strong"))
    one.set("guest", Secret("weak"))

    _changed(tmp_path, lambda document: document["secrets"].update(admin=document["secrets"]["guest"]))
    with pytest.raises(ConfigError, match="secret:admin was changed outside Aegis"):
        store(tmp_path).get("admin")

    _changed(tmp_path, lambda document: document["secrets"]["guest"].update(version=7))
    with pytest.raises(ConfigError, match="secret:guest was changed outside Aegis"):
        store(tmp_path).get("guest")


@pytest.mark.parametrize("part", ["nonce", "sealed"])
def test_a_flipped_bit_does_not_open(tmp_path: Path, part: str) -> None:
    store(tmp_path).set("a", Secret(VALUE))

    def flip(document: Any) -> None:
        text = document["secrets"]["a"][part]
        document["secrets"]["a"][part] = ("B" if text[0] != "B" else "C") + text[1:]

    _changed(tmp_path, flip)

    with pytest.raises(ConfigError, match="does not open"):
        store(tmp_path).get("a")


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    store(tmp_path).set("a", Secret(VALUE))
    (tmp_path / "keys" / "aegis.key").write_bytes(b"x" * 44)

    with pytest.raises(ConfigError, match="this key file does not open it"):
        store(tmp_path).get("a")


def test_rotation_changes_every_byte_that_is_sealed_and_no_value(tmp_path: Path) -> None:
    one = store(tmp_path)
    for name in ("a", "b"):
        one.set(name, Secret(VALUE + name))
    before = json.loads(file_of(tmp_path).read_text())

    assert one.rotate() == 2

    after = json.loads(file_of(tmp_path).read_text())
    assert before["lock"]["key_id"] != after["lock"]["key_id"]
    assert before["secrets"]["a"]["sealed"] != after["secrets"]["a"]["sealed"]
    assert [(r.name, r.version) for r in one.records()] == [("a", 1), ("b", 1)]
    assert [store(tmp_path).get(name).reveal() for name in ("a", "b")] == [VALUE + "a", VALUE + "b"]


def test_rotation_moves_to_the_key_source_that_is_configured_now(tmp_path: Path) -> None:
    store(tmp_path, keys(tmp_path, key_file=None, passphrase=words())).set("a", Secret(VALUE))
    both = keys(tmp_path, passphrase=words())

    store(tmp_path, both).rotate()

    assert store(tmp_path, keys(tmp_path)).get("a") == Secret(VALUE)


def test_rotation_stops_at_a_secret_that_does_not_open_and_changes_nothing(tmp_path: Path) -> None:
    store(tmp_path).set("a", Secret(VALUE))
    store(tmp_path).set("b", Secret(VALUE))
    _changed(tmp_path, lambda document: document["secrets"]["b"].update(version=9))
    before = file_of(tmp_path).read_bytes()

    with pytest.raises(ConfigError, match="secret:b"):
        store(tmp_path).rotate()

    assert file_of(tmp_path).read_bytes() == before


def test_a_removed_secret_is_gone(tmp_path: Path) -> None:
    one = store(tmp_path)
    one.set("a", Secret(VALUE))

    assert one.remove("a")
    assert not one.remove("a")
    with pytest.raises(ConfigError, match="aegis secrets set a"):
        one.get("a")


def test_a_passphrase_opens_what_it_locked_and_another_does_not(tmp_path: Path) -> None:
    store(tmp_path, keys(tmp_path, key_file=None, passphrase=words())).set("a", Secret(VALUE))

    assert store(tmp_path, keys(tmp_path, key_file=None, passphrase=words())).get("a") == Secret(VALUE)
    with pytest.raises(ConfigError, match="this passphrase does not open it"):
        store(tmp_path, keys(tmp_path, key_file=None, passphrase=words(f"{WORDS}!"))).get("a")


def test_a_hostile_file_cannot_ask_for_all_memory(tmp_path: Path) -> None:
    with_words = keys(tmp_path, key_file=None, passphrase=words())
    store(tmp_path, with_words).set("a", Secret(VALUE))
    _changed(tmp_path, lambda document: document["lock"].update(n=2**30))

    with pytest.raises(ConfigError, match="out of bounds"):
        store(tmp_path, with_words).get("a")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"schema":"aegis.secrets/2"}', b"\xff", b"[" * 100_000])
def test_a_damaged_file_is_an_error_and_stays_as_it_is(tmp_path: Path, body: bytes) -> None:
    one = store(tmp_path)
    one.set("a", Secret(VALUE))
    file_of(tmp_path).write_bytes(body)

    with pytest.raises(ConfigError, match="damaged or no encrypted store"):
        one.set("b", Secret("x"))
    assert file_of(tmp_path).read_bytes() == body


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    one = store(tmp_path)
    one.set("a", Secret(VALUE))
    file_of(tmp_path).chmod(0o644)

    with pytest.raises(ConfigError, match="chmod 600"):
        one.get("a")


@pytest.mark.parametrize("name", ["", "../x", "a b", "-a", "a" * 129, "a/b"])
def test_a_name_that_no_reference_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="is no name for a secret"):
        store(tmp_path).set(name, Secret("x"))


@pytest.mark.parametrize("value", ["", "x" * (64 * 1024 + 1)])
def test_a_value_of_no_or_absurd_size_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(BadInput, match="the value must have"):
        store(tmp_path).set("a", Secret(value))
