"""The offline analysis: written from the evidence, the tactics and the findings alone, in the schema of a model's.

It says what happened, to whom, since when and how often; what that means; and what to do first. It never guesses:
what the record does not hold is not said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from aegis.core.incidents import (
    Analysis,
    AnalysisSource,
    Detection,
    Finding,
    Incident,
    ObservableKind,
    Severity,
    Verdict,
)
from aegis.core.plaintext import fit, one_line
from aegis.incidents.names import short_name
from aegis.incidents.playbook import ACCOUNT_TACTICS, TECHNIQUE_STEPS, WHEN_NOTHING_ELSE, Play, contain, play_of

ACTIONS_MAX = 6
"""More first steps than six are not first steps."""
NAMED_MAX = 3
"""Things of one kind named in a sentence; the rest is counted."""
IOCS_MAX = 20
HINT_CHARS = 280
HASH_SHOWN = 12
"""Characters of a file hash that people compare; the whole one stands among the observables."""
IOC_KINDS: frozenset[ObservableKind] = frozenset({"ip", "domain", "url", "file_hash"})

_MARK = re.compile(r"(\{(?:who|host|ip|key)\})")
_PLATFORM_FIELDS: Mapping[str, frozenset[str]] = {
    "aws": frozenset({"eventName", "eventSource", "awsRegion", "recipientAccountId"}),
    "windows": frozenset(
        {"EventID", "Image", "CommandLine", "TargetUserName", "TargetObject", "Channel", "Provider_Name"}
    ),
    "web": frozenset({"cs-uri-stem", "cs-uri-query", "cs-method", "sc-status"}),
    "models": frozenset({"key_id", "cost_usd", "input_tokens", "output_tokens"}),
    "linux": frozenset({"program", "auth_method"}),
}
_KIND_WORDS: Mapping[ObservableKind, tuple[str, str]] = {
    "ip": ("address", "addresses"),
    "user": ("user", "users"),
    "account": ("account", "accounts"),
    "key": ("key", "keys"),
    "email": ("mailbox", "mailboxes"),
    "host": ("host", "hosts"),
    "domain": ("domain", "domains"),
    "url": ("URL", "URLs"),
    "file_hash": ("file hash", "file hashes"),
}


def analyse_offline(incident: Incident, *, why: str, at: datetime, flags: tuple[str, ...] = ()) -> Analysis:
    """The analysis of an incident from its own record. `why` says why no model was asked (kept for the reader)."""
    spend = incident.kind == "spend"
    return Analysis(
        source=AnalysisSource.OFFLINE,
        model="",
        summary=_spend_summary(incident) if spend else _summary(incident),
        impact=_spend_impact(incident) if spend else _impact(incident),
        actions=_steps(incident) if spend else _actions(incident),
        confidence=_confidence(incident),
        severity=incident.severity,
        techniques=incident.techniques,
        iocs=tuple(observable for observable in incident.observables if observable.kind in IOC_KINDS)[:IOCS_MAX],
        why_offline=why,
        flags=flags,
        at=at,
    )


def _summary(incident: Incident) -> str:
    others = [title for title in _titles(incident.detections) if not incident.title.startswith(title)]
    sentences = [f"{incident.title}: {seen(incident)}.", *_alerts_say(incident)]
    if involved := _involved(incident):
        sentences.append(f"Involved: {involved}.")
    if others:
        sentences.append(f"Seen with it: {_listed(others, NAMED_MAX)}.")
    if len(incident.rules) > 1 and len(plays := _plays(incident)) > 1:
        sentences.append(f"Taken together this looks like {_joined([play.words for play in plays])}.")
    if bad := _worst_findings(incident.findings):
        sentences.append(bad)
    return " ".join(sentences)


def _alerts_say(incident: Incident) -> list[str]:
    """What the systems that raised alerts say about them, in their own words."""
    said = [one.evidence for one in incident.detections if one.entity.kind == "alert" and one.evidence.get("summary")]
    words = dict.fromkeys(f"{one_line(one.get('product', ''))} says: {one_line(one['summary'])}" for one in said)
    return [word if word.endswith((".", "!", "?")) else f"{word}." for word in list(words)[:NAMED_MAX]]


def seen(incident: Incident) -> str:
    """How often and when, in words: `42 detections by 3 rules between 03:12 and 03:19 UTC on 21 November 2026`."""
    first, last = incident.first_seen, incident.last_seen
    times = "1 detection" if incident.count == 1 else f"{incident.count:,} detections"
    if len(incident.rules) > 1:
        times += f" by {len(incident.rules)} rules"
    if f"{first:%F %H:%M}" == f"{last:%F %H:%M}":
        return f"{times} at {first:%H:%M} UTC on {_day(first)}"
    if first.date() == last.date():
        return f"{times} between {first:%H:%M} and {last:%H:%M} UTC on {_day(first)}"
    return f"{times} between {first:%H:%M} UTC on {_day(first)} and {last:%H:%M} UTC on {_day(last)}"


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"


def _involved(incident: Incident) -> str:
    parts: list[str] = []
    for kind, (one, many) in _KIND_WORDS.items():
        values = [observable.value for observable in incident.observables if observable.kind == kind]
        if incident.entity.kind == kind:
            values = [incident.entity.value, *(value for value in values if value != incident.entity.value)]
        if kind == "file_hash":
            values = [f"{value[:HASH_SHOWN]}…" for value in values]
        if values:
            parts.append(f"{one if len(values) == 1 else many} {_listed(values, NAMED_MAX)}")
    return "; ".join(parts)


def _titles(detections: Iterable[Detection]) -> list[str]:
    worst_first = sorted(detections, key=lambda detection: -detection.severity)
    return list(dict.fromkeys(fit(one_line(detection.title), 100) for detection in worst_first))


def _plays(incident: Incident) -> list[Play]:
    found = {play.order: play for tactic in incident.tactics if (play := play_of(tactic))}
    return [found[order] for order in sorted(found)]


def _worst_findings(findings: tuple[Finding, ...]) -> str:
    bad = [finding for finding in findings if finding.verdict in (Verdict.MALICIOUS, Verdict.SUSPICIOUS)]
    bad.sort(key=lambda finding: finding.verdict is not Verdict.MALICIOUS)
    return " ".join(_said(finding) for finding in bad[:NAMED_MAX])


def _said(finding: Finding) -> str:
    engines = finding.facts.get("engines", "")
    why = f" ({one_line(engines)})" if engines else ""
    return f"{finding.source.capitalize()} rates {_short(finding.observable.value)} {finding.verdict.value}{why}."


def _impact(incident: Incident) -> str:
    plays, platform = _plays(incident), platform_of(incident)
    if not plays:
        return "What this means depends on whether it was meant: ask the owner of what is named above."
    return " ".join(play.impact_on.get(platform, play.impact) for play in reversed(plays[-2:]))


def _actions(incident: Incident) -> tuple[str, ...]:
    """First steps, the latest stage of the attack first: that is where it hurts."""
    platform, plays = platform_of(incident), _plays(incident)
    steps: list[str] = []
    if incident.severity >= Severity.HIGH and any(
        play_of(tactic) and _normal(tactic) in ACCOUNT_TACTICS for tactic in incident.tactics
    ):
        steps.append(contain(platform)[0])
    for play in reversed(plays):
        steps.extend(play.steps.get(platform) or play.steps.get("", ()))
    steps[2:2] = _technique_steps(incident)[:2]
    steps.extend(contain(platform) if incident.severity >= Severity.MEDIUM else contain(platform)[1:])
    steps.extend(WHEN_NOTHING_ELSE)
    names = _names(incident)
    filled = tuple(dict.fromkeys(text for step in steps if (text := _fill(step, names))))
    hint = _hint(incident.findings)
    return (*filled[: ACTIONS_MAX - 1], hint) if hint else filled[:ACTIONS_MAX]


def _hint(findings: Iterable[Finding]) -> str:
    """What the ATT&CK catalogue says about looking further, if the catalogue was there."""
    for finding in findings:
        if finding.observable.kind == "technique":
            for label in ("hunting", "detection"):
                if advice := one_line(finding.facts.get(label, "")).partition(" | ")[0]:
                    return fit(f"To look further ({finding.observable.value}): {advice}", HINT_CHARS)
    return ""


def _normal(tactic: str) -> str:
    return tactic.lower().replace("_", "-").replace(" ", "-")


def _technique_steps(incident: Incident) -> list[str]:
    inside = any(_normal(tactic) == "initial-access" for tactic in incident.tactics)
    known = (one if one in TECHNIQUE_STEPS else one.partition(".")[0] for one in incident.techniques)
    found = (TECHNIQUE_STEPS[one] for one in known if one in TECHNIQUE_STEPS and not (inside and one == "T1110"))
    return list(dict.fromkeys(found))  # guessed passwords: once somebody is in, nobody need check whether


def _names(incident: Incident) -> dict[str, str]:
    """What the marks in a step stand for; empty where the incident has no such thing."""
    values: dict[str, dict[str, None]] = {}
    for observable in (incident.entity, *incident.observables):
        values.setdefault(observable.kind, {})[observable.value] = None
    named = {kind: _listed(list(found), 2) for kind, found in values.items()}
    who = next((named[kind] for kind in ("user", "account", "email", "key") if kind in named), "")
    return {"{who}": who, **{f"{{{kind}}}": named.get(kind, "") for kind in ("host", "ip", "key")}}


def _fill(step: str, names: Mapping[str, str]) -> str:
    """The step with names filled in; "" when the incident does not have what the step is about."""
    parts = _MARK.split(step)  # one pass: a value is never read as a mark
    if any(part in names and not names[part] for part in parts):
        return ""
    return "".join(names.get(part, part) for part in parts)


def platform_of(incident: Incident) -> str:
    """Where it happened (aws, windows, web, models, linux), by the fields of the evidence; "" when they do not say."""
    fields = {name for detection in incident.detections for name in detection.evidence}
    scores = {platform: len(known & fields) for platform, known in _PLATFORM_FIELDS.items()}
    best = max(scores, key=lambda platform: scores[platform])
    return best if scores[best] else ""


def _confidence(incident: Incident) -> Literal["low", "medium", "high"]:
    if any(finding.verdict is Verdict.MALICIOUS for finding in incident.findings) or len(incident.rules) >= 3:
        return "high"
    return "medium" if len(incident.rules) == 2 or incident.severity >= Severity.HIGH else "low"


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _listed(values: list[str], most: int) -> str:
    """`a, b, c and 4 more`."""
    shown = [_short(value) for value in values[:most]]
    rest = len(values) - len(shown)
    return f"{', '.join(shown)} and {rest} more" if rest else _joined(shown) if shown else ""


def _short(value: str) -> str:
    return short_name(value, 80)


# --- spend -----------------------------------------------------------------------------------------------------

_SPEND_STEPS = (
    "Look at who spent it: the dashboard and `aegis spend today --by key,model` list keys, models and purposes.",
    "If one key stands out and its owner cannot explain it, disable that key at the provider and issue a new one.",
    "If the use is wanted, raise the budget on purpose; nothing raises it by itself.",
    "Check that the work which matters still has its share: CRITICAL incidents keep a reserve only if one is set.",
)


def _steps(incident: Incident) -> tuple[str, ...]:
    """What to do about money, or about an emergency stop."""
    return _STOP_STEPS if _stop_facts(incident) else _SPEND_STEPS


_STOP_STEPS = (
    "Find out what spent or failed before anything comes back: `aegis spend --by key,model`, `aegis explain CALL`.",
    "See how the stop stands and what is left to do: `aegis recover status`.",
    "When the cause is known, ask for the return: `aegis recover --approver NAME --root-cause TEXT`.",
)


def _stop_facts(incident: Incident) -> Mapping[str, str]:
    """What is known of an emergency stop, where the incident is one."""
    facts = incident.detections[0].evidence if incident.detections else {}
    return facts if facts.get("stop") else {}


def _spend_summary(incident: Incident) -> str:
    facts = incident.detections[0].evidence if incident.detections else {}
    if stop := _stop_facts(incident):
        said = [f"{incident.title}.", f"{one_line(stop.get('by', ''))} stopped it: {one_line(stop.get('reason', ''))}."]
        return " ".join([*said, f"Before, it cost {stop['burn']} an hour."] if stop.get("burn") else said)
    said = [f"{incident.title}."]
    if facts.get("spent") and facts.get("limit"):
        said.append(f"Spent {one_line(facts['spent'])} of {one_line(facts['limit'])}.")
    if facts.get("resets_at"):
        said.append(f"The next window opens at {one_line(facts['resets_at'])}.")
    return " ".join(said)


def _spend_impact(incident: Incident) -> str:
    if stop := _stop_facts(incident):
        return one_line(stop.get("effect", ""))
    if incident.severity is Severity.CRITICAL:
        return (
            "Calls on this budget are refused until its next window: analysis goes on offline, other users of it stop."
        )
    return "Nothing is refused yet; at this pace the budget may run out before its window ends."
