"""Pseudonyms: personal data is replaced before text leaves for a model, and put back in the answer.

Policy: the same value always gets the same stand-in within an installation (keyed, so nobody else can compute it);
e-mail addresses, card numbers and given names by default, user names and network addresses when asked.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from ipaddress import ip_address
from typing import Literal

PersonalKind = Literal["email", "card", "name", "user", "address"]
DEFAULT_KINDS: frozenset[PersonalKind] = frozenset({"email", "card", "name"})

TAG_CHARS = 10
"""Forty bits of HMAC: within one prompt of a thousand values a collision has a chance of one in two million."""
KEY_BYTES_MIN = 16

_EMAIL = re.compile(r"[^\s@<>\"'(),;:\[\]=/\\|]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])")
_CARD = re.compile(r"(?<![0-9A-Za-z_])[0-9](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z_])")
"""ISO/IEC 7812: 13 to 19 digits, the last one a Luhn check digit."""
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:]|\.[0-9])"
)
_WORD = re.compile(r"(?<![^\W_])[^\W\d_]{2,20}(?![^\W_])")
_STAND_IN = re.compile(rf"(?i)\b(?:EMAIL|CARD|NAME|USER|ADDRESS)_[0-9a-f]{{{TAG_CHARS}}}(?![0-9a-z])")


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
        self._key, self._kinds = key, kinds
        self._users = _any_of(users)
        self._values: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """The text with stand-ins for what is personal. What already looks like a stand-in is hidden too, so that an
        event cannot name somebody else's.
        """
        text = _STAND_IN.sub(lambda found: self._stand_in("name", found[0]), text)
        if "email" in self._kinds:
            text = _EMAIL.sub(lambda found: self._stand_in("email", found[0]), text)
        if self._users is not None:
            text = self._users.sub(lambda found: self._stand_in("user", found[0]), text)
        if "card" in self._kinds:
            text = _CARD.sub(lambda found: self._card(found[0]), text)
        if "address" in self._kinds:
            text = _ADDRESS.sub(lambda found: self._address(found[0]), text)
        if "name" in self._kinds:
            text = _WORD.sub(lambda found: self._name(found[0]), text)
        return text

    def restore(self, text: str) -> str:
        """The text with the real values back; a stand-in that this veil never gave stays as it is."""
        return _STAND_IN.sub(lambda found: self._values.get(found[0].upper(), found[0]), text)

    def _stand_in(self, kind: PersonalKind, value: str) -> str:
        tag = hmac.new(self._key, f"{kind}\0{value}".encode(errors="surrogatepass"), "sha256").hexdigest()[:TAG_CHARS]
        name = f"{kind.upper()}_{tag}"
        if self._values.setdefault(name.upper(), value) != value:
            return f"{kind.upper()}_{'0' * TAG_CHARS}"  # a collision: hidden for good rather than mixed up
        return name

    def _card(self, text: str) -> str:
        digits = [int(character) for character in text if character.isdigit()]
        return self._stand_in("card", text) if luhn(digits) else text

    def _address(self, text: str) -> str:
        try:
            ip_address(text)
        except ValueError:
            return text
        return self._stand_in("address", text)

    def _name(self, word: str) -> str:
        known = word in given_names() or (word.isupper() and word.capitalize() in given_names())
        return self._stand_in("name", word) if known else word


def luhn(digits: list[int]) -> bool:
    """Whether the digits end in their Luhn check digit (ISO/IEC 7812-1 annex B)."""
    doubled = (digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


def _any_of(values: frozenset[str]) -> re.Pattern[str] | None:
    """A pattern for any of the values as whole words, the longest first."""
    wanted = sorted((value for value in values if len(value) >= 2), key=len, reverse=True)[:200]
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, wanted))})(?![^\W_])") if wanted else None


@cache
def given_names() -> frozenset[str]:
    """Given names as they are written, with a capital; words and places that are also names are left out."""
    text = (files("aegis.incidents") / "prompts" / "given_names.txt").read_text(encoding="utf-8")
    return frozenset(name for line in text.splitlines() if not line.startswith("#") for name in line.split())
