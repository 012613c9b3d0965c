"""A secret that cannot be printed by accident: only `reveal()` gives the value, and only transports call it."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """Holds a key, token or webhook address. `str`, `repr`, `format` and errors show `***`; pickling is refused."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends it."""
        return self._value

    def __str__(self) -> str:
        return "***"

    __repr__ = __str__

    def __format__(self, _spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled: pass the reference (env:, file:, keyring:) instead")
