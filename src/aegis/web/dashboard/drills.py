"""Drills: the reports of rehearsals in the state folder, the newest first, with their scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import anyio
from fastapi import APIRouter, Request, Response

from aegis.core.charts import bars
from aegis.web.dashboard.frame import Frame, picture

FOLDER, SCHEMA = "drills", "aegis.drill/1"
SCORES_SHOWN: Final = 60
ROWS_MAX: Final = 100
"""Measures, checks and advice of one report that are shown."""
REPORTS_MAX: Final = 200
"""Reports that are read, the newest by name."""
BYTES_MAX: Final = 1_000_000
NAMES: Final = ("budget", "provider-outage", "stolen-key", "alert-flood", "injection", "restore")


def add(routes: APIRouter, frame: Frame) -> None:
    """The page `/drills`."""

    @routes.get("/drills")
    async def drills(request: Request) -> Response:
        reports = await anyio.to_thread.run_sync(read_reports, frame.app.home / FOLDER)
        scores = [one["score"] for one in reversed(reports)][-SCORES_SHOWN:]
        chart = picture(
            bars(scores, title=f"The scores of the last {len(scores)} drills: {', '.join(map(str, scores))}")
        )
        return frame.page(request, "drills.html", reports=reports, chart=chart if len(scores) > 1 else "", names=NAMES)


def read_reports(folder: Path) -> Sequence[Mapping[str, Any]]:
    """The reports of a folder, newest first; files that are no report are passed over."""
    found = []
    files = sorted(folder.glob("*.json"), reverse=True)[:REPORTS_MAX] if folder.is_dir() else []
    for file in files:
        try:
            if file.stat().st_size > BYTES_MAX:
                continue
            document = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(document, dict) and document.get("schema") == SCHEMA and isinstance(document.get("drill"), str):
            found.append(_row(file, document))
    return sorted(found, key=lambda one: one["at"], reverse=True)


def _row(file: Path, document: Mapping[str, Any]) -> Mapping[str, Any]:
    score = document.get("score")
    return {
        "file": file.stem,
        "name": str(document.get("title") or document["drill"])[:200],
        "kind": str(document["drill"])[:40],
        "story": str(document.get("story", ""))[:1_000],
        "planted": str(document.get("planted", ""))[:200],
        "at": file.name[:15],
        "when": f"{file.name[:4]}-{file.name[4:6]}-{file.name[6:8]} {file.name[9:11]}:{file.name[11:13]}",
        "score": score if isinstance(score, int) else 0,
        "measures": [_measure(one) for one in _rows(document, "measures")],
        "looked": [
            {
                "name": str(one.get("name", ""))[:200],
                "good": bool(one.get("good")),
                "text": str(one.get("text", ""))[:500],
            }
            for one in _rows(document, "looked")
        ],
        "improve": [str(one)[:500] for one in _listed(document, "improve")],
    }


def _measure(one: Mapping[str, Any]) -> Mapping[str, str]:
    """One of the six: what it came to, the most it may be, and whether that was met."""
    return {
        "name": str(one.get("name", "")).replace("_", " "),
        "value": _amount(one, "value"),
        "target": _amount(one, "target"),
        "verdict": str(one.get("verdict", ""))[:40],
        "tone": {"met": "good", "missed": "critical"}.get(str(one.get("verdict")), "soft"),
        "text": str(one.get("text", ""))[:500],
    }


def _amount(one: Mapping[str, Any], name: str) -> str:
    if (found := one.get(f"{name}_ms")) is not None:
        return f"{found / 1000:g} s" if isinstance(found, int) else ""
    if (found := one.get(f"{name}_usd")) is not None:
        return f"${str(found)[:20]}"
    return "–" if one.get(name) is None else str(one[name])[:20]


def _rows(document: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    return [one for one in _listed(document, name) if isinstance(one, dict)]


def _listed(document: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = document.get(name)
    return found[:ROWS_MAX] if isinstance(found, list) else []
