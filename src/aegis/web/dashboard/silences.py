"""Silences: what is held back now, by whom and why, until when; and a form for one more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from aegis.app.silencing import silence_of
from aegis.core.errors import BadInput
from aegis.core.silences import MATCHERS_MAX, Silence
from aegis.web.dashboard.forms import read_form, refuse_unless, status_of, words
from aegis.web.dashboard.frame import Frame, after, who
from aegis.web.dashboard.rows import in_time
from aegis.web.views import stamp

OVER_SHOWN: Final = 20
STATES: Final = {
    "open": ("holds back now", "high"),
    "between": ("between windows", "low"),
    "planned": ("planned", "low"),
    "over": ("over", "soft"),
}


def add(routes: APIRouter, frame: Frame) -> None:
    """The page `/silences`."""

    @routes.get("/silences")
    async def silences(request: Request) -> Response:
        return await _page(frame, request)

    @routes.post("/silences")
    async def begin(request: Request) -> Response:
        """Hold back what all matchers fit."""
        form: Mapping[str, str] = {}
        try:
            form = await read_form(request)
            now, by = frame.app.clock.now(), who(request)
            matchers = [line.strip() for line in form.get("matchers", "").splitlines() if line.strip()]
            made = silence_of(
                frame.app.new_id("sil"),
                now=now,
                matchers=matchers[: MATCHERS_MAX + 1],
                owner=words(form, "owner", 300) or by,
                reason=words(form, "reason", 300),
                length=form.get("for", ""),
                every=form.get("every", ""),
                critical_passes="except_critical" in form,
            )
            await frame.app.silences.add(made, now=now)
            what = " ".join(one.text() for one in made.matchers)
            facts = {"silence": made.id, "reason": made.reason, "what": what, "owner": made.owner}
            await frame.app.audit.note(by, "silence.added", facts)
        except BadInput as refused:
            return await _page(frame, request, status=status_of(refused), problem=str(refused), form=form)
        return after("/silences", "silenced")

    @routes.post("/silences/{silence_id}/end")
    async def end(request: Request, silence_id: str) -> Response:
        """End a silence now: what it held back is told."""
        try:
            await read_form(request)
            ended = await frame.app.silences.end(silence_id, now=frame.app.clock.now())
            refuse_unless(ended, f"There is no silence {silence_id[:64]} in force", "no_such_silence")
            await frame.app.audit.note(who(request), "silence.ended", {"silence": silence_id})
        except BadInput as refused:
            return await _page(frame, request, status=status_of(refused), problem=str(refused))
        return after("/silences", "ended")


async def _page(
    frame: Frame, request: Request, *, status: int = 200, problem: str = "", form: Mapping[str, str] | None = None
) -> Response:
    app, now = frame.app, frame.app.clock.now()
    held = await (await frame.shown.lists()).held()
    newest = await app.silences.newest(OVER_SHOWN)
    return frame.page(
        request,
        "silences.html",
        status=status,
        problem=problem,
        form=form or {},
        silences=[_row(one, now, held) for one in await app.silences.in_force(now)],
        over=[_row(one, now, held) for one in newest if one.state(now) == "over"],
        depends={by: count for by, count in held.items() if not by.startswith("sil_")},
    )


def _row(one: Silence, now: datetime, held: Mapping[str, int]) -> Mapping[str, Any]:
    state, tone = STATES[one.state(now)]
    return {
        "id": one.id,
        "matchers": [matcher.text() for matcher in one.matchers],
        "owner": one.owner,
        "reason": one.reason,
        "state": state,
        "tone": tone,
        "every": one.schedule.text() if one.schedule else "",
        "passes": one.critical_passes,
        "ends": f"{one.over_at:%d %b %H:%M}",
        "ends_at": stamp(one.over_at),
        "left": in_time(one.over_at - now) if one.over_at > now else "",
        "held": one.held,
        "incidents": held.get(one.id, 0),
    }
