"""ATT&CK: the techniques that our rules look for and incidents showed, as a map; tactics that no rule looks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from aegis.core.charts import Cell, heat_map
from aegis.core.techniques import TACTICS, TECHNIQUES
from aegis.web.dashboard.frame import Frame, picture

SPANS: Final = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
UNKNOWN: Final = "other"


def add(routes: APIRouter, frame: Frame) -> None:
    """The page `/attack`."""

    @routes.get("/attack")
    async def attack(request: Request) -> Response:
        asked = request.query_params.get("span", "")
        since = frame.app.clock.now() - SPANS[asked] if asked in SPANS else None
        counts = await (await frame.shown.lists()).techniques(since)
        columns = columns_of(counts)
        seen = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        gaps = [name for name, cells in columns if not cells]
        words = f"{len(seen)} techniques were seen; {len(TECHNIQUES)} have a rule; without a rule: {', '.join(gaps) or 'none'}"
        chart = heat_map(columns, title="Techniques by tactic", spoken=words, href="/incidents?technique=")
        return frame.page(
            request,
            "attack.html",
            chart=picture(chart),
            words=words,
            seen=[_row(id_, count) for id_, count in seen],
            unseen=[_row(id_, 0) for id_ in sorted(set(TECHNIQUES) - set(counts))],
            gaps=gaps,
            spans=tuple(SPANS),
            span=asked if asked in SPANS else "",
        )


def columns_of(counts: Mapping[str, int]) -> Sequence[tuple[str, Sequence[Cell]]]:
    """Tactics in the order of an intrusion, each with its techniques: those that were seen most first."""
    columns: dict[str, list[Cell]] = {name: [] for name in TACTICS}
    for id_ in sorted({*TECHNIQUES, *counts}):
        technique = TECHNIQUES.get(id_)
        cell = Cell(id=id_, name=technique.name if technique else "not in the catalogue", count=counts.get(id_, 0))
        for tactic in technique.tactics if technique else (UNKNOWN,):
            columns.setdefault(tactic, []).append(cell)
    return [
        (TACTICS.get(name, "Other"), sorted(cells, key=lambda cell: (-cell.count, cell.id)))
        for name, cells in columns.items()
    ]


def _row(id_: str, count: int) -> Mapping[str, Any]:
    technique = TECHNIQUES.get(id_)
    return {
        "id": id_,
        "name": technique.name if technique else "",
        "tactics": ", ".join(TACTICS[one] for one in technique.tactics) if technique else "",
        "count": count,
    }
