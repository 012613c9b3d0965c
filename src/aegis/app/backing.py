"""Backups of one Aegis: what goes in, what locks them, and when the next one is due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from aegis import __version__
from aegis.app.auditing import copy_of
from aegis.app.services import quotas
from aegis.config.settings import Config
from aegis.core.budgets import BudgetBook
from aegis.core.errors import ConfigError
from aegis.core.ports import NewId
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.emergency import lineage
from aegis.emergency.backup import NAME, Manifest, Sealed, What, backups_in, check, make, sweep, thin_out
from aegis.emergency.keeping import Restoring
from aegis.emergency.restore import Restored, restore
from aegis.emergency.sealing import Lock
from aegis.secrets.envelope import SCRYPT_N, key_from_passphrase
from aegis.secrets.files import alone
from aegis.secrets.keys import PASSPHRASE_CHARS_MIN, Keys
from aegis.stores.database import Database

LOOK_MS: Final = 60_000
"""How often it is looked whether a backup is due."""
FOLDER: Final = "backups"
LOCK_FILE: Final = "backup.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupKeys:
    """What locks and opens backups here: a passphrase (`passphrase(True)` asks for a new one), or the installation's key."""

    keys: Keys
    passphrase: Callable[[bool], Secret] | None = None
    known: dict[Lock, bytes] = field(default_factory=dict, repr=False)
    """Keys of locks that were opened: a passphrase takes half a second to stretch, and a person is asked once."""

    def sealed(self) -> Sealed:
        """How a new backup is locked: by the passphrase where one is configured, else by the key of the encrypted store.
        Raises `ConfigError` where there is neither.
        """
        if self.passphrase is not None:
            return Sealed(source="passphrase", key_of=partial(self.key, new=True), n=SCRYPT_N)
        source = self.keys.preferred()
        if source == "key_file":
            self.keys.make_key_file()
        return Sealed(source=source, key_of=partial(self.key, new=True), n=SCRYPT_N if source == "passphrase" else 0)

    def key(self, lock: Lock, *, new: bool = False) -> bytes:
        """The key of a lock. Raises `ConfigError`."""
        if lock not in self.known:
            self.known[lock] = self._found(lock, new=new)
        return self.known[lock]

    def _found(self, lock: Lock, *, new: bool) -> bytes:
        if lock.source != "passphrase":
            return self.keys.key(lock.source, lock.salt)
        words = self.passphrase or self.keys.passphrase
        if words is None:
            raise ConfigError("the backup was locked with a passphrase: set backup.passphrase, or run this by hand")
        said = words(new).reveal()
        if new and len(said) < PASSPHRASE_CHARS_MIN:
            raise ConfigError(f"the passphrase of backups must have at least {PASSPHRASE_CHARS_MIN} characters")
        return key_from_passphrase(said, lock.salt, n=lock.n)


def backup_keys(
    config: Config, keys: Keys, resolve: Callable[[Reference], Secret], ask: Callable[[bool], Secret] | None = None
) -> BackupKeys:
    """`ask` asks a person for the passphrase, where nothing is configured."""
    reference = config.backup.passphrase if config.backup else None
    if reference is None:
        has_key = keys.key_file is not None or keys.passphrase is not None
        return BackupKeys(keys=keys, passphrase=None if has_key else ask)
    found = reference
    return BackupKeys(keys=keys, passphrase=lambda _new: resolve(found))


def folder_of(config: Config, home: Path) -> Path:
    """Where backups go when nothing else is said."""
    return home / (config.backup.to if config.backup else FOLDER)


def what_of(config: Config, home: Path) -> What:
    return What(home=home, store=config.store.path(home), config=config.files, rules=config.detection.rules)


async def back_up(
    config: Config, home: Path, keys: BackupKeys, *, to: Path, new_id: str, now: datetime
) -> tuple[Path, Manifest]:
    """Make one backup and check it; Aegis may run meanwhile, in this process or another. Raises `BadInput`, `StoreError`
    and `ConfigError`.
    """
    what, sealed = what_of(config, home), keys.sealed()
    if what.store.exists():
        database = await Database.open(what.store)
        try:
            await database.write(lambda connection: lineage.begun(connection, new_id))
        finally:
            await database.close()

    def work() -> tuple[Path, Manifest]:
        with alone(home / LOCK_FILE):
            sweep(home)
            return make(what, to, sealed, now=now, aegis=__version__)

    return await anyio.to_thread.run_sync(work)


async def verify(file: Path, home: Path, keys: BackupKeys) -> Manifest:
    """Restore a backup elsewhere and look at it. Raises `BadInput`, `StoreError` and `ConfigError`."""
    return await anyio.to_thread.run_sync(partial(check, file, keys.key, scratch_in=home))


async def put_back(
    config: Config, home: Path, keys: BackupKeys, file: Path, *, who: str, new_id: str, now: datetime, filled: bool
) -> Restored:
    """Restore a backup over `home`, which the caller holds. Raises `BadInput`, `StoreError` and `ConfigError` before
    anything was changed.
    """
    restoring = Restoring(
        who=who,
        backup=file.name,
        now=now,
        new_id=new_id,
        book=BudgetBook((*config.budgets, *quotas(config))),
        filled=filled,
    )
    work = partial(
        restore,
        file,
        keys.key,
        home=home,
        store=config.store.path(home),
        restoring=restoring,
        audit_file=copy_of(config, home),
    )
    return await anyio.to_thread.run_sync(work)


@dataclass(slots=True, kw_only=True)
class Backups:
    """Backups by the clock: `tick` makes one when the newest is older than it may be, and removes the oldest."""

    config: Config
    home: Path
    keys: BackupKeys
    new_id: Callable[[], str]

    async def tick(self, now: datetime) -> None:
        """Raises what `back_up` raises: the loop reports it and tries again."""
        settings = self.config.backup
        assert settings is not None, "only a configured one ticks"
        to = folder_of(self.config, self.home)
        if not _due(backups_in(to) if to.is_dir() else (), now, timedelta(milliseconds=settings.every_ms)):
            return
        await back_up(self.config, self.home, self.keys, to=to, new_id=self.new_id(), now=now)
        self.keys.known.clear()
        await anyio.to_thread.run_sync(partial(thin_out, to, settings.keep))


def backups_of(
    config: Config, home: Path, resolve: Callable[[Reference], Secret], keys: Keys | None, new_id: NewId
) -> Backups | None:
    """Backups by the clock, where they are configured and there is something to lock them with."""
    if config.backup is None or keys is None:
        return None
    return Backups(config=config, home=home, keys=backup_keys(config, keys, resolve), new_id=lambda: new_id("sto"))


def _due(made: Sequence[Path], now: datetime, every: timedelta) -> bool:
    """By the names of the backups: what was copied here later is as old as it says. A name from the future does not count:
    the clock was wrong then.
    """
    stamps = [found[1] for file in made if (found := NAME.fullmatch(file.name))]
    times = [datetime.strptime(stamp, "%Y%m%dT%H%M%S%z") for stamp in stamps]
    past = [at for at in times if at <= now]
    return not past or now - max(past) >= every
