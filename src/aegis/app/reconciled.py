"""A compared day in words and as JSON values: for the command, the API, the dashboard and the incident."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aegis.core.incidents import Incident, Observable, Severity
from aegis.core.money import format_usd, show_usd
from aegis.finance.reconciling import CAUSES, Compared

if TYPE_CHECKING:
    from aegis.incidents.pipeline import Pipeline


async def tell(pipeline: Pipeline, one: Compared) -> Incident:
    """Open the incident of a day that differs. Somebody who spends behind Aegis may hold a key that was lost: that is HIGH.
    Raises `StoreError`.
    """
    return await pipeline.open_own(
        f"reconcile:{one.provider}:{one.service}:{one.day.isoformat()}",
        title=f"The bill of {one.provider} and the ledger differ on {one.service}, {one.day.isoformat()}",
        severity=Severity.HIGH if one.cause == "outside" else Severity.MEDIUM,
        entity=Observable("budget", f"{one.service} {one.day.isoformat()}"),
        facts=facts(one),
    )


def facts(one: Compared) -> Mapping[str, str]:
    """What people need to know of it."""
    return {
        "provider": one.provider,
        "service": one.service,
        "day": one.day.isoformat(),
        "billed": shown(one.billed, one.meter),
        "ledger": shown(one.counted, one.meter),
        "drift": f"{shown(one.drift, one.meter)} ({percent(one.percent)} %)",
        "cause": CAUSES[one.cause],
    }


def row_of(
    one: Compared, *, incident: str, asked_at: datetime, changed_at: datetime, restated: bool
) -> Mapping[str, Any]:
    """As JSON values: money as decimal text under names that end in `_usd`, units of a meter as whole numbers."""
    end = "" if one.meter else "_usd"

    def amount(value: int) -> Any:
        return value if one.meter else format_usd(value)

    return {
        "provider": one.provider,
        "service": one.service,
        "day": one.day.isoformat(),
        "meter": one.meter or "usd",
        "state": "provisional" if one.provisional else "differs" if one.differs else "agrees",
        f"billed{end}": amount(one.billed),
        f"ledger{end}": amount(one.counted),
        f"drift{end}": amount(one.drift),
        "drift_percent": percent(one.percent),
        f"unknown{end}": amount(one.unknown),
        f"outside{end}": amount(one.outside),
        f"to_refund{end}": amount(one.refund),
        f"to_book{end}": amount(one.booking),
        "cause": one.cause or None,
        "cause_text": CAUSES[one.cause],
        "restated": restated,
        "incident": incident or None,
        "asked_at": stamp(asked_at),
        "changed_at": stamp(changed_at),
    }


def shown(value: int, meter: str) -> str:
    """An amount as people read it."""
    return f"{value:,} {meter.replace('_', ' ')}" if meter else show_usd(value, decimals=4)


def percent(hundredths: int) -> str:
    """Hundredths of a percent as a decimal text."""
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
