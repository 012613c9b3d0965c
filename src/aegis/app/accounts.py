"""Local accounts: who may come in, and as what. Passwords are stretched, sessions and tokens are kept as hashes only.

Policy: a wrong name costs as much as a wrong password and is told alike; sign-ins are rated for each name and for all.
Whoever can write the state folder needs no account: accounts hold the network face. See docs/accounts.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import anyio

from aegis.core.buckets import Bucket, Rate, bucket_for
from aegis.core.errors import BadInput, RateLimited
from aegis.core.ports import Clock
from aegis.core.roles import Person, RoleName, lesser
from aegis.core.secret import Secret
from aegis.stores.accounts import Account, ApiToken, SqliteAccounts

N, R, P = 2**14, 8, 5
"""16 MiB a sign-in. OWASP Password Storage Cheat Sheet, scrypt: N=2^14 (16 MiB), r=8, p=5 is one of its equal choices; the
one with 128 MiB would let a few wrong sign-ins fill the memory.
"""
SALT_BYTES, HASH_BYTES = 16, 32
AT_ONCE: Final = 2
"""Passwords that are stretched at the same time: about 0.1 s of one core each."""
PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX = 12, 1_024
"""NIST SP 800-63B-4 asks for 15 where a password stands alone, 8 beside a second factor; 12 is OWASP's middle. Long ones
are only bounded.
"""
PER_NAME: Final = Rate(count=5, per_ms=60_000)
FOR_ALL: Final = Rate(count=60, per_ms=60_000)
"""Wrong or right: five sign-ins a minute for a name, sixty for all."""
NAMES_REMEMBERED: Final = 10_000
ELSEWHERE: Final = "elsewhere"
"""Stands in the place of a password: this account is signed in by an issuer and has none."""
TOKEN_PREFIX: Final = "aegt_"  # noqa: S105 - how tokens begin
TOKEN_DAYS_MAX: Final = 366
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


@dataclass(slots=True, kw_only=True)
class Accounts:
    """The accounts of one store. `pepper` keys the hashes of tokens (a file beside the store); every change is `noted`."""

    kept: SqliteAccounts
    clock: Clock
    pepper: bytes
    noted: Callable[[str, str, Mapping[str, str]], Awaitable[None]]
    session_ms: int
    random_bytes: Callable[[int], bytes] = secrets.token_bytes
    _rates: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)
    _all: Bucket = field(default_factory=lambda: bucket_for(FOR_ALL))
    _stretching: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(AT_ONCE))

    # --- accounts --------------------------------------------------------------------------------------------

    async def add(self, name: str, role: RoleName, password: Secret, *, by: str) -> None:
        """A new account. Raises `BadInput` for a name or password that cannot be, and when the first is no admin."""
        if not _NAME.fullmatch(name):
            raise BadInput("a name has 1 to 64 of a-z, 0-9 and . _ @ -, the first a letter or digit", code="bad_name")
        if role != "admin" and not await self.kept.any():
            raise BadInput("the first account has to be an admin: nobody else could make more", code="first_admin")
        if not await self.kept.add(name, role, await self._hashed(password), now=self.clock.now()):
            raise BadInput(f"there is an account {name} already", code="taken")
        await self.noted(by, "account.added", {"account": name, "role": role})

    async def set_role(self, name: str, role: RoleName, *, by: str) -> None:
        """Raises `BadInput` for no such account and for the last admin."""
        before = await self._there(name)
        await self.kept.set_role(name, role)
        await self.noted(by, "account.role", {"account": name, "role": role, "before": before.role})

    async def set_password(self, name: str, password: Secret, *, by: str) -> None:
        """Its sessions end. Raises `BadInput`."""
        await self._there(name)
        await self.kept.set_password(name, await self._hashed(password))
        await self.noted(by, "account.password", {"account": name})

    async def disable(self, name: str, *, by: str) -> None:
        """Its sessions and tokens are of no use any more. Raises `BadInput`."""
        await self._there(name)
        await self.kept.disable(name, now=self.clock.now())
        await self.noted(by, "account.disabled", {"account": name})

    # --- sign-in ---------------------------------------------------------------------------------------------

    async def sign_in(self, name: str, password: Secret) -> Secret:
        """A new session's secret. Raises `BadInput` (`wrong_sign_in`) without saying what was wrong, and `RateLimited`."""
        self._rate(name)
        account = await self.kept.get(name) if _NAME.fullmatch(name) else None
        kept = account.password if account and account.password.startswith("scrypt$") else _NOBODY
        right = await self._matches(password, kept)
        if account is None or not right or account.disabled_at is not None:
            await self.noted(name or "nobody", "login.refused", {})
            raise BadInput("The name or the password is wrong", code="wrong_sign_in")
        return await self._session(name, account.role, "")

    async def arrive(self, name: str, role: RoleName, *, by: str) -> Secret:
        """A new session's secret for somebody whom an issuer has signed in; the account is made at the first time and has
        the issuer's role from then on. Raises `BadInput` for a name that cannot be, a local account's and a disabled one's.
        """
        if not _NAME.fullmatch(name):
            raise BadInput("The issuer's name for you cannot be an account here", code="bad_name")
        account, now = await self.kept.get(name), self.clock.now()
        if account is None:
            await self.kept.add(name, role, ELSEWHERE, now=now)
            await self.noted(by, "account.added", {"account": name, "role": role})
        elif account.password != ELSEWHERE or account.disabled_at is not None:
            await self.noted(name, "login.refused", {"by": by})
            raise BadInput("A local or disabled account has that name", code="wrong_sign_in")
        elif account.role != role:
            await self.kept.set_role(name, role)
            await self.noted(by, "account.role", {"account": name, "role": role, "before": account.role})
        return await self._session(name, role, by)

    async def _session(self, name: str, role: str, by: str) -> Secret:
        session, now = Secret(base64.urlsafe_b64encode(self.random_bytes(32)).decode().rstrip("=")), self.clock.now()
        expires_at = now + timedelta(milliseconds=self.session_ms)
        await self.kept.begin(_digest(session.reveal()), name, now=now, expires_at=expires_at)
        await self.noted(name, "login", {"role": role, **({"by": by} if by else {})})
        return session

    async def sign_out(self, session: str) -> None:
        await self.kept.end(_digest(session))

    async def of_session(self, session: str) -> Person | None:
        """Who a session's cookie belongs to."""
        found = await self.kept.of_session(_digest(session), now=self.clock.now()) if session else None
        return Person(*found) if found else None

    # --- tokens ----------------------------------------------------------------------------------------------

    async def make_token(
        self, name: str, role: RoleName | None, *, lasts: timedelta, by: str
    ) -> tuple[ApiToken, Secret]:
        """A new token of an account, with its role or a lesser one; shown once. Raises `BadInput`."""
        account = await self._there(name)
        wanted = role or account.role
        if lesser(wanted, account.role) != wanted:
            raise BadInput(f"{name} is {account.role}: a token of it cannot be {wanted}", code="bad_role")
        if not timedelta(0) < lasts <= timedelta(days=TOKEN_DAYS_MAX):
            raise BadInput(f"a token lasts at most {TOKEN_DAYS_MAX} days", code="bad_expiry")
        now, token_id = self.clock.now(), self.random_bytes(6).hex()
        body = base64.urlsafe_b64encode(self.random_bytes(32)).decode().rstrip("=")
        secret = Secret(f"{TOKEN_PREFIX}{token_id}_{body}")
        token = ApiToken(
            id=token_id, account=name, role=wanted, created_at=now, expires_at=now + lasts, revoked_at=None
        )
        await self.kept.add_token(token, self._keyed(secret.reveal()))
        await self.noted(by, "token.created", {"token": token_id, "account": name, "role": wanted})
        return token, secret

    async def revoke_token(self, token_id: str, *, by: str) -> None:
        """Raises `BadInput` when there is none such."""
        if not await self.kept.revoke_token(token_id, now=self.clock.now()):
            raise BadInput(f"there is no token {token_id[:32]} that may be used", code="no_such_token")
        await self.noted(by, "token.revoked", {"token": token_id})

    async def of_token(self, bearer: str) -> Person | None:
        """Who a bearer token belongs to, with the lesser of its own and its account's role."""
        token_id, _, rest = bearer.removeprefix(TOKEN_PREFIX).partition("_")
        if not bearer.startswith(TOKEN_PREFIX) or not rest:
            return None
        found = await self.kept.of_token(token_id, now=self.clock.now())
        hashed = self._keyed(bearer)
        if found is None or not hmac.compare_digest(hashed, found[3]):
            return None
        role = lesser(found[1], found[2])
        return Person(found[0], role) if role else None

    # --- inside ----------------------------------------------------------------------------------------------

    async def _there(self, name: str) -> Account:
        account = await self.kept.get(name)
        if account is None:
            raise BadInput(f"there is no account {name[:64]}: aegis account list", code="no_such_account")
        return account

    def _rate(self, name: str) -> None:
        now_ns, name = int(self.clock.now().timestamp() * 1_000) * 1_000_000, name[:64]
        if name not in self._rates:
            self._rates[name] = bucket_for(PER_NAME)
            if len(self._rates) > NAMES_REMEMBERED:
                self._rates.popitem(last=False)
        self._rates.move_to_end(name)
        wait = self._rates[name].take(now_ns) or self._all.take(now_ns)
        if wait:
            raise RateLimited("Too many sign-ins: wait a minute", retry_after_ms=wait // 1_000_000 + 1)

    async def _hashed(self, password: Secret) -> str:
        words = password.reveal()
        if not PASSWORD_CHARS_MIN <= len(words) <= PASSWORD_CHARS_MAX:
            raise BadInput(
                f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters", code="bad_password"
            )
        salt = self.random_bytes(SALT_BYTES)
        hashed = await self._stretched(words, salt, N, R, P)
        return f"scrypt${N}${R}${P}${salt.hex()}${hashed.hex()}"

    async def _matches(self, password: Secret, kept: str) -> bool:
        _, n, r, p, salt, hashed = kept.split("$")
        words = password.reveal()[:PASSWORD_CHARS_MAX]
        found = await self._stretched(words, bytes.fromhex(salt), int(n), int(r), int(p))
        return hmac.compare_digest(found, bytes.fromhex(hashed))

    async def _stretched(self, words: str, salt: bytes, n: int, r: int, p: int) -> bytes:
        def work() -> bytes:
            from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

            return Scrypt(salt=salt, length=HASH_BYTES, n=n, r=r, p=p).derive(words.encode("utf-8", "backslashreplace"))

        return await anyio.to_thread.run_sync(work, limiter=self._stretching)

    def _keyed(self, token: str) -> bytes:
        return hmac.digest(self.pepper, b"aegis.api-token/1\0" + token.encode("utf-8", "backslashreplace"), "sha256")


_NOBODY: Final = f"scrypt${N}${R}${P}${'00' * SALT_BYTES}${'00' * HASH_BYTES}"
"""What the password of a name that nobody has is held against: it takes as long."""


def _digest(session: str) -> bytes:
    """A session's secret has 256 random bits: it needs no stretching."""
    return hashlib.sha256(session.encode("utf-8", "backslashreplace")).digest()
