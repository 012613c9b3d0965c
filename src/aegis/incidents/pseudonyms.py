"""Pseudonyms: personal data is replaced before text leaves for a model, and put back in the answer.

Policy: the same value always gets the same stand-in within an installation (keyed, so nobody else can compute it);
e-mail addresses, card numbers and given names by default, user names and network addresses when asked.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from ipaddress import ip_address
from typing import Literal

PersonalKind = Literal["email", "card", "name", "user", "address"]
DEFAULT_KINDS: frozenset[PersonalKind] = frozenset({"email", "card", "name"})

TAG_CHARS = 10
"""Forty bits of HMAC: within one prompt of a thousand values a collision has a chance of one in two million."""
KEY_BYTES_MIN = 16

_STAND_IN = rf"(?:EMAIL|CARD|NAME|USER|ADDRESS)_[0-9a-f]{{{TAG_CHARS}}}"
_PATTERNS: Mapping[PersonalKind, str] = {
    "email": r"[^\s@<>\"'(),;:\[\]=/\\|]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])",
    "user": "",
    "card": r"(?<![0-9A-Za-z_])[0-9](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z_])",
    "address": r"(?<![\w.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:]|\.[0-9])",
    "name": r"(?<![^\W_])[^\W\d_]{2,20}(?![^\W_])",
}
"""In the order in which they are tried at one place. A card number has 13 to 19 digits, the last a Luhn check digit
(ISO/IEC 7812); the pattern of user names is made of the names.
"""
USERS_MAX = 200
_RESTORE = re.compile(f"(?i){_STAND_IN}")


class Pseudonyms:
    """The installation's way of hiding. `key` is secret and stays the same; `kinds` says what is personal here."""

    def __init__(self, key: bytes, *, kinds: frozenset[PersonalKind] = DEFAULT_KINDS) -> None:
        assert len(key) >= KEY_BYTES_MIN, "a pseudonym key is at least 128 bits"
        self._key, self._kinds = key, kinds

    def veil(self, *, users: Iterable[str] = ()) -> Veil:
        """A fresh veil for one prompt and its answer. `users` are the user names that the incident knows."""
        return Veil(self._key, self._kinds, frozenset(users) if "user" in self._kinds else frozenset())


class Veil:
    """Hides texts of one prompt and remembers what stands for what, so that the answer can be read."""

    def __init__(self, key: bytes, kinds: frozenset[PersonalKind], users: frozenset[str]) -> None:
        self._key = key
        self._pattern = _pattern(kinds, users)
        self._values: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """The text with stand-ins for what is personal, in one pass. What looks like a stand-in already is hidden as
        well, so that an event cannot name somebody else's.
        """
        return self._pattern.sub(self._hidden, text)

    def restore(self, text: str) -> str:
        """The text with the real values back; a stand-in that this veil never gave stays as it is."""
        return _RESTORE.sub(lambda found: self._values.get(found[0].upper(), found[0]), text)

    def _hidden(self, found: re.Match[str]) -> str:
        kind, text = found.lastgroup, found[0]
        if (
            (kind == "card" and not luhn([int(character) for character in text if character.isdigit()]))
            or (kind == "address" and not _is_address(text))
            or (kind == "name" and not _is_name(text))
        ):
            return text
        return self._stand_in("name" if kind == "stand_in" else str(kind), text)

    def _stand_in(self, kind: str, value: str) -> str:
        tag = hmac.new(self._key, f"{kind}\0{value}".encode(errors="surrogatepass"), "sha256").hexdigest()[:TAG_CHARS]
        name = f"{kind.upper()}_{tag}"
        if self._values.setdefault(name.upper(), value) != value:
            return f"{kind.upper()}_{'0' * TAG_CHARS}"  # a collision: hidden for good rather than mixed up
        return name


def _pattern(kinds: frozenset[PersonalKind], users: frozenset[str]) -> re.Pattern[str]:
    """One pattern for everything that is hidden: nothing is hidden twice, so everything comes back."""
    wanted = sorted((user for user in users if len(user) >= 2), key=lambda user: (-len(user), user))[:USERS_MAX]
    named = rf"(?<![^\W_])(?:{'|'.join(map(re.escape, wanted))})(?![^\W_])" if wanted else ""
    patterns = {kind: named if kind == "user" else pattern for kind, pattern in _PATTERNS.items() if kind in kinds}
    groups = [f"(?P<stand_in>(?i:{_STAND_IN}))"]
    return re.compile("|".join(groups + [f"(?P<{kind}>{pattern})" for kind, pattern in patterns.items() if pattern]))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_name(word: str) -> bool:
    return word in given_names() or (word.isupper() and word.capitalize() in given_names())


def luhn(digits: list[int]) -> bool:
    """Whether the digits end in their Luhn check digit (ISO/IEC 7812-1 annex B)."""
    doubled = (digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


@cache
def given_names() -> frozenset[str]:
    """Given names as they are written, with a capital; words and places that are also names are left out."""
    text = (files("aegis.incidents") / "prompts" / "given_names.txt").read_text(encoding="utf-8")
    return frozenset(name for line in text.splitlines() if not line.startswith("#") for name in line.split())
