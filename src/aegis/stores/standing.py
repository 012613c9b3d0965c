"""What stands on an incident about who is told, and silences, as JSON values and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aegis.core.matching import Matcher
from aegis.core.schedules import Weekly
from aegis.core.silences import Silence
from aegis.core.standing import Escalation, Hold, Told

Json = dict[str, Any]


def _when(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def hold_to_json(hold: Hold | None) -> Json | None:
    if hold is None:
        return None
    return {
        "kind": hold.kind,
        "by": hold.by,
        "why": hold.why,
        "since": hold.since,
        "change": hold.change,
        "messages": hold.messages,
    }


def hold_from_json(document: Mapping[str, Any] | None) -> Hold | None:
    if document is None:
        return None
    return Hold(**{**document, "since": datetime.fromisoformat(document["since"])})


def escalation_to_json(state: Escalation | None) -> Json | None:
    if state is None:
        return None
    return {
        "chain": state.chain,
        "step": state.step,
        "version": state.version,
        "fired_at": state.fired_at,
        "told": _people(state.told),
        "bridge": state.bridge,
        "next_at": state.next_at,
        "halted": state.halted,
        "heard": _people(state.heard),
        "ended": state.ended,
        "ending": _people(state.ending),
    }


def escalation_from_json(document: Mapping[str, Any] | None) -> Escalation | None:
    if document is None:
        return None
    return Escalation(
        chain=document["chain"],
        step=document["step"],
        version=document["version"],
        fired_at=datetime.fromisoformat(document["fired_at"]),
        told=tuple(Told(*one) for one in document.get("told", ())),
        bridge=document.get("bridge", False),
        next_at=_when(document.get("next_at")),
        halted=document.get("halted", ""),
        heard=tuple(Told(*one) for one in document.get("heard", ()))
        or tuple(Told(name, "email") for name in document.get("mailed", ())),  # as it was written before
        ended=document.get("ended", 0),
        ending=tuple(Told(*one) for one in document.get("ending", ())),
    )


def _people(told: Sequence[Told]) -> list[list[str]]:
    return [[one.contact, one.channel] for one in told]


def silence_to_json(silence: Silence) -> Json:
    """Everything but what has a column of its own (`id`, the end, the count)."""
    window = silence.schedule
    return {
        "v": 1,
        "matchers": [[one.field, list(one.patterns), one.negated] for one in silence.matchers],
        "owner": silence.owner,
        "reason": silence.reason,
        "created_at": silence.created_at,
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "schedule": None if window is None else [sorted(window.days), window.start, window.end, window.zone],
        "critical_passes": silence.critical_passes,
    }


def silence_from_json(silence_id: str, document: Mapping[str, Any], *, ended_at: datetime | None, held: int) -> Silence:
    window = document.get("schedule")
    schedule = None
    if window is not None:
        days, start, end, zone = window
        schedule = Weekly(days=frozenset(days), start=start, end=end, zone=zone)
    return Silence(
        id=silence_id,
        matchers=tuple(Matcher(name, tuple(patterns), negated) for name, patterns, negated in document["matchers"]),
        owner=document["owner"],
        reason=document["reason"],
        created_at=datetime.fromisoformat(document["created_at"]),
        starts_at=datetime.fromisoformat(document["starts_at"]),
        ends_at=datetime.fromisoformat(document["ends_at"]),
        schedule=schedule,
        critical_passes=document.get("critical_passes", False),
        ended_at=ended_at,
        held=held,
    )
