"""Virtual keys: what programs hold instead of a vendor's key. The shape of one, its checksum, and what it may do.

`aeg_live_` and eight characters that name the key, then `_`, 32 random ones (160 bits) and 7 of a checksum, so that a
mistyped or invented key is refused without looking anything up. What is kept is a keyed hash.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from aegis.core.addresses import parse_address
from aegis.core.buckets import Rate
from aegis.core.budgets import Amounts
from aegis.core.errors import BadInput
from aegis.core.ids import ALPHABET
from aegis.core.secret import Secret

PREFIX: Final = "aeg_live_"
ID_CHARACTERS, SECRET_CHARACTERS, CHECK_CHARACTERS = 8, 32, 7
"""40, 160 and 35 bits at five a character; the checksum is CRC-32 in the last."""
LENGTH: Final = len(PREFIX) + ID_CHARACTERS + 1 + SECRET_CHARACTERS + CHECK_CHARACTERS
RANDOM_BITS: Final = 5 * (ID_CHARACTERS + SECRET_CHARACTERS)
_SHAPE = re.compile(rb"aeg_live_([0-9A-HJKMNP-TV-Z]{8})_([0-9A-HJKMNP-TV-Z]{39})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TAGS_MAX: Final = 16
CACHES: Final = ("never", "deterministic", "always")
"""Which answers of the gateway may be used again for the same key: none, those asked for at temperature 0, all."""
OWN_NAMES: Final = frozenset({"key", "team", "service", "provider", "model", "severity", "operation", "incident"})
"""Names of a scope that a tag may not take: they say what the gateway knows better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualKey:
    """A key of record. `name` is its scope in budgets and reports and stays when it is rotated; `hash` is 32 bytes.

    `held` is the stop that holds it, until that gives it back. Empty `models`, `routes` and `addresses` allow all. `windows` are the key's own budget; `rate` and `parallel` bound
    its requests; `output_tokens` is the cap put into a request that has none. `cache` says which of its answers may
    be used again (`CACHES`; empty: what its upstream says). `tags` join the scope of its calls.
    """

    id: str
    hash: bytes = field(repr=False)
    name: str
    team: str = ""
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    held: str = ""
    models: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    windows: tuple[Amounts, ...] = ()
    rate: Rate | None = None
    parallel: int = 0
    output_tokens: int = 0
    cache: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def live(self, now: datetime) -> bool:
        """Whether it may be used."""
        return not self.held and self.standing(now)

    def standing(self, now: datetime) -> bool:
        """Whether it may be used once nothing holds it."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def make_key(random_bits: int) -> tuple[str, Secret]:
    """A fresh key from `RANDOM_BITS` random bits: its id and itself."""
    assert 0 <= random_bits < 1 << RANDOM_BITS, "a key has so many random bits"
    letters = _letters(random_bits, ID_CHARACTERS + SECRET_CHARACTERS)
    key_id, secret = letters[:ID_CHARACTERS], letters[ID_CHARACTERS:]
    body = f"{PREFIX}{key_id}_{secret}"
    return key_id, Secret(body + _check(body.encode()))


def key_id(presented: bytes) -> str | None:
    """The id in a presented key; None for anything that is none of ours by shape or checksum."""
    found = _SHAPE.fullmatch(presented)
    if found is None or _check(presented[:-CHECK_CHARACTERS]).encode() != presented[-CHECK_CHARACTERS:]:
        return None
    return found[1].decode()


def claimed_id(presented: bytes) -> str:
    """The id that a presented key claims, nothing checked; empty for what is too long or too short to be a key."""
    return (
        presented[len(PREFIX) : len(PREFIX) + ID_CHARACTERS].decode("ascii", "replace")
        if len(presented) == LENGTH
        else ""
    )


def key_hash(presented: bytes, pepper: bytes) -> bytes:
    """What is kept of a key: BLAKE2b-256 keyed with `pepper` (RFC 7693), which stands outside the store."""
    return hashlib.blake2b(presented, digest_size=32, key=pepper).digest()


def check_name(name: str) -> str:
    """The name itself. Raises `BadInput` for one that cannot be a scope."""
    if not _NAME.fullmatch(name):
        raise BadInput("a name has up to 64 letters, digits, dots, dashes and underscores", code="bad_name")
    return name


def check_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """The tags themselves. Raises `BadInput` for names that are taken, and for too many."""
    for name, value in tags.items():
        if name in OWN_NAMES or not _NAME.fullmatch(name) or not _NAME.fullmatch(value):
            raise BadInput(f"a tag is NAME=VALUE in plain letters, and {name[:64]!r} is not free", code="bad_tag")
        if (name, value) == ("purpose", "incident"):
            raise BadInput("purpose=incident is what Aegis itself does", code="bad_tag")
    if len(tags) > TAGS_MAX:
        raise BadInput(f"at most {TAGS_MAX} tags", code="bad_tag")
    return tags


def networks(texts: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Address ranges (`10.0.0.0/8`, `2001:db8::1`). Raises `BadInput`."""
    try:
        return tuple(ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise BadInput("an address range is like 10.0.0.0/8", code="bad_range") from error


def in_ranges(address: str, ranges: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether an address lies in one of them; a text that is no address lies in none."""
    if not ranges:
        return True
    found = parse_address(address)
    return found is not None and any(found in one for one in ranges if one.version == found.version)


def _check(body: bytes) -> str:
    return _letters(zlib.crc32(body), CHECK_CHARACTERS)


def _letters(value: int, characters: int) -> str:
    return "".join(ALPHABET[value >> shift & 31] for shift in range(5 * (characters - 1), -1, -5))
