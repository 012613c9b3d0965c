"""Making, changing and ending virtual keys: what `aegis key` and the API say, in one place. A key is shown once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from aegis.app.auditing import Noted
from aegis.core.errors import BadInput
from aegis.core.ports import Clock
from aegis.core.secret import Secret
from aegis.core.virtualkeys import CACHES, RANDOM_BITS, VirtualKey, check_name, check_tags, key_hash, make_key, networks
from aegis.stores.keys import SqliteKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A fresh key of record, and the key itself: nobody can show it again."""

    key: VirtualKey
    secret: Secret


class KeyDesk:
    """`randbits` gives random bits (`secrets.randbits`); `routes` are the names that a key may be held to; `noted` writes
    into the audit log that `who` did it.
    """

    def __init__(
        self,
        keys: SqliteKeys,
        *,
        clock: Clock,
        pepper: bytes,
        randbits: Callable[[int], int],
        routes: Sequence[str],
        noted: Noted | None = None,
        who: str = "",
    ) -> None:
        self._keys, self._clock, self._pepper, self._randbits = keys, clock, pepper, randbits
        self._routes = tuple(routes)
        self._noted, self._who = noted, who

    async def create(self, name: str, **rights: Any) -> MadeKey:
        """A new key. `rights` are fields of `VirtualKey`. Raises `BadInput` when the name is taken or a right is none."""
        made = self._make(name, rights)
        await self._note("key.creating", name, made.key.id)
        await self._keys.add(made.key, now=self._clock.now())
        await self._note("key.created", name, made.key.id)
        return made

    async def rotate(self, name: str, *, grace: timedelta) -> MadeKey:
        """A new key with the rights of the one of this name, which ends after `grace`. Raises `BadInput`."""
        old = (await self.of(name))[-1]
        kept = (
            "team",
            "models",
            "routes",
            "addresses",
            "windows",
            "rate",
            "parallel",
            "output_tokens",
            "cache",
            "tags",
        )
        rights = {field: getattr(old, field) for field in kept}
        made = self._make(old.name, rights | {"expires_at": old.expires_at})
        now = self._clock.now()
        await self._note("key.rotating", name, made.key.id)
        await self._keys.rotate(made.key, now=now, until=now + grace)
        await self._note("key.rotated", name, made.key.id)
        return made

    async def revoke(self, name: str) -> int:
        """End every key of a name, or the one with that id, now. Raises `BadInput` when there is none."""
        await self._note("key.revoking", name, "all of that name")
        ended = await self._keys.revoke(name, now=self._clock.now())
        if not ended:
            raise BadInput(f"there is no key {name[:64]} that may be used", code="no_such_key")
        await self._note("key.revoked", name, f"{ended} keys")
        return ended

    async def limit(self, name: str, **rights: Any) -> Sequence[VirtualKey]:
        """Change what the keys of a name may do; a running gateway takes it over within a second. Raises `BadInput`."""
        self._check(rights)
        changed = [replace(key, **rights) for key in await self.of(name)]
        await self._note("key.limiting", name, ", ".join(sorted(rights)))
        await self._keys.limit(changed)
        await self._note("key.limited", name, ", ".join(sorted(rights)))
        return changed

    async def of(self, name: str) -> Sequence[VirtualKey]:
        """The keys of a name that may be used, oldest first. Raises `BadInput` when there is none."""
        now = self._clock.now()
        found = [key for key in await self._keys.all() if key.name == name and key.live(now)]
        if not found:
            raise BadInput(f"there is no key {name[:64]} that may be used", code="no_such_key")
        return found

    async def _note(self, what: str, name: str, of: str) -> None:
        """Before it is done (`key.creating`) and after (`key.created`)."""
        if self._noted is not None:
            await self._noted(self._who, what, {"name": name, "of": of})

    def _make(self, name: str, rights: dict[str, Any]) -> MadeKey:
        check_name(name)
        self._check(rights)
        key_id, secret = make_key(self._randbits(RANDOM_BITS))
        hashed = key_hash(secret.reveal().encode(), self._pepper)
        key = VirtualKey(id=key_id, hash=hashed, name=name, created_at=self._clock.now(), **rights)
        return MadeKey(key=key, secret=secret)

    def _check(self, rights: dict[str, Any]) -> None:
        check_tags(rights.get("tags", {}))
        networks(rights.get("addresses", ()))
        if rights.get("team"):
            check_name(rights["team"])
        expires_at: datetime | None = rights.get("expires_at")
        if expires_at is not None and expires_at <= self._clock.now():
            raise BadInput("the key would have expired already", code="bad_expiry")
        if rights.get("cache", "") not in ("", *CACHES):
            raise BadInput(f"cache is one of {', '.join(CACHES)}", code="bad_cache")
        for route in rights.get("routes", ()):
            if route not in self._routes:
                raise BadInput(f"{route[:64]} is no route; they are {', '.join(self._routes)}", code="bad_route")
