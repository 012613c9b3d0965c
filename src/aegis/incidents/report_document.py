"""An incident report as JSON: the incident's own document, and what the other forms say beside it.

Policy: texts stand as they are on record, as JSON strings: whoever shows them escapes them for where they are shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from aegis.core.money import format_usd
from aegis.core.wording import rfc3339
from aegis.incidents.compose import document
from aegis.incidents.report import Bullets, sections
from aegis.incidents.report_record import SECTIONS, Report, Spend
from aegis.incidents.report_spend import curve, moment, stop_rows

SCHEMA: Final = "aegis.incident-report/1"


def report_document(report: Report) -> Mapping[str, Any]:
    """The report, its figures as decimal strings in USD. `sha256` is the hash of the rest."""
    actions = [section for section in sections(report) if section.title in ("Actions Taken", "Follow-up Actions")]
    taken, follow_up = [[item for b in one.blocks if isinstance(b, Bullets) for item in b.items] for one in actions]
    incident = {name: value for name, value in document(report.incident).items() if name != "schema"}
    stops = [{"at": rfc3339(at), "text": text} for at, _, text in stop_rows(report)]
    body = {
        "schema": SCHEMA,
        "written_at": rfc3339(report.made_at) if report.made_at else None,
        "incident": incident,
        "spend": None if report.spend is None else _spend(report, report.spend),
        "stops": [stop.id for stop in report.stops],
        "stop_history": stops,
        "actions": taken,
        "avoided": [{"amount_usd": format_usd(one.amount), "how": one.how} for one in report.avoided],
        "avoided_usd": format_usd(sum(one.amount for one in report.avoided)),
        "follow_up": follow_up,
        "sections": {name: report.kept.get(name, "") for name in SECTIONS},
        "written_elsewhere": list(report.elsewhere),
    }
    return {**body, "sha256": _digest(body)}


def as_written(text: bytes) -> bool:
    """Whether a document is as it was written, or was changed by hand since."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        return False
    return str(found.pop("sha256", "")) == _digest(found)


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _spend(report: Report, spend: Spend) -> Mapping[str, Any]:
    return {
        "about": spend.about,
        "since": rfc3339(moment(spend.since_ms)),
        "until": rfc3339(moment(spend.until_ms)),
        "calls": spend.calls,
        "refused": spend.refused,
        "total_usd": format_usd(spend.total),
        "points": [{"until": rfc3339(moment(at_ms)), "spent_usd": format_usd(cost)} for at_ms, cost in spend.points],
        "only_the_newest": spend.cut,
        "top": {
            name: [{"value": one.value, "calls": one.calls, "cost_usd": format_usd(one.cost)} for one in rows]
            for name, rows in spend.top.items()
        },
        "svg": curve(report, spend).svg,
    }
