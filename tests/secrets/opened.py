"""Builds stores, keys and resolvers for tests: real files, a clock that stands still."""

from collections.abc import Callable
from pathlib import Path

from aegis.core.secret import Secret
from aegis.secrets.keys import Keys
from aegis.secrets.store import SecretStore
from aegis.testing import START

WORDS = "twelve-characters-and-more"


def keys(folder: Path, **changes: object) -> Keys:
    """A key file beside, not inside, the state folder."""
    values: dict[str, object] = {
        "home": folder / "home",
        "credential": "aegis-secrets-key",
        "env": {},
        "key_file": folder / "keys" / "aegis.key",
    }
    return Keys(**(values | changes))  # type: ignore[arg-type]


def words(text: str = WORDS) -> Callable[[bool], Secret]:
    return lambda _new: Secret(text)


def store(folder: Path, with_keys: Keys | None = None) -> SecretStore:
    home = folder / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    return SecretStore(home, with_keys or keys(folder), now=lambda: START)


def file_of(folder: Path) -> Path:
    return folder / "home" / "secrets.json"
