"""What pages show of records, as plain values: lists of incidents, calls, stops, switches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aegis.core.incidents import Severity, Status
from aegis.core.ledger import Switch
from aegis.core.money import format_usd, show_usd
from aegis.governor.switch import scope_text
from aegis.stores.calls import CallLine
from aegis.stores.incident_list import Listed
from aegis.web.views import stamp

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ABOUT_CHARS: Final = 70
CALL_TONES: Final = {
    "settled": "",
    "worst": "medium",
    "void": "soft",
    "refused": "high",
    "cached": "good",
    "sent": "low",
}
CALL_ENDS: Final = {
    "settled": "paid",
    "worst": "paid, worst case",
    "void": "not charged",
    "refused": "refused",
    "cached": "from the cache",
    "sent": "under way",
}


def small_usd(cost: int) -> str:
    """An amount of money as a table shows it: cents, or four places below a dollar."""
    return show_usd(cost, decimals=2 if cost == 0 or cost >= 1_000_000_000 else 4)


def moment(at: datetime, now: datetime) -> str:
    """A time as a list shows it: the clock today, the day before that."""
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%d %b %H:%M}"


def in_time(delta: timedelta) -> str:
    """A length of time in words: `3 h 12 min`."""
    minutes = max(0, int(delta.total_seconds()) // 60)
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def listed_row(one: Listed, now: datetime) -> Mapping[str, Any]:
    """An incident as one row of a list."""
    about = one.about if len(one.about) <= ABOUT_CHARS else f"{one.about[: ABOUT_CHARS - 1]}…"
    return {
        "id": one.id,
        "title": one.title,
        "severity": one.severity.name,
        "tone": one.severity.name.lower(),
        "status": one.status.value,
        "about": about,
        "assignee": one.assignee,
        "held": one.held,
        "count": f"{one.count:,}",
        "cost": small_usd(one.cost),
        "cost_usd": format_usd(one.cost),
        "has_cost": one.cost > 0,
        "opened": moment(one.opened_at, now),
        "opened_at": stamp(one.opened_at),
    }


def call_row(line: CallLine, now: datetime) -> Mapping[str, Any]:
    """A call as one row."""
    shown = {name: value for name, value in line.names.items() if name not in ("service", "model")}
    return {
        "id": line.call_id,
        "at": stamp(line.at),
        "time": moment(line.at, now),
        "service": line.service,
        "model": line.model,
        "end": f"refused: {line.gate}"
        if line.state == "refused" and line.gate
        else CALL_ENDS.get(line.state, line.state),
        "tone": CALL_TONES.get(line.state, ""),
        "names": ", ".join(f"{name} {value}" for name, value in sorted(shown.items())),
        "took": f"{line.took_ms / 1000:.1f} s" if line.took_ms >= 1_000 else f"{line.took_ms} ms",
        "cost": small_usd(line.cost) if line.cost else "–",
    }


def switch_row(switch: Switch) -> Mapping[str, Any]:
    """A switch as one row."""
    if not switch.stopped:
        state, tone = "open", "good"
    elif not switch.grade:
        state, tone = f"slowed to {switch.percent} %", "medium"
    elif switch.percent:
        state, tone = f"{switch.percent} % admitted", "medium"
    else:
        state, tone = "stopped", "critical"
    at = EPOCH + timedelta(milliseconds=switch.at_ms)
    return {
        "scope": scope_text(switch.scope),
        "names": dict(switch.scope),
        "state": state,
        "tone": tone,
        "reason": switch.reason,
        "by": switch.by,
        "stop": switch.stop,
        "at": stamp(at),
        "time": f"{at:%d %b %H:%M:%S}",
        "until": f"{EPOCH + timedelta(milliseconds=switch.expires_ms):%d %b %H:%M}" if switch.expires_ms else "",
    }


def standing(counts: Mapping[tuple[Status, Severity], int]) -> Mapping[str, Any]:
    """What stands open, from the one count that Now and Incidents both show."""
    by_severity: Counter[Severity] = Counter()
    by_status: Counter[str] = Counter()
    for (status, severity), count in counts.items():
        by_status[status.value] += count
        if status is not Status.RESOLVED:
            by_severity[severity] += count
    severities: Sequence[Mapping[str, Any]] = [
        {
            "name": severity.name,
            "tone": severity.name.lower(),
            "count": f"{by_severity[severity]:,}",
            "some": by_severity[severity] > 0,
            "href": f"/incidents?status=unresolved&severity={severity.name}",
        }
        for severity in sorted(Severity, reverse=True)
    ]
    return {
        "severities": severities,
        "unresolved": sum(by_severity.values()),
        "urgent": by_severity[Severity.CRITICAL] + by_severity[Severity.HIGH],
        "statuses": {name: by_status[name] for name in ("open", "acknowledged", "resolved")},
        "all": sum(by_status.values()),
    }
