"""The many spellings of a moment in logs, as one UTC datetime.

Policy: a moment without a zone is taken as UTC; a syslog stamp without a year is the last such day up to a day after
it was received; what cannot be read is None, never a guess.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

SKEW = timedelta(days=1)
"""How far a record may lie ahead of its arrival: clocks in unknown zones are up to 14 hours off."""
_MONTHS = {
    m: i
    for i, m in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], start=1)
}
_COMMON_LOG = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d\d)(\d\d)\Z", re.ASCII)
_SYSLOG = re.compile(r"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?: (\d{4}))?\Z", re.ASCII)
_DOTNET = re.compile(r"/Date\((-?\d{1,16})[+\-\d]*\)/\Z", re.ASCII)
_NUMBER = re.compile(r"\d{9,19}(?:\.\d{1,9})?\Z", re.ASCII)
_UNITS = ((10**17, 1_000), (10**14, 1), (10**11, -1_000))
"""Epoch numbers by size: nanoseconds, microseconds, milliseconds; anything smaller counts seconds (until 5138)."""


def parse_time(value: Any, *, received_at: datetime) -> datetime | None:
    """A moment in UTC from ISO 8601 (any precision), epoch numbers in s, ms, us or ns, common log format, syslog,
    RFC 5322 or .NET JSON; None when it is none of these. `received_at` gives syslog stamps their year.
    """
    try:
        if isinstance(value, str):
            return _from_text(value.strip(), received_at)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _from_epoch(str(value))
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return None


def _from_text(text: str, received_at: datetime) -> datetime | None:
    if text[4:5] == "-":
        return _in_utc(datetime.fromisoformat(text.removesuffix(" UTC")))
    if _NUMBER.match(text):
        return _from_epoch(text)
    if found := _SYSLOG.match(text):
        return _from_syslog(found, received_at)
    if found := _COMMON_LOG.match(text):
        day, month, year, hour, minute, second, ahead, minutes = found.groups()
        iso = f"{year}-{_month(month):02d}-{day}T{hour}:{minute}:{second}{ahead}:{minutes}"
        return _in_utc(datetime.fromisoformat(iso))
    if found := _DOTNET.match(text):
        return _from_epoch(found[1])
    if len(text) > 64 or not any(name in text for name in _MONTHS):
        return None
    return _in_utc(parsedate_to_datetime(text))


def _from_epoch(text: str) -> datetime | None:
    """Whole microseconds by text, so that no float rounds a moment."""
    whole, _, fraction = text.partition(".")
    if not whole.isdigit() or not (fraction.isdigit() or not fraction):
        return None
    number = int(whole)
    for least, per_micro in _UNITS:
        if number >= least:
            micros = number // per_micro if per_micro > 0 else number * -per_micro
            break
    else:
        micros = number * 1_000_000 + int(fraction[:6].ljust(6, "0"))
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def _from_syslog(found: re.Match[str], received_at: datetime) -> datetime:
    month, day, hour, minute, second, year = found.groups()
    clock = (_month(month), int(day), int(hour), int(minute), int(second))
    if year:
        return datetime(int(year), *clock, tzinfo=UTC)
    for back in range(10):  # 29 February is eight years away at worst, around 2100
        try:
            moment = datetime(received_at.year + 1 - back, *clock, tzinfo=UTC)
        except ValueError:
            continue
        if moment <= received_at + SKEW:
            return moment
    raise ValueError("no such day")


def _month(name: str) -> int:
    if name not in _MONTHS:
        raise ValueError(name)
    return _MONTHS[name]


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
