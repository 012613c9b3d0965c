"""Where the key comes from that opens the encrypted store: a systemd credential, a key file, or a passphrase.

Policy: never beside the data. A store remembers which of the three locked it; a new lock takes the first that is there.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aegis.core.errors import ConfigError
from aegis.core.secret import Secret
from aegis.secrets.envelope import KEY_BYTES, SCRYPT_N, RandomBytes, key_from_bytes, key_from_passphrase
from aegis.secrets.files import create_private, read_private

Source = Literal["credential", "key_file", "passphrase"]

KEY_FILE_BYTES_MAX = 4_096
PASSPHRASE_CHARS_MIN = 12
"""With scrypt, twelve characters a person chose hold out long enough to notice that the file was taken."""

THREE_WAYS = (
    "the encrypted store needs a key: a systemd credential (LoadCredentialEncrypted={credential}:...), "
    "secrets.key_file in aegis.yaml (a file outside the state folder; it is made when it is missing), or a passphrase "
    "(asked for, or secrets.passphrase: env:NAME)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The three sources on this machine. `passphrase` asks for or looks up the words (True: a new one), or is None."""

    home: Path
    credential: str
    env: Mapping[str, str]
    key_file: Path | None = None
    passphrase: Callable[[bool], Secret] | None = None

    def preferred(self) -> Source:
        """The source that a new lock takes. Raises `ConfigError` when there is none."""
        if self._credential_path() is not None:
            return "credential"
        if self.key_file is not None:
            return "key_file"
        if self.passphrase is not None:
            return "passphrase"
        raise ConfigError(THREE_WAYS.format(credential=self.credential))

    def key(self, source: Source, salt: bytes, *, new: bool = False, n: int = SCRYPT_N) -> bytes:
        """The key-encryption key from `source`. Raises `ConfigError` when the source is not there or not safe."""
        match source:
            case "credential":
                path = self._credential_path()
                if path is None:
                    raise ConfigError(f"the encrypted store was locked with the systemd credential {self.credential}")
                return key_from_bytes(_material(path), salt)
            case "key_file":
                return key_from_bytes(_material(self._checked_key_file()), salt)
            case "passphrase":
                if self.passphrase is None:
                    raise ConfigError("the encrypted store was locked with a passphrase: set secrets.passphrase")
                words = self.passphrase(new)
                if new and len(words.reveal()) < PASSPHRASE_CHARS_MIN:
                    raise ConfigError(f"the passphrase must have at least {PASSPHRASE_CHARS_MIN} characters")
                return key_from_passphrase(words.reveal(), salt, n=n)

    def make_key_file(self, *, random_bytes: RandomBytes = os.urandom) -> bool:
        """Make the configured key file if it is missing; whether it was made. Raises `ConfigError`."""
        if self.key_file is None or self.key_file.exists():
            return False
        path = self._checked_key_file()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{path} - its folder cannot be made: {error.strerror}") from error
        create_private(path, base64.b64encode(random_bytes(KEY_BYTES)) + b"\n")
        return True

    def _credential_path(self) -> Path | None:
        """systemd.exec(5), CREDENTIALS_DIRECTORY: files of mode 0400 in memory that is never swapped out."""
        folder = self.env.get("CREDENTIALS_DIRECTORY", "")
        path = Path(folder) / self.credential
        return path if folder and path.is_file() else None

    def _checked_key_file(self) -> Path:
        if self.key_file is None:
            raise ConfigError("the encrypted store was locked with a key file: set secrets.key_file")
        if self.key_file.resolve().is_relative_to(self.home.resolve()):
            raise ConfigError(
                f"{self.key_file} - a key inside the state folder is copied with the data it protects; "
                "move it elsewhere and change secrets.key_file"
            )
        return self.key_file


def _material(path: Path) -> bytes:
    body = read_private(path, bytes_max=KEY_FILE_BYTES_MAX)
    if len(body.strip()) < KEY_BYTES:
        raise ConfigError(f"{path} - is too short for a key: at least {KEY_BYTES} random bytes")
    return body
