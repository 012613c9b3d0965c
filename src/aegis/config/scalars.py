"""How amounts, durations, rates, sizes and percentages are written. Pure: text in, whole numbers out.

Every function raises `ValueError` whose message says what the text must be, without the text. No float is ever made.
"""

from __future__ import annotations

import re
from decimal import Decimal

from aegis.core.buckets import COUNT_MAX, Rate
from aegis.core.money import MAX_NANOS, MoneyError, Nanos, usd
from aegis.core.usage import UNITS_MAX

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
DURATION_MAX_MS = 3_660 * DAY_MS
"""Ten years: longer is a slip of the pen."""

_DURATION_UNITS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_DURATION = re.compile(r"(?:\d{1,9}(?:ms|s|m|h|d|w))+")
_DURATION_PART = re.compile(r"(\d+)(ms|s|m|h|d|w)")

_PERIODS = {
    **dict.fromkeys(("s", "sec", "second"), SECOND_MS),
    **dict.fromkeys(("m", "min", "minute"), MINUTE_MS),
    **dict.fromkeys(("h", "hour"), HOUR_MS),
    **dict.fromkeys(("d", "day"), DAY_MS),
}
_RATE = re.compile(r"(\d{1,9})\s*/\s*([a-z0-9]+)(?:\s+burst\s+(\d{1,9}))?")

_SIZES = {"": 1, "B": 1}
_SIZES |= {f"{prefix}B": 1000**power for power, prefix in enumerate("KMGTP", start=1)}
_SIZES |= {f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGTP", start=1)}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([KMGTP]?i?B?)", re.IGNORECASE)
_COUNT = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kMG]?)")
_AMOUNT = re.compile(r"\$?(\d{1,12}(?:\.\d{1,9})?)")
_PERCENT = re.compile(r"(\d{1,3})\s?%")


def amount(text: str) -> Nanos:
    """`5.00` (or `$5`) in exact nano-dollars."""
    match = _AMOUNT.fullmatch(text)
    try:
        nanos = usd(match[1]) if match else -1
    except MoneyError:
        nanos = -1
    if not 0 <= nanos <= MAX_NANOS:
        raise ValueError("must be an amount such as 5.00")
    return nanos


def duration(text: str) -> int:
    """`250ms`, `60s`, `5m`, `1h30m`, `24h`, `30d`, `2w` in milliseconds."""
    if not _DURATION.fullmatch(text):
        raise ValueError("must be a duration such as 60s, 5m, 24h or 30d")
    total = sum(int(count) * _DURATION_UNITS[unit] for count, unit in _DURATION_PART.findall(text))
    if not 0 < total <= DURATION_MAX_MS:
        raise ValueError("must be a duration from 1ms to ten years")
    return total


def days(text: str) -> int:
    """`30d` or `52w` as whole days."""
    total = duration(text) if re.fullmatch(r"(?:\d{1,9}[dw])+", text) else 0
    if not total:
        raise ValueError("must be whole days such as 30d")
    return total // DAY_MS


def rate(text: str) -> Rate:
    """`10/minute` (any span of a minute holds at most 10), `500/day`, `5/30s`; `10/minute burst 100` (a bucket of 100
    that gains 10 a minute).
    """
    match = _RATE.fullmatch(text)
    if not match or not (match[2] in _PERIODS or _DURATION.fullmatch(match[2])):
        raise ValueError("must be a rate such as 10/minute, 500/day or 10/minute burst 100")
    count, burst = int(match[1]), int(match[3] or 0)
    per_ms = _PERIODS.get(match[2]) or duration(match[2])
    if not 0 < count <= COUNT_MAX or burst > COUNT_MAX:
        raise ValueError(f"must be a rate of 1 to {COUNT_MAX:,} calls")
    if match[3] is None:
        return Rate(count=count, per_ms=per_ms)
    if burst < count:
        raise ValueError("must have a burst of at least the rate, such as 10/minute burst 100")
    return Rate(count=burst, per_ms=per_ms, kind="token", refill=count)


def size(text: str) -> int:
    """`10TB` in bytes. Decimal steps (1 TB = 10^12), binary ones with an i (1 TiB = 2^40): IEC 80000-13.

    As a hard limit the decimal reading is the strict one.
    """
    match = _SIZE.fullmatch(text)
    steps = {name.upper(): step for name, step in _SIZES.items()}
    step = steps.get(match[2].upper()) if match else None
    if not match or step is None:
        raise ValueError("must be a size such as 10TB, 500MB or 4GiB")
    return _whole(match[1], step, "must be a size of whole bytes, at most 1PB")


def count(text: str) -> int:
    """`25000`, `25k`, `2M`: whole units of a meter."""
    match = _COUNT.fullmatch(text)
    if not match:
        raise ValueError("must be a whole number such as 25000, 25k or 2M")
    return _whole(
        match[1], {"": 1, "k": 1_000, "M": 10**6, "G": 10**9}[match[2]], "must be a whole number, at most 10^15"
    )


def percent(text: str) -> int:
    """`30%` as 30."""
    match = _PERCENT.fullmatch(text)
    if not match or int(match[1]) > 100:
        raise ValueError("must be a percentage such as 30%")
    return int(match[1])


def units(text: str, unit: str) -> int:
    """An amount in a budget's unit: money for `usd`, a size for meters of bytes, else a count."""
    if unit == "usd":
        return amount(text)
    return size(text) if unit.startswith("bytes") else count(text)


def _whole(number: str, step: int, message: str) -> int:
    total = Decimal(number) * step
    if total != total.to_integral_value() or total > UNITS_MAX:
        raise ValueError(message)
    return int(total)
