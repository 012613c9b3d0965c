"""Puts a backup back: opened elsewhere and checked, made to keep what was paid, and only then put in place.

Policy: what is refused has changed nothing. What is replaced is kept beside it (`before-restore-...`), the store is
swapped in one step, and nothing outside the state folder is written over: configuration and rules are laid into
`restored-...` for a person to look at. The caller holds the state folder, so that no Aegis works on it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from aegis.core.audits import AuditEntry
from aegis.core.errors import StoreError
from aegis.emergency.audit import newest, write_copy
from aegis.emergency.backup import Unpacked, copy_store, scratch, unpacked
from aegis.emergency.keeping import Kept, Restoring, keep_what_was_paid
from aegis.emergency.sealing import KeyOf
from aegis.emergency.soundness import bring_up_to_date, facts_of
from aegis.stores.handles import open_writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was done: `why` says why the old store could not be read (empty: it could, or there was none); `replaced` is
    where everything stands that was there before, `laid` where configuration and rules were laid.
    """

    made_at: str
    ledger: Kept
    why: str
    files: int
    replaced: Path | None
    laid: Path | None
    entry: AuditEntry


def restore(
    file: Path, key_of: KeyOf, *, home: Path, store: Path, restoring: Restoring, audit_file: Path | None = None
) -> Restored:
    """Put the backup `file` into `home` and `store`. Blocks. Raises `BadInput`, `StoreError` and `ConfigError` before
    anything was changed.
    """
    with unpacked(file, key_of, scratch_in=home) as found, scratch(home) as side:
        fresh = found.store
        bring_up_to_date(fresh)
        old, why = _old(store, side / "old.db")
        restoring = replace(restoring, made_ms=stamp_ms(found.header.made_at))
        kept = keep_what_was_paid(fresh, old, restoring, found.manifest.lineage)
        if problems := facts_of(fresh).problems:
            raise StoreError(f"the restored store would be damaged: {'; '.join(problems)}")
        entry = _last(fresh)
        stamp = f"{restoring.now:%Y%m%dT%H%M%SZ}"
        aside = home / f"before-restore-{stamp}"
        files = _put_files(found, home, aside, audit_file)
        _put_store(fresh, store, aside, readable=old is not None)
        if audit_file is not None:
            _put_audit(audit_file, aside, entry, same=kept == "taken over")
        laid = _lay(found, home / f"restored-{stamp}")
        return Restored(
            made_at=found.header.made_at,
            ledger=kept,
            why=why,
            files=files,
            replaced=aside if aside.exists() else None,
            laid=laid,
            entry=entry,
        )


def _old(store: Path, copy: Path) -> tuple[Path | None, str]:
    """A sound copy of the store that will be replaced, of this schema; or None and why not."""
    if not store.exists():
        return None, ""
    try:
        copy_store(store, copy)
        if problems := facts_of(copy).problems:
            return None, problems[0]
        bring_up_to_date(copy)
    except StoreError as error:
        return None, str(error)
    return copy, ""


def _put_files(found: Unpacked, home: Path, aside: Path, audit_file: Path | None) -> int:
    """Every file of the state folder as it was; what stood in its place is kept. The audit log's copy is never put back:
    it goes further than the backup.
    """
    count = 0
    for member in found.manifest.members:
        if not member.name.startswith("home/"):
            continue
        target = home / member.name.removeprefix("home/")
        if audit_file is not None and target == audit_file:
            continue
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if target.exists():
            _keep(target, aside / member.name.removeprefix("home/"))
        (found.folder / member.name).replace(target)
        count += 1
    return count


def _put_store(fresh: Path, store: Path, aside: Path, *, readable: bool) -> None:
    """The new store in one step; before it the old one's log is folded in, or moved away with it if nobody can read it:
    a log that is left behind would be played into the new store.
    """
    store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if store.exists():
        if readable:
            with closing(open_writer(str(store))) as connection, suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _keep(store, aside / store.name)
    for suffix in ("-wal", "-shm"):
        log = store.with_name(store.name + suffix)
        if log.exists():
            aside.mkdir(mode=0o700, exist_ok=True)
            log.replace(aside / log.name)
    fresh.chmod(0o600)
    if fresh.stat().st_dev == store.parent.stat().st_dev:
        fresh.replace(store)
    else:
        beside = store.with_name(f".{store.name}.{os.getpid()}.partial")
        shutil.copyfile(fresh, beside)
        beside.chmod(0o600)
        beside.replace(store)
    _flush(store)


def _put_audit(audit_file: Path, aside: Path, entry: AuditEntry, *, same: bool) -> None:
    """The copy goes on where the log goes on; where the log began anew from a backup, so does the copy."""
    if audit_file.exists() and not same:
        aside.mkdir(mode=0o700, exist_ok=True)
        audit_file.replace(aside / audit_file.name)
    write_copy(audit_file, entry)


def _lay(found: Unpacked, folder: Path) -> Path | None:
    """Configuration and rules, for a person to compare; with a list of where each stood."""
    outside = [member for member in found.manifest.members if member.path]
    for member in outside:
        target = folder / member.name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (found.folder / member.name).replace(target)
    if not outside:
        return None
    (folder / "places.txt").write_text("".join(f"{one.name}\t{one.path}\n" for one in outside))
    return folder


def _keep(file: Path, to: Path) -> None:
    """A second name for what is about to be replaced, or a copy where the file system has no such thing."""
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.link(file, to)
    except OSError:
        shutil.copy2(file, to)


def _last(store: Path) -> AuditEntry:
    with closing(sqlite3.connect(store)) as connection:
        found = newest(connection)
    assert found is not None, "a restore is on record"
    return found


def _flush(path: Path) -> None:
    """The file and its name are on disk."""
    for place in (path, path.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def stamp_ms(made_at: str) -> int:
    """When a backup was made, in milliseconds, from its header."""
    return int(datetime.fromisoformat(made_at).timestamp() * 1_000)
