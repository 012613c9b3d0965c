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

FOLDER: Final = "drills"
REPORTS_MAX: Final = 200
"""Reports that are read, the newest by name."""
BYTES_MAX: Final = 1_000_000
NAMES: Final = ("budget", "provider-outage", "stolen-key", "alert-flood")


def add(routes: APIRouter, frame: Frame) -> None:
    """The page `/drills`."""

    @routes.get("/drills")
    async def drills(request: Request) -> Response:
        reports = await anyio.to_thread.run_sync(read_reports, frame.app.home / FOLDER)
        scores = [one["score"] for one in reversed(reports) if one["score"] is not None][-60:]
        chart = picture(
            bars(scores, title=f"The scores of the last {len(scores)} drills: {', '.join(map(str, scores))}")
        )
        return frame.page(request, "drills.html", reports=reports, chart=chart if scores else "", names=NAMES)


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
        if isinstance(document, dict):
            found.append(_row(file, document))
    return sorted(found, key=lambda one: one["at"], reverse=True)


def _row(file: Path, document: Mapping[str, Any]) -> Mapping[str, Any]:
    score = document.get("score")
    checks = document.get("checks")
    return {
        "file": file.name,
        "name": str(document.get("drill") or document.get("name") or file.stem),
        "at": str(document.get("at") or document.get("started_at") or "")[:19].replace("T", " "),
        "score": score if isinstance(score, int) else None,
        "of": document.get("of") if isinstance(document.get("of"), int) else 100,
        "checks": [
            {
                "name": str(one.get("name", ""))[:200],
                "good": bool(one.get("good")),
                "text": str(one.get("text", ""))[:500],
            }
            for one in (checks if isinstance(checks, list) else [])[:50]
            if isinstance(one, dict)
        ],
    }
