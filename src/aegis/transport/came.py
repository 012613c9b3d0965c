"""What became of a request that was sent: a whole answer, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Broken:
    """Why no whole answer came, after the request was sent."""

    why: str


@dataclass(frozen=True, slots=True)
class Came:
    """A whole answer. Header names are lower case; of a header that came twice the last counts."""

    status: int
    headers: dict[str, str]
    body: bytes
