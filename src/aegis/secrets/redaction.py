"""Keeps secrets out of everything people read: by type, by name of the field, and by looking for the values themselves.

The values of live secrets are found in the forms they take on the way (JSON, URL, HTML, base64, `repr`), together with
anything that has the shape of a key. Values shorter than six characters are not looked for: they would mask words.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from aegis.core.errors import ConfigError
from aegis.core.keyshapes import MASK, mask_keys, names_a_secret
from aegis.core.secret import Secret

SEEN_CHARS_MIN = 6
LINE_CHARS_MIN = 16
"""A line of a longer secret (a private key) is looked for by itself: logs are split at line ends."""
VALUES_MAX = 100_000
"""Forms of values that are looked for at most."""
DEPTH_MAX = 12
"""Deeper parts of a logged value are not shown at all."""


class Redactor:
    """Knows the live secrets of this process. `watch` adds one; everything that leaves as text passes `text`."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._matcher: Any = None

    def watch(self, secret: Secret) -> None:
        """Look for this secret from now on. Raises `ConfigError` when there are more than can be looked for: then it
        must not be used either.
        """
        fresh = {form for form in _forms(secret.reveal()) if len(form) >= SEEN_CHARS_MIN} - self._forms
        if len(self._forms) + len(fresh) > VALUES_MAX:
            raise ConfigError(f"more secrets than can be kept out of the logs ({VALUES_MAX:,} forms)")
        if fresh:
            self._forms |= fresh
            self._matcher = None

    def watch_environment(self, env: Mapping[str, str]) -> None:
        """Look for the values of all variables that are named like secrets."""
        for name, value in env.items():
            if value and names_a_secret(name):
                self.watch(Secret(value))

    def text(self, text: str) -> str:
        """The text with every live secret and everything that looks like a key masked."""
        return mask_keys(self._without_values(text))

    def value(self, value: Any, *, name: str = "", depth: int = 0) -> Any:
        """A value as it may be logged: mappings and lists are walked, fields named like secrets are masked."""
        if depth > DEPTH_MAX:
            return "..."
        if name and names_a_secret(name) and value is not None and not isinstance(value, bool):
            return MASK
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): self.value(below, name=str(key), depth=depth + 1) for key, below in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(below, depth=depth + 1) for below in value]
        if value is None or isinstance(value, bool | int):
            return value
        return self.text(repr(value) if isinstance(value, bytes) else str(value))

    def _without_values(self, text: str) -> str:
        if not self._forms:
            return text
        if self._matcher is None:
            self._matcher = _matcher(self._forms)
        pieces, end = [], 0
        for _, start, stop in self._matcher.find_matches_as_indexes(text):
            pieces += [text[end:start], MASK]
            end = stop
        return "".join([*pieces, text[end:]]) if pieces else text


def _matcher(forms: set[str]) -> Any:
    from ahocorasick_rs import AhoCorasick, MatchKind

    return AhoCorasick(sorted(forms), matchkind=MatchKind.LeftmostLongest)


def _forms(value: str) -> Iterator[str]:
    """A value as it may appear in text."""
    for part in (value, value.strip(), *(line for line in value.splitlines() if len(line) >= LINE_CHARS_MIN)):
        yield part
        yield json.dumps(part)[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        yield repr(part)[1:-1]
        yield quote(part)
        yield quote(part, safe="")
        yield quote_plus(part)
        yield html.escape(part)
        yield from _base64_forms(part.encode())


def _base64_forms(body: bytes) -> Iterator[str]:
    """The characters of base64 that only depend on the value, at each of the three places it can begin in a group
    (`user:` before a password shifts it).
    """
    for shift in range(3):
        padded = b"\0" * shift + body
        # Characters that share bits with what stands before or after the value are left out.
        first, last = (0, 2, 3)[shift], len(padded) * 8 // 6
        standard = base64.b64encode(padded).decode("ascii")[first:last]
        if len(standard) >= LINE_CHARS_MIN // 2:
            yield standard
            yield standard.replace("+", "-").replace("/", "_")
