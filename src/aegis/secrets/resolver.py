"""Turns a reference into the secret it points at. Only this module looks values up.

Errors name the reference and what to do, never a value. Every value found is told to `found`, so that logs mask it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aegis.core.errors import ConfigError
from aegis.core.references import Reference, parse_reference
from aegis.core.secret import Secret
from aegis.secrets.files import read_private

FILE_BYTES_MAX = 64 * 1024


def _nobody(_secret: Secret) -> None:
    return None


def keyring_password(service: str, name: str) -> str | None:
    """What the system's keyring holds. Raises `ConfigError` when there is no keyring to ask."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise ConfigError("keyring: references need the extra: pip install 'aegis[keyring]'") from error
    try:
        password: str | None = keyring.get_password(service, name)
    except KeyringError as error:
        raise ConfigError("the system's keyring is locked or not there; on a server use file: or secret:") from error
    return password


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Looks references up. `env` is the environment (with `.env` below it), `stored` reads the encrypted store,
    `keyring` the system's keyring; `found` hears of every secret.
    """

    env: Mapping[str, str] = field(repr=False)
    stored: Callable[[str], Secret]
    keyring: Callable[[str, str], str | None] = keyring_password
    found: Callable[[Secret], None] = _nobody

    def resolve(self, reference: Reference | str) -> Secret:
        """The secret. Raises `ConfigError` when it is not there, empty, or kept where others can read it."""
        if isinstance(reference, str):
            reference = parse_reference(reference)
        secret = self._look_up(reference)
        if not secret:
            raise ConfigError(f"{reference} is empty")
        self.found(secret)
        return secret

    def state(self, reference: Reference) -> Literal["set", "not set", "stored"]:
        """Whether a reference leads anywhere, for people; the encrypted store is not opened for it."""
        if reference.kind == "secret":
            return "stored"
        try:
            return "set" if self._look_up(reference) else "not set"
        except ConfigError:
            return "not set"

    def _look_up(self, reference: Reference) -> Secret:
        match reference.kind:
            case "env":
                if reference.name not in self.env:
                    raise ConfigError(f"{reference} is not set in the environment or .env")
                return Secret(self.env[reference.name])
            case "file":
                return _from_file(Path(reference.name))
            case "keyring":
                service, _, name = reference.name.partition("/")
                password = self.keyring(service, name)
                if password is None:
                    raise ConfigError(f"{reference} is not in the keyring; set it with: keyring set {service} {name}")
                return Secret(password)
            case "secret":
                return self.stored(reference.name)


def _from_file(path: Path) -> Secret:
    body = read_private(path, bytes_max=FILE_BYTES_MAX)
    try:
        return Secret(body.decode().rstrip("\r\n"))
    except UnicodeDecodeError:
        raise ConfigError(f"{path} - is no text") from None
