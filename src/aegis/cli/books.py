"""Opens the books for a command: the budgets in force, the ledger and the journal, also while Aegis runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aegis.cli.session import Session

if TYPE_CHECKING:
    from aegis.config.settings import Config
    from aegis.core.budgets import Balance, Budget, BudgetBook
    from aegis.core.ports import Clock
    from aegis.emergency.audit import AuditLog
    from aegis.governor.account import Account
    from aegis.stores.database import Database
    from aegis.stores.ledger import SqliteLedger
    from aegis.stores.lookups import SqliteLookups


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The open books. `written` are the budgets of the configuration, `book` those in force: with what people set."""

    config: Config
    clock: Clock
    database: Database
    lookups: SqliteLookups
    ledger: SqliteLedger
    written: Sequence[Budget]
    book: BudgetBook
    account: Account
    audit: AuditLog


@asynccontextmanager
async def books(run: Session, *, make: bool = False) -> AsyncIterator[Books]:
    """The books of this session. `make` makes a store where there is none yet; without it that raises `BadInput`.
    Raises `StoreError`, and `ConfigError` for a configuration that cannot be used.
    """
    from aegis.app.auditing import audit_of
    from aegis.app.overrides import SETTING, overridden, read
    from aegis.app.services import quotas
    from aegis.app.system import SystemClock
    from aegis.cli.reading import reading
    from aegis.core.budgets import BudgetBook
    from aegis.governor.account import Account
    from aegis.stores.database import Database
    from aegis.stores.ledger import SqliteLedger
    from aegis.stores.lookups import SqliteLookups

    config, clock = run.config(), SystemClock()
    if make:
        path = config.store.path(run.make_home())
        if not path.exists():
            await (await Database.open(path)).close()
    async with reading(run) as database:
        lookups, ledger = SqliteLookups(database), SqliteLedger(database, clock)
        written = (*config.budgets, *quotas(config))
        book = BudgetBook(overridden(written, read(await lookups.setting(SETTING))))
        yield Books(
            config=config,
            clock=clock,
            database=database,
            lookups=lookups,
            ledger=ledger,
            written=written,
            book=book,
            audit=audit_of(config, run.home, database, clock),
            account=Account(ledger, book, clock, dict),
        )


def named(balance: Balance) -> str:
    """A budget with the part of it that a balance is about: `keys [red]`."""
    return f"{balance.budget} [{balance.part}]" if balance.part else balance.budget


def who(run: Session) -> str:
    """Who gives a command, for the record."""
    import getpass

    return run.env.get("USER") or getpass.getuser()


def exact(units: int, unit: str) -> str | int:
    """An amount in JSON: a decimal string for money, else a whole number."""
    from aegis.core.money import format_usd

    return format_usd(units) if unit == "usd" else units
