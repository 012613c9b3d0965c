"""Failures on demand: thirteen ways in which an outside service can go wrong, for the next requests or until changed.

Some fail before the service did anything, some after it did: only the second kind tells whether a sender repeats
itself harmlessly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from aegis.core.errors import BadInput

FIELDS = frozenset({"mode", "count", "retry_after_s", "delay_ms", "after"})
COUNT_MAX, RETRY_AFTER_MAX_S, DELAY_MAX_MS = 1_000_000, 86_400, 600_000


class Mode(StrEnum):
    """What goes wrong."""

    OK = "ok"
    UNAUTHORIZED = "401"  # the service knows the credential no more
    LIMITED = "429"  # too many requests; nothing was done
    BROKEN = "500"  # an error; nothing was done
    AWAY = "503"  # not available; nothing was done
    RESET = "reset"  # the connection is reset before anything was done
    HANG = "hang"  # nothing is done and nothing is ever answered
    SLOW = "slow"  # done at once, answered after a delay
    DRIP = "drip"  # done, answered a few bytes at a time
    CUT = "cut"  # done, the answer stops half way
    LOST = "lost"  # done, the connection is reset instead of an answer
    GARBAGE = "garbage"  # done, the answer is no text at all
    WRONG_JSON = "wrong_json"  # done, the answer is JSON of a wrong shape
    HUGE = "huge"  # done, the answer does not end for a long time


STATUS: Mapping[Mode, int] = {Mode.UNAUTHORIZED: 401, Mode.LIMITED: 429, Mode.BROKEN: 500, Mode.AWAY: 503}
"""Modes that answer in the service's own words, without doing anything."""

NOT_DONE = frozenset({*STATUS, Mode.RESET, Mode.HANG})
"""Modes in which the service does nothing."""

DELAYS_MS: Mapping[Mode, int] = {Mode.SLOW: 5_000, Mode.DRIP: 50}
"""Default delay before the answer, and between two pieces of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a service shall do for the next `count` requests (None: until changed), after `after` requests that pass.

    `retry_after_s` is said in a 429 or 503 (None: not said); `delay_ms` is the delay before a slow answer or between
    pieces of a dripping one.
    """

    mode: Mode
    count: int | None = None
    retry_after_s: int | None = None
    delay_ms: int = 0
    after: int = 0

    @classmethod
    def parse(cls, value: Any) -> Fault:
        """From JSON `{"mode", "count", "retry_after_s", "delay_ms", "after"}`. Raises `BadInput`."""
        if not isinstance(value, dict) or set(value) - FIELDS:
            raise BadInput(f"a fault has {', '.join(sorted(FIELDS))}", code="bad_fault")
        try:
            mode = Mode(str(value.get("mode")))
        except ValueError as error:
            raise BadInput(f"mode is one of {', '.join(Mode)}", code="bad_fault") from error
        count = _bounded(value, "count", 1, COUNT_MAX)
        retry_after = _bounded(value, "retry_after_s", 0, RETRY_AFTER_MAX_S)
        delay = _bounded(value, "delay_ms", 0, DELAY_MAX_MS)
        return cls(
            mode=mode,
            count=count,
            retry_after_s=retry_after,
            delay_ms=DELAYS_MS.get(mode, 0) if delay is None else delay,
            after=_bounded(value, "after", 0, COUNT_MAX) or 0,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "mode": self.mode.value,
            "count": self.count,
            "retry_after_s": self.retry_after_s,
            "delay_ms": self.delay_ms,
            "after": self.after,
        }


def _bounded(value: dict[str, Any], name: str, least: int, most: int) -> int | None:
    number = value.get(name)
    if number is None:
        return None
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise BadInput(f"{name} is a whole number from {least} to {most}", code="bad_fault")
    return number


class Faults:
    """The faults of all services."""

    def __init__(self) -> None:
        self._held: dict[str, Fault] = {}

    def put(self, service: str, fault: Fault) -> None:
        if fault.mode is Mode.OK:
            self._held.pop(service, None)
        else:
            self._held[service] = fault

    def take(self, service: str) -> Fault | None:
        """The fault of the next request, counted down; None if it passes."""
        fault = self._held.get(service)
        if fault is not None and fault.after:
            self._held[service] = replace(fault, after=fault.after - 1)
            return None
        if fault is not None and fault.count is not None:
            if fault.count <= 1:
                del self._held[service]
            else:
                self._held[service] = replace(fault, count=fault.count - 1)
        return fault

    def all(self) -> Mapping[str, Fault]:
        return dict(self._held)

    def clear(self) -> None:
        self._held.clear()
