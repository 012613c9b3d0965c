"""The cryptography of the encrypted store: a random data key seals the secrets, a key-encryption key wraps the data key.

AES-256-GCM everywhere, with what a ciphertext is for as associated data: one that is moved to another name, version or
file does not open. Sources: NIST SP 800-38D (96-bit random nonces, far below 2^32 uses of a key), RFC 5869 (HKDF),
RFC 7914 (scrypt).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from aegis.core.errors import ConfigError

RandomBytes: TypeAlias = Callable[[int], bytes]

KEY_BYTES, NONCE_BYTES, SALT_BYTES = 32, 12, 16

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**17, 8, 1
"""128 MiB and about half a second: OWASP's first choice for scrypt. Only for a passphrase, once at the start."""
SCRYPT_N_MAX = 2**20
"""The file says how its key was stretched; a hostile one shall not make us take all memory."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A nonce and a ciphertext with its tag."""

    nonce: bytes
    body: bytes


def seal(key: bytes, plain: bytes, about: tuple[str | int, ...], *, random_bytes: RandomBytes) -> Sealed:
    """Encrypt `plain`, bound to `about`."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = random_bytes(NONCE_BYTES)
    return Sealed(nonce, AESGCM(key).encrypt(nonce, plain, _bound(about)))


def unseal(key: bytes, sealed: Sealed, about: tuple[str | int, ...]) -> bytes | None:
    """The plain bytes, or None when the key, the text or what it is about is not the one it was sealed with."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed.nonce, sealed.body, _bound(about))
    except (InvalidTag, ValueError):
        return None


def key_from_bytes(material: bytes, salt: bytes) -> bytes:
    """A key-encryption key from key material that is already random (a key file, a systemd credential)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=b"aegis.secrets/1 wrapping key").derive(material)


def key_from_passphrase(passphrase: str, salt: bytes, *, n: int = SCRYPT_N) -> bytes:
    """A key-encryption key from words that a person remembers."""
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    if n > SCRYPT_N_MAX or n < 2 or n & (n - 1):
        raise ConfigError(f"the encrypted store asks for scrypt with n={n}, which is out of bounds")
    return Scrypt(salt=salt, length=KEY_BYTES, n=n, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase.encode())


def _bound(about: tuple[str | int, ...]) -> bytes:
    """Associated data without doubt about where one part ends and the next begins."""
    return json.dumps(["aegis.secrets/1", *about], ensure_ascii=True).encode()
