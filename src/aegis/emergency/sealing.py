"""The envelope of a backup: a readable header that is authenticated, then the content encrypted in chunks of 1 MiB.

Policy: nothing of a chunk is handed on before its tag was checked, and a file that ends early is damaged. Memory stays
at two chunks. The format is written down in docs/decisions/0009-backup-format.md.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeAlias

from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC: Final = b"AEGISBK\n"
VERSION: Final = 1
CHUNK_BYTES: Final = 1_048_576
"""Plain bytes of every chunk but the last: large against its 16 bytes of tag, small against memory."""
TAG_BYTES, PREFIX_BYTES, SALT_BYTES, DIGEST_BYTES = 16, 7, 16, 32
HEADER_BYTES_MAX: Final = 4_096
"""A header has about 300 bytes; a hostile length shall not make us take memory."""
CHUNKS_MAX: Final = 2**32
"""The counter in a nonce has 32 bits: 4 PiB."""

Source = Literal["credential", "key_file", "passphrase"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """How the key of one backup is found: from `source`, with `salt` (16 bytes) and, for a passphrase, scrypt's `n`."""

    source: Source
    salt: bytes
    n: int


KeyOf: TypeAlias = Callable[[Lock], bytes]
"""The 32 bytes that open a lock. Raises `ConfigError` when its source is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What stands in the clear: how it is locked, when it was made (RFC 3339), by which Aegis."""

    lock: Lock
    made_at: str
    aegis: str
    prefix: bytes

    def to_json(self) -> bytes:
        lock = self.lock
        fields = {
            "schema": "aegis.backup/1",
            "made_at": self.made_at,
            "aegis": self.aegis,
            "source": lock.source,
            "salt": lock.salt.hex(),
            "n": lock.n,
            "prefix": self.prefix.hex(),
            "chunk_bytes": CHUNK_BYTES,
        }
        return json.dumps(fields, sort_keys=True).encode()


class Sealing:
    """A file-like object: what is written to it goes encrypted into `out`. `close` writes the last chunk."""

    def __init__(self, out: IO[bytes], header: Header, key_of: KeyOf) -> None:
        body = header.to_json()
        head = MAGIC + VERSION.to_bytes(2) + len(body).to_bytes(4) + body
        keys = _Keys(key_of(header.lock), header.lock.salt)
        out.write(head + hashlib.sha256(head).digest() + keys.mark(head))
        self._out, self._cipher, self._prefix = out, keys.cipher, header.prefix
        self._about, self._pending, self._count = hashlib.sha256(head).digest(), bytearray(), 0

    def write(self, body: bytes) -> int:
        self._pending += body
        while len(self._pending) > CHUNK_BYTES:
            self._seal(bytes(self._pending[:CHUNK_BYTES]), last=False)
            del self._pending[:CHUNK_BYTES]
        return len(body)

    def close(self) -> None:
        """Without it the file is cut, and nobody can take it for a whole one."""
        self._seal(bytes(self._pending), last=True)
        self._pending.clear()

    def _seal(self, plain: bytes, *, last: bool) -> None:
        assert self._count < CHUNKS_MAX, "a backup has at most 2^32 chunks"
        nonce = _nonce(self._prefix, self._count, last=last)
        self._out.write(self._cipher.encrypt(nonce, plain, self._about))
        self._count += 1


