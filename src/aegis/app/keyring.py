"""The virtual keys as a running gateway holds them: looked up in memory, kept in step with the store by `turn`.

Policy: a presented key is looked up by the id that it claims, in memory, and then costs one keyed hash, compared in
constant time; whoever works for a key hears within a turn that it ended.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from aegis.core.buckets import Bucket, bucket_for
from aegis.core.budgets import Budget
from aegis.core.ports import Clock
from aegis.core.virtualkeys import VirtualKey, claimed_id, in_ranges, key_hash, networks
from aegis.stores.keys import SqliteKeys

PEPPER_FILE: Final = "keys.pepper"
PEPPER_BYTES: Final = 32
Watcher = Callable[[str], None]
"""Told in one word why a key may not be used any more."""


def pepper(home: Path) -> bytes:
    """The key of the hashes: a file of mode 0600 in the state folder, made at first need, never in the store."""
    path = home / PEPPER_FILE
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(PEPPER_BYTES) + "\n")
    return bytes.fromhex(path.read_text().strip())


class Grant:
    """A key in use: what it may do, and who works for it now."""

    __slots__ = ("bucket", "key", "ranges", "running", "scope", "watchers")

    key: VirtualKey
    ranges: Sequence[IPv4Network | IPv6Network]
    scope: Mapping[str, str]

    def __init__(self, key: VirtualKey) -> None:
        self.bucket: Bucket | None = None if key.rate is None else bucket_for(key.rate)
        self.running = 0
        self.watchers: set[Watcher] = set()
        self._take(key)

    def change(self, key: VirtualKey) -> None:
        """From now on the key may do this; what is under way goes on."""
        if key.rate != self.key.rate:
            self.bucket = None if key.rate is None else bucket_for(key.rate)
        self._take(key)

    def _take(self, key: VirtualKey) -> None:
        self.key, self.ranges = key, networks(key.addresses)
        self.scope = {**key.tags, "key": key.name, **({"team": key.team} if key.team else {})}

    def allows_address(self, address: str) -> bool:
        return not self.ranges or in_ranges(address, self.ranges)

    def allows_route(self, route: str) -> bool:
        return not self.key.routes or route in self.key.routes

    def allows_model(self, model: str) -> bool:
        """Whether one of the key's patterns (`claude-haiku-*`) is about the model, as it is asked for."""
        return not self.key.models or any(fnmatchcase(model.lower(), one.lower()) for one in self.key.models)

    def tell(self, why: str) -> None:
        for watcher in tuple(self.watchers):
            watcher(why)


class KeyRing:
    """All keys, by id."""

    def __init__(self, keys: SqliteKeys, clock: Clock, pepper_: bytes) -> None:
        self.store, self._clock, self._pepper = keys, clock, pepper_
        self._grants: dict[str, Grant] = {}
        self._seen = -1

    def find(self, presented: bytes) -> Grant | None:
        """The grant of a presented key that may be used now; None for every other."""
        grant = self._grants.get(claimed_id(presented))
        if grant is None or not hmac.compare_digest(key_hash(presented, self._pepper), grant.key.hash):
            return None
        key = grant.key  # in memory are keys that were not revoked and not held; only time can have ended one since
        return grant if key.expires_at is None or key.live(self._clock.now()) else None

    def budgets(self) -> Sequence[Budget]:
        """The keys' own budgets, one for a name."""
        named = {grant.key.name: grant.key for grant in self._grants.values() if grant.key.windows}
        return [
            Budget(name=f"key-{name}", windows=key.windows, scope={"key": name}) for name, key in sorted(named.items())
        ]

    async def turn(self) -> None:
        """Take over what is new, and end what is over. Raises `StoreError`."""
        changed = await self.store.last_change()
        if changed != self._seen:
            self._take_over(await self.store.all())
            self._seen = changed
        now = self._clock.now()
        for grant in self._grants.values():
            if grant.watchers and not grant.key.live(now):
                grant.tell("expired")

    def _take_over(self, keys: Sequence[VirtualKey]) -> None:
        now, kept = self._clock.now(), self._grants
        held = {key.id for key in keys if key.held}
        self._grants = {}
        for key in keys:
            if not key.live(now):
                continue
            grant = self._grants[key.id] = kept.get(key.id) or Grant(key)
            grant.change(key)
        for name, grant in kept.items():
            if name not in self._grants:
                grant.tell("stopped" if name in held else "revoked")
