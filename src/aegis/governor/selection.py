"""Which models a call may use, in which order they are tried."""

from __future__ import annotations

from aegis.core.calls import Call

NO_MODEL = ("",)


def candidates(call: Call) -> tuple[str, ...]:
    """The candidates of a call in order of preference; a service without models has one nameless candidate."""
    return call.models or NO_MODEL
