"""The encrypted store: one file of mode 0600, `secrets.json` in the state folder.

Names, versions and dates can be read without the key, values never. Every value is sealed for its name and version.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from aegis.core.errors import BadInput, ConfigError
from aegis.core.references import is_secret_name
from aegis.core.secret import Secret
from aegis.core.wording import rfc3339
from aegis.secrets.envelope import KEY_BYTES, SALT_BYTES, SCRYPT_N, RandomBytes, Sealed, seal, unseal
from aegis.secrets.files import alone, read_private, replace_private
from aegis.secrets.keys import Keys, Source

FILE_NAME = "secrets.json"
SCHEMA = "aegis.secrets/1"
FILE_BYTES_MAX = 16 * 1024 * 1024
SECRETS_MAX = 1_000
VALUE_BYTES_MAX = 64 * 1024
"""A key or certificate chain is far smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known about one secret without the key. `created_at` and `changed_at` are RFC 3339."""

    name: str
    version: int
    created_at: str
    changed_at: str
    sealed: Sealed = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """How the data key is wrapped: by a key from `source`, stretched with `salt` (and scrypt's `n`)."""

    source: Source
    salt: bytes
    n: int
    key_id: str
    sealed: Sealed = field(repr=False)

    def about(self) -> tuple[str | int, ...]:
        return "data key", self.key_id, self.source, self.n


@dataclass(frozen=True, slots=True)
class _Content:
    lock: Lock
    records: Mapping[str, Record]


class SecretStore:
    """The secrets of one state folder. Every change reads, changes and replaces the file under a lock."""

    def __init__(
        self, home: Path, keys: Keys, *, now: Callable[[], datetime], random_bytes: RandomBytes = os.urandom
    ) -> None:
        self._path, self._keys, self._now, self._random = home / FILE_NAME, keys, now, random_bytes
        self._opened: tuple[Lock, bytes] | None = None

    def exists(self) -> bool:
        return self._path.exists()

    def records(self) -> tuple[Record, ...]:
        """What is stored, by name; needs no key. Raises `ConfigError` for a file that is damaged or not private."""
        return tuple(self._read().records[name] for name in sorted(self._read().records)) if self.exists() else ()

    def get(self, name: str) -> Secret:
        """The value of a secret. Raises `ConfigError` when it is not there or the key does not open it."""
        content = self._read() if self.exists() else None
        if content is None or name not in content.records:
            raise ConfigError(f"secret:{name} is not in the encrypted store; set it with: aegis secrets set {name}")
        return Secret(_plain(self._data_key(content.lock), content.records[name], content.lock).decode())

    def set(self, name: str, value: Secret) -> int:
        """Store a value under a name, new or again; returns its version.

        Raises `BadInput` for a name or value that cannot be kept, `ConfigError` when the store cannot be opened.
        """
        if not is_secret_name(name):
            raise BadInput(f"{name!r} is no name for a secret: letters, digits, '.', '_' and '-', at most 128")
        plain = value.reveal().encode()
        if not 0 < len(plain) <= VALUE_BYTES_MAX:
            raise BadInput(f"the value must have 1 to {VALUE_BYTES_MAX:,} bytes")
        with alone(self._path.with_suffix(".lock")):
            content = self._read() if self.exists() else self._new()
            if name not in content.records and len(content.records) >= SECRETS_MAX:
                raise BadInput(f"the encrypted store holds {SECRETS_MAX:,} secrets and takes no more")
            now = rfc3339(self._now())
            old = content.records.get(name)
            version = old.version + 1 if old else 1
            record = Record(
                name=name,
                version=version,
                created_at=old.created_at if old else now,
                changed_at=now,
                sealed=self._sealed(self._data_key(content.lock), plain, name, version, content.lock),
            )
            self._write(_Content(content.lock, {**content.records, name: record}))
        return version

    def remove(self, name: str) -> bool:
        """Forget a secret; whether it was there."""
        if not self.exists():
            return False
        with alone(self._path.with_suffix(".lock")):
            content = self._read()
            left = {known: record for known, record in content.records.items() if known != name}
            if len(left) == len(content.records):
                return False
            self._write(_Content(content.lock, left))
        return True

    def rotate(self) -> int:
        """A new data key, wrapped by the preferred source; everything sealed anew. Returns how many secrets.

        A secret that does not open stops it: the old file stays as it was.
        """
        if not self.exists():
            raise ConfigError("there is no encrypted store yet: aegis secrets set NAME")
        with alone(self._path.with_suffix(".lock")):
            old = self._read()
            opened = self._data_key(old.lock)
            plain = {name: _plain(opened, record, old.lock) for name, record in old.records.items()}
            fresh = self._new(relock=True)
            key = self._data_key(fresh.lock)
            records = {
                name: replace(record, sealed=self._sealed(key, plain[name], name, record.version, fresh.lock))
                for name, record in old.records.items()
            }
            self._write(_Content(fresh.lock, records))
        return len(records)

    # --- keys ------------------------------------------------------------------------------------------------

    def _new(self, *, relock: bool = False) -> _Content:
        """An empty content under a new data key and a new lock."""
        source = self._keys.preferred()
        if source == "key_file":
            self._keys.make_key_file(random_bytes=self._random)
        salt, key_id, data_key = self._random(SALT_BYTES), self._random(8).hex(), self._random(KEY_BYTES)
        wrapping = self._keys.key(source, salt, new=True)
        empty = Lock(source=source, salt=salt, n=SCRYPT_N, key_id=key_id, sealed=Sealed(b"", b""))
        lock = replace(empty, sealed=seal(wrapping, data_key, empty.about(), random_bytes=self._random))
        assert relock or not self.exists(), "a new lock never replaces a store that is there"
        self._opened = (lock, data_key)
        return _Content(lock, {})

    def _data_key(self, lock: Lock) -> bytes:
        """The data key, unwrapped once for each lock: a passphrase takes half a second to stretch."""
        if self._opened and self._opened[0] == lock:
            return self._opened[1]
        wrapping = self._keys.key(lock.source, lock.salt, n=lock.n)
        data_key = unseal(wrapping, lock.sealed, lock.about())
        if data_key is None:
            raise ConfigError(f"{self._path} - this {lock.source.replace('_', ' ')} does not open it")
        self._opened = (lock, data_key)
        return data_key

    def _sealed(self, key: bytes, plain: bytes, name: str, version: int, lock: Lock) -> Sealed:
        return seal(key, plain, ("secret", lock.key_id, name, version), random_bytes=self._random)

    # --- the file --------------------------------------------------------------------------------------------

    def _read(self) -> _Content:
        body = read_private(self._path, bytes_max=FILE_BYTES_MAX)
        try:
            return _content(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
            raise ConfigError(f"{self._path} - is damaged or no encrypted store; restore a backup of it") from error

    def _write(self, content: _Content) -> None:
        lock = content.lock
        document = {
            "schema": SCHEMA,
            "lock": {
                "source": lock.source,
                "salt": _text(lock.salt),
                "n": lock.n,
                "key_id": lock.key_id,
                **_sealed_fields(lock.sealed),
            },
            "secrets": {
                name: {
                    "version": record.version,
                    "created_at": record.created_at,
                    "changed_at": record.changed_at,
                    **_sealed_fields(record.sealed),
                }
                for name, record in sorted(content.records.items())
            },
        }
        replace_private(self._path, json.dumps(document, indent=1).encode() + b"\n")


def _plain(key: bytes, record: Record, lock: Lock) -> bytes:
    plain = unseal(key, record.sealed, ("secret", lock.key_id, record.name, record.version))
    if plain is None:
        raise ConfigError(f"secret:{record.name} was changed outside Aegis and does not open; set it again")
    return plain


def _content(document: Any) -> _Content:
    """The content of a parsed file; anything unexpected raises one of the errors that mean damage."""
    if document["schema"] != SCHEMA:
        raise ValueError("another schema")
    lock = document["lock"]
    if lock["source"] not in ("credential", "key_file", "passphrase"):
        raise ValueError("another source")
    return _Content(
        Lock(
            source=lock["source"],
            salt=_bytes(lock["salt"]),
            n=int(lock["n"]),
            key_id=str(lock["key_id"]),
            sealed=_sealed_from(lock),
        ),
        {
            name: Record(
                name=name,
                version=int(fields["version"]),
                created_at=str(fields["created_at"]),
                changed_at=str(fields["changed_at"]),
                sealed=_sealed_from(fields),
            )
            for name, fields in document["secrets"].items()
        },
    )


def _sealed_fields(sealed: Sealed) -> dict[str, str]:
    return {"nonce": _text(sealed.nonce), "sealed": _text(sealed.body)}


def _sealed_from(fields: Mapping[str, str]) -> Sealed:
    return Sealed(_bytes(fields["nonce"]), _bytes(fields["sealed"]))


def _text(body: bytes) -> str:
    return base64.b64encode(body).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
