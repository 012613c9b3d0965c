"""Moments as the store keeps them: whole microseconds since 1970 in UTC, in 64 bits, exact both ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)


def to_us(at: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (at - _EPOCH) // _MICROSECOND


def to_ms(at: datetime) -> int:
    """Whole milliseconds since 1970 of an aware time, rounded down."""
    return (at - _EPOCH) // _MILLISECOND


def from_us(microseconds: int) -> datetime:
    """The time in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)
