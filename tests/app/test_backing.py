"""Backups by the clock: made when the newest is too old, thinned out after the new one, locked by what is configured."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aegis.app.backing import BackupKeys, Backups, backup_keys, folder_of
from aegis.config.load import load
from aegis.config.settings import Config
from aegis.core.errors import ConfigError
from aegis.core.secret import Secret
from aegis.emergency.backup import backups_in, check
from aegis.secrets.keys import Keys
from aegis.stores.database import Database

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = "backup: {every: 24h, keep: 2, to: backups, passphrase: 'env:WORDS'}\n"


def configured(folder: Path, text: str = SETTINGS) -> Config:
    (folder / "aegis.yaml").write_text(text)
    return load(folder / "aegis.yaml")


def keys_of(config: Config, home: Path, words: str = "correct horse battery") -> BackupKeys:
    keys = Keys(home=home, credential="none", env={})
    return backup_keys(config, keys, lambda _reference: Secret(words))


async def backups(folder: Path, words: str = "correct horse battery") -> Backups:
    home, config = folder / "home", configured(folder)
    home.mkdir()
    await (await Database.open(home / "aegis.db")).close()
    return Backups(config=config, home=home, keys=keys_of(config, home, words), new_id=lambda: "sto_1")


async def test_one_is_made_when_the_newest_is_older_than_a_day(tmp_path: Path) -> None:
    made = await backups(tmp_path)
    to = folder_of(made.config, made.home)
    for hours, expected in ((0, 1), (23, 1), (24, 2), (25, 2)):
        await made.tick(NOON + timedelta(hours=hours))
        assert len(backups_in(to)) == expected, hours
    assert check(backups_in(to)[0], made.keys.key, scratch_in=made.home).rows["schema_versions"] > 0


async def test_the_oldest_go_after_a_new_one_was_verified(tmp_path: Path) -> None:
    made = await backups(tmp_path)
    for days in range(4):
        await made.tick(NOON + timedelta(days=days))
    names = [file.name for file in backups_in(folder_of(made.config, made.home))]
    assert names == ["aegis-20261124T120000Z.aegisbak", "aegis-20261123T120000Z.aegisbak"]


async def test_a_backup_of_a_wrong_future_does_not_hold_up_the_next(tmp_path: Path) -> None:
    made = await backups(tmp_path)
    await made.tick(NOON + timedelta(days=900))
    await made.tick(NOON)
    assert len(backups_in(folder_of(made.config, made.home))) == 2


async def test_a_short_passphrase_locks_nothing(tmp_path: Path) -> None:
    made = await backups(tmp_path, "short")
    with pytest.raises(ConfigError, match="at least 12"):
        await made.tick(NOON)
    assert not backups_in(folder_of(made.config, made.home))


async def test_without_any_key_nothing_is_written(tmp_path: Path) -> None:
    config = configured(tmp_path, "backup: {every: 24h}\n")
    keys = BackupKeys(keys=Keys(home=tmp_path, credential="none", env={}))
    with pytest.raises(ConfigError, match="needs a key"):
        keys.sealed()
    assert backup_keys(config, keys.keys, lambda _: Secret("")).passphrase is None


async def test_the_installations_key_locks_where_no_passphrase_is_configured(tmp_path: Path) -> None:
    home = tmp_path / "home"
    keys = BackupKeys(keys=Keys(home=home, credential="none", env={}, key_file=tmp_path / "key"))
    home.mkdir()
    await (await Database.open(home / "aegis.db")).close()
    config = configured(tmp_path, "backup: {every: 24h}\n")
    await Backups(config=config, home=home, keys=keys, new_id=lambda: "sto_1").tick(NOON)
    made = backups_in(home / "backups")[0]
    assert b'"source": "key_file"' in made.read_bytes()[:400]
