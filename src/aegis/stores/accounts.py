"""Local accounts, their sessions and API tokens, and what waits for a second person. Hashes only; no secret is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from aegis.core.errors import BadInput
from aegis.core.roles import RoleName
from aegis.stores.places import Transactions
from aegis.stores.queries import read_queries
from aegis.stores.times import from_us, to_us

Q = read_queries("accounts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`password` is its salted hash as text."""

    name: str
    role: RoleName
    password: str
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """What is known of a token without itself."""

    id: str
    account: str
    role: RoleName
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What somebody asked for and a second person has to agree to; `body` says it all, as JSON."""

    id: str
    what: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    body: str
    decided_by: str
    decided_at: datetime | None


class SqliteAccounts:
    """Every method raises `StoreError` when the store fails."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def any(self) -> bool:
        return await self._one("any", {}) is not None

    async def get(self, name: str) -> Account | None:
        row = await self._one("account", {"name": name})
        return None if row is None else _account(row)

    async def all(self) -> Sequence[Account]:
        rows = await self._database.read(lambda connection: connection.execute(Q["accounts"]).fetchall())
        return [_account(row) for row in rows]

    async def add(self, name: str, role: RoleName, password: str, *, now: datetime) -> bool:
        """False when the name is taken."""
        return await self._change("add", {"name": name, "role": role, "password": password, "now_us": to_us(now)}) == 1

    async def set_role(self, name: str, role: RoleName) -> None:
        """Raises `BadInput` when nobody would be left who may do everything."""

        def work(connection: Any) -> None:
            if role != "admin":
                _leave_an_admin(connection, name)
            connection.execute(Q["set_role"], {"name": name, "role": role})

        await self._database.write(work)

    async def set_password(self, name: str, password: str) -> None:
        """Every session of the account ends with it."""

        def work(connection: Any) -> None:
            connection.execute(Q["set_password"], {"name": name, "password": password})
            connection.execute(Q["end_sessions"], {"name": name})

        await self._database.write(work)

    async def disable(self, name: str, *, now: datetime) -> bool:
        """False when it was already. Raises `BadInput` as `set_role` does."""

        def work(connection: Any) -> bool:
            _leave_an_admin(connection, name)
            connection.execute(Q["end_sessions"], {"name": name})
            return bool(connection.execute(Q["disable"], {"name": name, "now_us": to_us(now)}).rowcount)

        return await self._database.write(work)

    # --- sessions and tokens ---------------------------------------------------------------------------------

    async def begin(self, session_hash: bytes, name: str, *, now: datetime, expires_at: datetime) -> None:
        def work(connection: Any) -> None:
            connection.execute(Q["forget_sessions"], {"now_us": to_us(now)})
            row = {"session_hash": session_hash, "name": name, "expires_us": to_us(expires_at)}
            connection.execute(Q["add_session"], row)

        await self._database.write(work)

    async def end(self, session_hash: bytes) -> None:
        await self._change("end_session", {"session_hash": session_hash})

    async def of_session(self, session_hash: bytes, *, now: datetime) -> tuple[str, RoleName] | None:
        row = await self._one("of_session", {"session_hash": session_hash, "now_us": to_us(now)})
        return None if row is None else (str(row[0]), cast("RoleName", row[1]))

    async def add_token(self, token: ApiToken, token_hash: bytes) -> None:
        row = {
            "id": token.id,
            "token_hash": token_hash,
            "account": token.account,
            "role": token.role,
            "now_us": to_us(token.created_at),
            "expires_us": to_us(token.expires_at),
        }
        await self._change("add_token", row)

    async def tokens(self) -> Sequence[ApiToken]:
        rows = await self._database.read(lambda connection: connection.execute(Q["tokens"]).fetchall())
        return [
            ApiToken(
                id=row[0],
                account=row[1],
                role=row[2],
                created_at=from_us(row[3]),
                expires_at=from_us(row[4]),
                revoked_at=None if row[5] is None else from_us(row[5]),
            )
            for row in rows
        ]

    async def revoke_token(self, token_id: str, *, now: datetime) -> bool:
        return await self._change("revoke_token", {"id": token_id, "now_us": to_us(now)}) == 1

    async def of_token(self, token_id: str, *, now: datetime) -> tuple[str, RoleName, RoleName, bytes] | None:
        """The account, the token's role, the account's role, and the token's hash."""
        row = await self._one("of_token", {"id": token_id, "now_us": to_us(now)})
        return None if row is None else (row[0], row[1], row[2], bytes(row[3]))

    # --- second persons --------------------------------------------------------------------------------------

    async def ask(self, approval: Approval) -> None:
        row = {
            "id": approval.id,
            "what": approval.what,
            "asked_by": approval.asked_by,
            "now_us": to_us(approval.asked_at),
            "expires_us": to_us(approval.expires_at),
            "body": approval.body,
        }
        await self._change("ask", row)

    async def approval(self, approval_id: str) -> Approval | None:
        row = await self._one("approval", {"id": approval_id})
        return None if row is None else _approval(row)

    async def waiting(self, now: datetime) -> Sequence[Approval]:
        values = {"now_us": to_us(now)}
        rows = await self._database.read(lambda connection: connection.execute(Q["waiting"], values).fetchall())
        return [_approval(row) for row in rows]

    async def decide(self, approval_id: str, by: str, *, now: datetime) -> bool:
        """Agree, once. False when it was decided, is over, or was asked for by the same person."""
        return await self._change("decide", {"id": approval_id, "decided_by": by, "now_us": to_us(now)}) == 1

    async def _one(self, query: str, values: Mapping[str, Any]) -> Any:
        return await self._database.read(lambda connection: connection.execute(Q[query], values).fetchone())

    async def _change(self, query: str, values: Mapping[str, Any]) -> int:
        return await self._database.write(lambda connection: int(connection.execute(Q[query], values).rowcount))


def _leave_an_admin(connection: Any, name: str) -> None:
    account = connection.execute(Q["account"], {"name": name}).fetchone()
    if account is None or account[1] != "admin":
        return
    if not connection.execute(Q["admins"], {"besides": name}).fetchone()[0]:
        raise BadInput(f"{name} is the last admin: make another one first", code="last_admin")


def _account(row: Sequence[Any]) -> Account:
    name, role, password, created_us, disabled_us = row
    disabled_at = None if disabled_us is None else from_us(disabled_us)
    return Account(name=name, role=role, password=password, created_at=from_us(created_us), disabled_at=disabled_at)


def _approval(row: Sequence[Any]) -> Approval:
    return Approval(
        id=row[0],
        what=row[1],
        asked_by=row[2],
        asked_at=from_us(row[3]),
        expires_at=from_us(row[4]),
        body=row[5],
        decided_by=row[6],
        decided_at=None if row[7] is None else from_us(row[7]),
    )