class Opening:
    """A file-like object: reads the plain content of a backup. Every method raises `BadInput` for a file that is none,
    is newer, cut, changed, or locked by another key; `ConfigError` when the key is not there.
    """

    def __init__(self, file: IO[bytes], key_of: KeyOf) -> None:
        head, self.header = _read_head(file)
        seal, mark = file.read(DIGEST_BYTES), file.read(DIGEST_BYTES)
        if len(mark) < DIGEST_BYTES:
            raise _cut()
        if not hmac.compare_digest(seal, hashlib.sha256(head).digest()):
            raise BadInput("the backup's header was changed or damaged: use another copy", code="damaged_backup")
        keys = _Keys(key_of(self.header.lock), self.header.lock.salt)
        if not hmac.compare_digest(mark, keys.mark(head)):
            source = self.header.lock.source.replace("_", " ")
            raise BadInput(f"this {source} does not open the backup: it was locked with another", code="wrong_key")
        self._file, self._cipher, self._about = file, keys.cipher, seal
        self._plain, self._at, self._count = b"", 0, 0
        self._next = file.read(CHUNK_BYTES + TAG_BYTES)
        self._over = False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes (more than 0); fewer only at the end."""
        found = bytearray()
        while len(found) < size and (self._at < len(self._plain) or self._chunk()):
            piece = self._plain[self._at : self._at + size - len(found)]
            self._at += len(piece)
            found += piece
        return bytes(found)

    def finish(self) -> None:
        """Check what was not read, to the end."""
        while self._chunk():
            pass

    def _chunk(self) -> bool:
        """Open the next chunk; False when the last one was opened."""
        if self._over:
            return False
        body, self._next = self._next, self._file.read(CHUNK_BYTES + TAG_BYTES)
        last = not self._next
        self._plain, self._at = self._opened(body, last=last), 0
        self._count, self._over = self._count + 1, last
        return True

    def _opened(self, body: bytes, *, last: bool) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(_nonce(self.header.prefix, self._count, last=last), body, self._about)
        except (InvalidTag, ValueError):
            pass
        if last:
            raise _cut()
        raise BadInput(
            f"the backup was changed or damaged in its part {self._count + 1}: use another copy", code="damaged_backup"
        )


class _Keys:
    """The two keys of one backup, from the key of its lock: one for the chunks, one for the mark of the header."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._mark = _derived(key, salt, b"aegis.backup/1 header")
        self._body = _derived(key, salt, b"aegis.backup/1 chunks")

    @property
    def cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._body)

    def mark(self, head: bytes) -> bytes:
        return hmac.digest(self._mark, head, "sha256")


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=DIGEST_BYTES, salt=salt, info=info).derive(key)


def _nonce(prefix: bytes, count: int, *, last: bool) -> bytes:
    """STREAM (Hoang, Reyhanitabar, Rogaway, Vizar: Online Authenticated-Encryption, 2015): prefix, counter, last."""
    return prefix + count.to_bytes(4) + bytes([last])


def _read_head(file: IO[bytes]) -> tuple[bytes, Header]:
    """The bytes before the two digests, and what they say."""
    start = file.read(len(MAGIC) + 6)
    if not start.startswith(MAGIC):
        raise BadInput("this is no backup of Aegis: it does not begin like one", code="not_a_backup")
    if len(start) < len(MAGIC) + 6:
        raise _cut()
    version, length = int.from_bytes(start[8:10]), int.from_bytes(start[10:14])
    if version > VERSION:
        raise BadInput(
            f"the backup has format {version}, this Aegis reads {VERSION}: install the newer Aegis", code="newer_backup"
        )
    body = file.read(length) if length <= HEADER_BYTES_MAX else b""
    if length <= HEADER_BYTES_MAX and len(body) < length:
        raise _cut()
    try:
        return start + body, _header(json.loads(body))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadInput("the backup's header was changed or damaged: use another copy", code="damaged_backup") from None


def _header(fields: Any) -> Header:
    """Anything unexpected raises one of the errors that mean damage."""
    source, n = fields["source"], fields["n"]
    salt, prefix = bytes.fromhex(fields["salt"]), bytes.fromhex(fields["prefix"])
    right = len(salt) == SALT_BYTES and len(prefix) == PREFIX_BYTES and fields["chunk_bytes"] == CHUNK_BYTES
    if source not in ("credential", "key_file", "passphrase") or not isinstance(n, int) or not right:
        raise ValueError("another header")
    lock = Lock(source=source, salt=salt, n=n)
    return Header(lock=lock, made_at=str(fields["made_at"]), aegis=str(fields["aegis"]), prefix=prefix)


def _cut() -> BadInput:
    return BadInput("the backup ends too early, or its end was changed: use another copy", code="cut_backup")
