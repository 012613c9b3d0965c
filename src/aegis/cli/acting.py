"""Who gives a command that needs a person of record: an account where there are accounts, else the user of the system.

Policy: a variable of the environment is nobody, except the API token that an account was given. See docs/accounts.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from aegis.cli.session import Session
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.config.settings import Config
    from aegis.core.ports import Clock
    from aegis.core.roles import Right
    from aegis.stores.database import Database

TOKEN_VARIABLE = "AEGIS_TOKEN"  # noqa: S105 - the name of a variable


class Opened(Protocol):
    """An open store with its configuration: the books, the stops."""

    @property
    def config(self) -> Config: ...
    @property
    def database(self) -> Database: ...
    @property
    def clock(self) -> Clock: ...


async def acting(run: Session, here: Opened, right: Right) -> str:
    """The account of the token in AEGIS_TOKEN where there are accounts, else the user of the operating system. Raises
    `BadInput` for no such token and for an account that may not, and `StoreError`.
    """
    found = await known(run, here, right)
    if found is None:
        raise BadInput(
            f"this needs the API token of an account that may ({right}) in {TOKEN_VARIABLE}", code="not_allowed"
        )
    return found


async def known(run: Session, here: Opened, right: Right) -> str | None:
    """As `acting`; None instead of a refusal."""
    from aegis.app.auditing import accounts_of

    accounts = accounts_of(here.config, run.home, here.database, here.clock)
    if not await accounts.kept.any():
        return system_user()
    person = await accounts.of_token(run.env.get(TOKEN_VARIABLE, ""))
    return person.name if person is not None and person.may(right) else None


def system_user() -> str:
    """By its number, which no variable changes."""
    try:
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError):
        import getpass

        return getpass.getuser()
