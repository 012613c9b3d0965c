"""One sentence for everything that happens: the terminal feed and the dashboard's live list say the same words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from aegis.core.incidents import AnalysisSource, Incident
from aegis.core.money import show_usd
from aegis.core.telemetry import (
    CallEnded,
    DeliveryEnded,
    DetectionMade,
    EventsTaken,
    Happened,
    HeldBack,
    IncidentChanged,
    LevelCrossed,
    LoopFailed,
    WindowReset,
)

Tone = Literal["quiet", "low", "medium", "high", "critical", "good", "bad"]


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A line of the feed: when, what it is about (a stable word), how loud, and the sentence."""

    at: datetime
    kind: str
    tone: Tone
    text: str
    incident_id: str = ""


def feed_line(happened: Happened) -> FeedLine | None:
    """The line for a record, or None where a person would learn nothing (a single HTTP exchange, a quiet success)."""
    match happened:
        case EventsTaken() if happened.rejected:
            return FeedLine(happened.at, "intake", "bad", f"{happened.rejected} lines of {happened.source} set aside")
        case DetectionMade(detection=detection) if detection.entity.kind != "budget":
            text = f"{detection.title} ({detection.entity.kind} {detection.entity.value})"
            return FeedLine(happened.at, "detection", _tone(detection.severity.name), text)
        case IncidentChanged():
            return _incident_line(happened)
        case CallEnded():
            return _call_line(happened)
        case LevelCrossed():
            text = f"budget {happened.budget} ({happened.window}) crossed {happened.level}"
            return FeedLine(happened.at, "budget", "critical" if happened.level == "emergency" else "high", text)
        case WindowReset():
            text = f"budget {happened.budget} opened a new window ({happened.window})"
            return FeedLine(happened.at, "budget", "good", text)
        case HeldBack():
            return FeedLine(happened.at, "incident", "quiet", f"held back by {happened.why}", happened.incident_id)
        case LoopFailed():
            return FeedLine(
                happened.at, "aegis", "bad", f"{happened.loop} failed and begins again ({happened.message})"
            )
        case DeliveryEnded(outcome="retry" | "dead"):
            word = "will try again" if happened.outcome == "retry" else "gave up, kept as a dead letter"
            tone: Tone = "medium" if happened.outcome == "retry" else "bad"
            return FeedLine(happened.at, "delivery", tone, f"{happened.service}: {word} ({happened.message})")
    return None


def _tone(name: str) -> Tone:
    tones: dict[str, Tone] = {"LOW": "low", "MEDIUM": "medium", "HIGH": "high", "CRITICAL": "critical"}
    return tones[name]


def _incident_line(happened: IncidentChanged) -> FeedLine | None:
    incident = happened.incident
    words = {
        "opened": f"opened {incident.severity.name}: {incident.title}",
        "raised": f"raised to {incident.severity.name}: {incident.title}",
        "analysed": _analysed(incident),
        "acknowledged": f"acknowledged: {incident.title}",
        "resolved": f"resolved: {incident.title}",
        "reopened": f"reopened: {incident.title}",
        "budget": f"{incident.severity.name}: {incident.title}",
        "escalated": f"nobody acted, more people are told: {incident.title}",
    }
    text = words.get(happened.change)
    if text is None or (happened.change == "analysed" and incident.kind == "spend"):
        return None
    quiet = happened.change in ("analysed", "acknowledged", "resolved")
    tone: Tone = "good" if quiet else _tone(incident.severity.name)
    return FeedLine(happened.at, "incident", tone, text, incident.id)


def _analysed(incident: Incident) -> str:
    analysis = incident.analysis
    if analysis is None:
        return f"analysed: {incident.title}"
    if analysis.source is AnalysisSource.OFFLINE:
        why = f" ({analysis.why_offline})" if analysis.why_offline else ""
        return f"offline analysis{why}: {_first(analysis.summary)}"
    cost = "cached, free" if analysis.source is AnalysisSource.CACHED else show_usd(analysis.cost, decimals=4)
    return f"{analysis.model} ({cost}): {_first(analysis.summary)}"


def _first(text: str) -> str:
    """The first sentence: the rest stands on the incident's page."""
    sentence, stop, _ = text.partition(". ")
    return sentence + ("." if stop else "")


def _call_line(happened: CallEnded) -> FeedLine | None:
    who = f"{happened.service} {happened.model}".strip()
    if happened.outcome == "refused":
        return FeedLine(happened.at, "call", "high", f"{who} refused by {happened.refused}: {happened.message}")
    if happened.outcome == "failed":
        return FeedLine(happened.at, "call", "medium", f"{who} failed: {happened.message}")
    if happened.cost:
        return FeedLine(happened.at, "call", "quiet", f"{who} cost {show_usd(happened.cost, decimals=4)}")
    return None
