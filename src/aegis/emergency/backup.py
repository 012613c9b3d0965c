"""Backups: one encrypted file that holds the store, the state folder, the configuration and the rules.

Policy: the store is copied while it is in use (SQLite's online backup, one snapshot); a backup counts only when it was
opened again elsewhere and found whole; only then do older ones go. See docs/backup.md and docs/decisions/0009-backup-format.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, cast

from aegis.core.errors import BadInput, StoreError
from aegis.core.wording import rfc3339
from aegis.emergency.lineage import Ancestor, lineage_of
from aegis.emergency.sealing import PREFIX_BYTES, SALT_BYTES, Header, KeyOf, Lock, Opening, Sealing, Source
from aegis.emergency.soundness import StoreFacts, as_one_file, bring_up_to_date, facts_of
from aegis.stores.faults import store_error
from aegis.stores.handles import open_reader

SUFFIX: Final = ".aegisbak"
NAME: Final = re.compile(r"aegis-(\d{8}T\d{6}Z)(-\d+)?\.aegisbak")
STORE: Final = "store/aegis.db"
MANIFEST: Final = "manifest.json"
SCRATCH: Final = ".backup-"
"""How folders begin that hold a backup's parts while it is made or checked; what a kill left is removed by the next."""
FILES_MAX: Final = 20_000
"""Files of one backup: rule packs have some thousands."""
MANIFEST_BYTES_MAX: Final = 16 * 1024 * 1024
COPY_BYTES: Final = 1_048_576
LEFT_OUT: Final = re.compile(
    r"(aegis\.lock|api-address|api-token|.*\.lock|.*-(wal|shm|journal)|sandbox[.-].*|.*\.aegisbak|.*\.partial)"
)
"""What belongs to a running process or a rehearsal, not to the state. Old tokens shall not come back."""
LEFT_OUT_FOLDERS: Final = re.compile(r"(\.backup-.*|backups|before-restore-.*|restored-.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """What a backup holds: the state folder with its store, and files from elsewhere by their full paths."""

    home: Path
    store: Path
    config: Sequence[Path] = ()
    rules: Sequence[Path] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """How new backups are locked: `key_of` finds the key of a lock, `random_bytes` gives salts and nonces."""

    source: Source
    key_of: KeyOf
    n: int = 0

    def header(self, *, made_at: datetime, aegis: str, random_bytes: Any = os.urandom) -> Header:
        lock = Lock(source=self.source, salt=random_bytes(SALT_BYTES), n=self.n)
        return Header(lock=lock, made_at=rfc3339(made_at), aegis=aegis, prefix=random_bytes(PREFIX_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of a backup: its name inside, its size, its SHA-256, and where it stood (empty: in the state folder)."""

    name: str
    size: int
    sha256: str
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says about itself."""

    made_at: str
    aegis: str
    members: tuple[Member, ...]
    rows: Mapping[str, int]
    schema: Mapping[str, str]
    lineage: tuple[Ancestor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A backup that was opened and found whole, in a folder that goes when its block ends."""

    folder: Path
    header: Header
    manifest: Manifest

    @property
    def store(self) -> Path:
        return self.folder / STORE


# --- making ----------------------------------------------------------------------------------------------------


def make(what: What, to: Path, sealed: Sealed, *, now: datetime, aegis: str) -> tuple[Path, Manifest]:
    """Write a backup into the folder `to` and check it by opening it again. Blocks; Aegis may run meanwhile.

    Raises `BadInput` where there is no store, `StoreError`, and `ConfigError` without a key. Then no new file stands in
    the folder.
    """
    if not what.store.exists():
        raise BadInput(f"there is no store to back up ({what.store})", code="no_such_store")
    try:
        to.mkdir(mode=0o700, parents=True, exist_ok=True)
        with scratch(what.home) as folder:
            copy_store(what.store, folder / "aegis.db")
            facts = _sound(folder / "aegis.db")
            staged = [(STORE, folder / "aegis.db", ""), *_files(what, folder)]
            members = tuple(_member(name, file, path) for name, file, path in staged)
            header = sealed.header(made_at=now, aegis=aegis)
            manifest = _manifest(header, members, facts, lineage_of(folder / "aegis.db"))
            made = _write(to, now, header, sealed.key_of, manifest, [file for _, file, _ in staged])
        try:
            check(made, sealed.key_of, scratch_in=what.home)
        except (BadInput, StoreError):
            made.unlink()
            raise
    except OSError as error:
        raise StoreError(f"the backup could not be written into {to}: {error.strerror}") from error
    return made, manifest


def check(file: Path, key_of: KeyOf, *, scratch_in: Path) -> Manifest:
    """Restore a backup elsewhere, look at it through and through, bring its store to this schema, and forget it. Blocks.
    Raises `BadInput`, `StoreError` and `ConfigError`.
    """
    with unpacked(file, key_of, scratch_in=scratch_in) as found:
        bring_up_to_date(found.store)
        _sound(found.store)
        return found.manifest


def thin_out(folder: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` backups of a folder; what was removed. Other files are left alone."""
    old = backups_in(folder)[keep:]
    for file in old:
        file.unlink(missing_ok=True)
    return old


def backups_in(folder: Path) -> list[Path]:
    """The backups of a folder by their names, newest first."""
    found = [file for file in folder.glob(f"aegis-*{SUFFIX}") if NAME.fullmatch(file.name)]
    return sorted(found, key=lambda file: file.name, reverse=True)


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A folder of mode 0700 that goes when the block ends."""
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def sweep(home: Path) -> None:
    """Remove what a kill left in the middle of a backup. Only for whoever is alone with the folder."""
    for folder in home.glob(f"{SCRATCH}*"):
        shutil.rmtree(folder, ignore_errors=True)


def copy_store(store: Path, to: Path) -> None:
    """One snapshot of a store that others may be writing to, as one file. Blocks. Raises `StoreError`."""
    try:
        with closing(open_reader(str(store))) as source, closing(sqlite3.connect(to)) as target:
            # The snapshot is held by a reading transaction: without it a writer elsewhere would make the copy begin anew.
            source.execute("BEGIN")
            source.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            source.backup(target, pages=-1)
            as_one_file(target)
    except sqlite3.Error as error:
        raise store_error(error, str(store)) from error


def _sound(store: Path) -> StoreFacts:
    """What stands in a store that is whole. Raises `StoreError` when it is not."""
    facts = facts_of(store)
    if facts.problems:
        raise StoreError(f"the store in the backup is damaged: {'; '.join(facts.problems)}")
    return facts


def _files(what: What, folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Copies of every other file, with the name inside the backup and where it stood."""
    count = 0
    for kind, path, relative in _sources(what):
        count += 1
        if count > FILES_MAX:
            raise BadInput(f"more than {FILES_MAX:,} files would be backed up: move some out", code="too_many")
        copy = folder / f"{count}"
        try:
            shutil.copyfile(path, copy, follow_symlinks=False)
        except FileNotFoundError:  # gone since it was listed
            continue
        yield f"{kind}/{relative}", copy, "" if kind == "home" else str(path)


def _sources(what: What) -> Iterator[tuple[str, Path, str]]:
    store = what.store.resolve()
    for path in _walk(what.home):
        if path.resolve() != store:
            yield "home", path, path.relative_to(what.home).as_posix()
    for number, path in enumerate(what.config):
        if not path.resolve().is_relative_to(what.home.resolve()):
            yield "config", path, f"{number}/{path.name}"
    for number, root in enumerate(what.rules):
        for path in _walk(root) if root.is_dir() else ():
            yield "rules", path, f"{number}/{path.relative_to(root).as_posix()}"


def _walk(root: Path) -> Iterator[Path]:
    """The ordinary files below a folder, in order; links are not followed."""
    for path in sorted(root.iterdir()):
        if path.is_symlink():
            continue
        if path.is_dir() and not LEFT_OUT_FOLDERS.fullmatch(path.name):
            yield from _walk(path)
        elif path.is_file() and not LEFT_OUT.fullmatch(path.name):
            yield path


def _member(name: str, file: Path, path: str) -> Member:
    with file.open("rb") as body:
        return Member(
            name=name, size=file.stat().st_size, sha256=hashlib.file_digest(body, "sha256").hexdigest(), path=path
        )


def _manifest(header: Header, members: tuple[Member, ...], facts: StoreFacts, lineage: Sequence[Ancestor]) -> Manifest:
    return Manifest(
        made_at=header.made_at,
        aegis=header.aegis,
        members=members,
        rows=facts.rows,
        schema=facts.schema,
        lineage=tuple(lineage),
    )


def _write(to: Path, now: datetime, header: Header, key_of: KeyOf, manifest: Manifest, files: Sequence[Path]) -> Path:
    """The file, whole or not at all."""
    name = f"aegis-{now:%Y%m%dT%H%M%SZ}"
    partial = to / f".{name}.{os.getpid()}.partial"
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            sealing = Sealing(out, header, key_of)
            with tarfile.open(fileobj=cast("IO[bytes]", sealing), mode="w|") as archive:
                _add_bytes(archive, MANIFEST, _manifest_text(manifest))
                for member, file in zip(manifest.members, files, strict=True):
                    with file.open("rb") as body:
                        archive.addfile(_entry(member.name, member.size), body)
            sealing.close()
            out.flush()
            os.fsync(out.fileno())
        made = _free_name(to, name)
        partial.rename(made)
    finally:
        partial.unlink(missing_ok=True)
    return made


def _free_name(to: Path, name: str) -> Path:
    """Two backups within one second are two files."""
    number = 0
    while (path := to / f"{name}{f'-{number}' if number else ''}{SUFFIX}").exists():
        number += 1
    return path


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


def _add_bytes(archive: tarfile.TarFile, name: str, body: bytes) -> None:
    import io

    archive.addfile(_entry(name, len(body)), io.BytesIO(body))


def _manifest_text(manifest: Manifest) -> bytes:
    fields = {
        "schema": "aegis.backup-manifest/1",
        "made_at": manifest.made_at,
        "aegis": manifest.aegis,
        "store_schema": dict(manifest.schema),
        "rows": dict(manifest.rows),
        "lineage": [[one.id, one.from_ms] for one in manifest.lineage],
        "members": [[one.name, one.size, one.sha256, one.path] for one in manifest.members],
    }
    return json.dumps(fields).encode()


# --- opening ---------------------------------------------------------------------------------------------------


@contextmanager
def unpacked(file: Path, key_of: KeyOf, *, scratch_in: Path) -> Iterator[Unpacked]:
    """A backup, opened into a folder of its own and checked: every tag, every file's SHA-256, the store, the rows of every
    table. Raises `BadInput`, `StoreError` and `ConfigError`: then the folder is gone again.
    """
    with _open(file) as body, scratch(scratch_in) as folder:
        opening = Opening(body, key_of)
        try:
            manifest = _unpack(opening, folder)
            opening.finish()
        except OSError as error:
            raise StoreError(f"the backup could not be unpacked below {scratch_in}: {error.strerror}") from error
        facts = _sound(folder / STORE)
        if dict(facts.rows) != dict(manifest.rows) or dict(facts.schema) != dict(manifest.schema):
            raise BadInput("the store in the backup is not the one its manifest names", code="damaged_backup")
        yield Unpacked(folder=folder, header=opening.header, manifest=manifest)


def _open(file: Path) -> IO[bytes]:
    try:
        return file.open("rb")
    except OSError as error:
        raise BadInput(f"the backup {file} cannot be read: {error.strerror}", code="no_such_backup") from error


def _unpack(opening: Opening, folder: Path) -> Manifest:
    """Write the files out; each has to be the next of the manifest, and nothing else may be there."""
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", opening), mode="r|") as archive:
            first = archive.next()
            if first is None or first.name != MANIFEST or first.size > MANIFEST_BYTES_MAX:
                raise _foreign()
            manifest = _read_manifest(_body(archive, first).read())
            for member in manifest.members:
                _write_out(archive, member, folder)
            if archive.next() is not None:
                raise _foreign()
    except tarfile.TarError as error:
        raise _foreign() from error
    return manifest


def _write_out(archive: tarfile.TarFile, member: Member, folder: Path) -> None:
    entry = archive.next()
    target = folder / member.name
    if entry is None or (entry.name, entry.size) != (member.name, member.size) or not entry.isreg():
        raise _foreign()
    if not target.resolve().is_relative_to(folder.resolve()) or member.name == MANIFEST:
        raise _foreign()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    seen, body = hashlib.sha256(), _body(archive, entry)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while piece := body.read(COPY_BYTES):
            seen.update(piece)
            out.write(piece)
    if seen.hexdigest() != member.sha256:
        raise BadInput(f"{member.name} in the backup is not what its manifest says", code="damaged_backup")


def _body(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    body = archive.extractfile(entry)
    if body is None:
        raise _foreign()
    return body


def _read_manifest(text: bytes) -> Manifest:
    try:
        fields = json.loads(text)
        return Manifest(
            made_at=str(fields["made_at"]),
            aegis=str(fields["aegis"]),
            members=tuple(Member(name=n, size=s, sha256=h, path=p) for n, s, h, p in fields["members"][:FILES_MAX]),
            rows={str(table): int(count) for table, count in fields["rows"].items()},
            schema={str(number): str(checksum) for number, checksum in fields["store_schema"].items()},
            lineage=tuple(Ancestor(id=str(one), from_ms=int(ms)) for one, ms in fields["lineage"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _foreign() from error


def _foreign() -> BadInput:
    return BadInput("the content is not that of a backup of Aegis, though its key is right", code="damaged_backup")
