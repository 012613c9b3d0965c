"""How a configuration points at a secret instead of holding it: `env:NAME`, `file:/path`, `keyring:service/name`,
`secret:NAME` (the encrypted store).

A text that is no reference is never shown again: it may be the secret itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from aegis.core.errors import ConfigError

ReferenceKind = Literal["env", "file", "keyring", "secret"]

FORMS = "env:NAME, file:/path, keyring:service/name or secret:NAME"

_SHAPES: dict[str, re.Pattern[str]] = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}"),
    "file": re.compile(r"/[^\0\r\n]{1,1023}|[A-Za-z]:[\\/][^\0\r\n]{1,1023}"),
    "keyring": re.compile(r"[^/\s]{1,128}/[^\s]{1,128}"),
    "secret": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret is. Showing it is harmless."""

    kind: ReferenceKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def parse_reference(text: str) -> Reference:
    """The reference that a text is. Raises `ConfigError`, which names the forms and never shows the text."""
    kind, _, name = text.partition(":")
    if kind in _SHAPES and _SHAPES[kind].fullmatch(name):
        return Reference(cast(ReferenceKind, kind), name)
    raise ConfigError(f"must be a reference, never the secret itself: {FORMS}")


def is_secret_name(text: str) -> bool:
    """Whether a text can be the name of a secret in the encrypted store."""
    return bool(_SHAPES["secret"].fullmatch(text))
