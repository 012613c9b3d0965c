"""How long outside services take to answer: the last answers of each, in memory, for people who look now."""

from __future__ import annotations

from collections import deque
from typing import Final

from aegis.core.telemetry import CallEnded, Happened, ServiceAnswered

KEPT: Final = 500
"""Answers of a service that are remembered: what the 95th percentile of the last minutes needs."""
SERVICES_MAX: Final = 100
"""Services that are told apart: their names come from the configuration and from callers."""


class Latencies:
    """An observer that remembers how long each service's last answers took, in milliseconds."""

    def __init__(self) -> None:
        self._took: dict[str, deque[int]] = {}
        self._failed: dict[str, str] = {}

    def __call__(self, happened: Happened) -> None:
        if isinstance(happened, ServiceAnswered):
            took = self._took.get(happened.service)
            if took is None:
                if len(self._took) >= SERVICES_MAX:
                    return
                took = self._took[happened.service] = deque(maxlen=KEPT)
            took.append(happened.took_ms)
        elif isinstance(happened, CallEnded) and happened.message and len(self._failed) < SERVICES_MAX:
            self._failed[happened.service] = happened.message

    def percentiles(self, service: str) -> tuple[int, int] | None:
        """The median and the 95th percentile of what is remembered; None for nothing."""
        took = sorted(self._took.get(service, ()))
        if not took:
            return None
        return took[len(took) // 2], took[min(len(took) - 1, len(took) * 95 // 100)]

    def last_error(self, service: str) -> str:
        """The last words of a call that failed or was refused; empty when none did."""
        return self._failed.get(service, "")
