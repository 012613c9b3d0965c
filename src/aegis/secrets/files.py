"""Reads and writes small private files: only the owner may read them, and a write replaces the whole file or nothing."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from aegis.core.errors import ConfigError

NT = os.name == "nt"
"""Windows keeps no such mode; there the folder's own rights count."""


def read_private(path: Path, *, bytes_max: int) -> bytes:
    """The bytes of a file that only its owner can read.

    Raises `ConfigError`, with the command that puts it right where there is one: missing, readable by others, owned by
    somebody else, not a file, too large. The check is made on the open file, so it cannot be swapped in between.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise ConfigError(f"{path} - cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path} - is no ordinary file")
        mode = stat.S_IMODE(status.st_mode)
        if not NT and mode & 0o077:
            raise ConfigError(f"{path} - other people can read it (mode {mode:04o}); run: chmod 600 '{path}'")
        if not NT and status.st_uid not in (os.geteuid(), 0):
            raise ConfigError(f"{path} - belongs to another user; whoever owns it can change it")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            body = file.read(bytes_max + 1)
    finally:
        os.close(descriptor)
    if len(body) > bytes_max:
        raise ConfigError(f"{path} - is larger than {bytes_max:,} bytes")
    return body


def create_private(path: Path, body: bytes) -> None:
    """A new file of mode 0600. Raises `ConfigError` when it cannot be made or is already there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError(f"{path} - cannot be made: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def replace_private(path: Path, body: bytes) -> None:
    """Write the file whole, with mode 0600, or leave the old one as it was. Raises `ConfigError`."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    try:
        create_private(fresh, body)
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} - cannot be written: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)
    if not NT:
        _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """The new name has to be on disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """One writer at a time, over all processes of this machine."""
    if NT:
        yield
        return
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
