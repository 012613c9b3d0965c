"""Puts the parts together: keys, encrypted store, resolver and redactor of one state folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aegis.core.errors import ConfigError
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.secrets.keys import Keys
from aegis.secrets.redaction import Redactor
from aegis.secrets.resolver import Resolver
from aegis.secrets.store import SecretStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets of one installation: `resolver` finds them, `store` keeps those of ours, `redactor` hides them."""

    store: SecretStore
    keys: Keys
    resolver: Resolver
    redactor: Redactor


def open_secrets(
    home: Path,
    *,
    env: Mapping[str, str],
    credential: str,
    key_file: Path | None,
    passphrase: Reference | None,
    now: Callable[[], datetime],
    ask: Callable[[bool], Secret] | None = None,
) -> Secrets:
    """Nothing is read yet: a key is only asked for when the encrypted store has to be opened.

    `ask` asks a person for the passphrase (True: for a new one, twice); without it and without a reference there is no
    passphrase. Raises `ConfigError` for a passphrase that would stand in the store it opens.
    """
    if passphrase is not None and passphrase.kind == "secret":
        raise ConfigError("secrets.passphrase - cannot stand in the store that it opens; use env:, file: or keyring:")
    redactor = Redactor()
    redactor.watch_environment(env)
    words = ask
    if passphrase is not None:
        outside = Resolver(env=env, stored=_no_store, found=redactor.watch)

        def words(_new: bool) -> Secret:
            return outside.resolve(passphrase)

    keys = Keys(home=home, credential=credential, env=env, key_file=key_file, passphrase=words)
    store = SecretStore(home, keys, now=now)
    return Secrets(
        store=store, keys=keys, resolver=Resolver(env=env, stored=store.get, found=redactor.watch), redactor=redactor
    )


def _no_store(_name: str) -> Secret:
    raise AssertionError("the passphrase is never looked up in the store that it opens")
