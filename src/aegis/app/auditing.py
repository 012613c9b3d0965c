"""The audit log and the accounts of one state folder, and what an entry about the configuration holds."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from aegis.app.accounts import Accounts
from aegis.app.keyring import pepper
from aegis.config.settings import Config
from aegis.core.ports import Clock
from aegis.emergency.audit import AuditLog
from aegis.stores.accounts import SqliteAccounts
from aegis.stores.places import Transactions

Noted: TypeAlias = Callable[[str, str, Mapping[str, str]], Awaitable[None]]
"""`Audit.note`, for those who only write."""
STORE_STEM = "aegis"
"""The usual store is called `aegis.db`; the log of another one has a file of its own."""


def audit_of(config: Config, home: Path, database: Transactions, clock: Clock) -> AuditLog:
    """The audit log in a store, with its copy where the configuration says."""
    return AuditLog(database, clock, file=copy_of(config, home))


def accounts_of(config: Config, home: Path, database: Transactions, clock: Clock) -> Accounts:
    """The accounts in a store; what changes them is on the audit log."""
    return Accounts(
        kept=SqliteAccounts(database),
        clock=clock,
        pepper=pepper(home),
        noted=audit_of(config, home, database, clock).note,
        session_ms=config.accounts.session_ms,
    )


def copy_of(config: Config, home: Path) -> Path | None:
    """Where the copy of the audit log stands."""
    if config.audit_file is None:
        return None
    path, stem = home / config.audit_file, Path(config.store.file).stem
    return path if stem == STORE_STEM else path.with_name(f"{stem}-{path.name}")


def config_facts(config: Config) -> Mapping[str, str]:
    """The files of a configuration with their SHA-256: which one was in force can be told later."""
    facts = {}
    for file in config.files:
        with suppress(OSError):
            facts[str(file)] = hashlib.sha256(file.read_bytes()).hexdigest()
    return facts
