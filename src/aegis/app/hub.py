"""Telling everybody who watches what happened."""

from __future__ import annotations

from aegis.core.telemetry import Happened, Observer


class Hub:
    """An observer that passes every record on to the observers it knows, in the order in which they came."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = list(observers)

    def add(self, *observers: Observer) -> None:
        """From now on these are told as well."""
        self._observers += observers

    def __call__(self, happened: Happened) -> None:
        for observer in self._observers:
            observer(happened)
