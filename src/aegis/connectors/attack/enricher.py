"""Answers what a technique is from the catalogue; without one, from the names that Aegis' own rules use.

A look-up opens no connection. `fetch` gets the public bundle once, when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from aegis.connectors.attack.catalogue import Catalogue, Entry
from aegis.connectors.attack.stix import TECHNIQUE_ID, parse_stix
from aegis.core.errors import BadInput, ConfigError
from aegis.core.exchange import failure, json_object
from aegis.core.incidents import Finding, Observable, Verdict
from aegis.core.plaintext import one_line
from aegis.core.ports import Clock, Enriched, Http, HttpAnswer, HttpRequest, NewId
from aegis.core.techniques import TACTICS, TECHNIQUES, Technique

NAME = "attack"

BUNDLE_BYTES_MAX = 128 * 1024 * 1024
"""The enterprise bundle is some 50 MB."""

BUNDLE_TIMEOUT_MS = 180_000

PAGES = "https://attack.mitre.org/techniques"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Where the catalogue is kept and where it comes from."""

    catalogue: str = field(
        default="", metadata={"help": "file that `aegis attack update` wrote, or a STIX bundle; empty: own names only"}
    )
    base_url: str = field(
        default="https://raw.githubusercontent.com/mitre-attack/attack-stix-data/master/enterprise-attack",
        metadata={"help": "folder that holds enterprise-attack.json"},
    )


class Attack:
    """`Enricher` for observables of kind `technique`."""

    name = NAME

    def __init__(self, catalogue: Catalogue, *, clock: Clock, own: Mapping[str, Technique] = TECHNIQUES) -> None:
        self._catalogue, self._own, self._clock = catalogue, own, clock

    def accepts(self, observable: Observable) -> bool:
        """Whether it is a technique's id."""
        return observable.kind == "technique" and bool(TECHNIQUE_ID.fullmatch(observable.value.upper()))

    async def enrich(self, observable: Observable) -> Enriched:
        """Look the technique up; an id that nobody knows is a finding too."""
        technique_id, now = observable.value.upper(), self._clock.now()
        entry = self._catalogue.find(technique_id)
        own = self._own.get(technique_id)
        if entry:
            found = _from_catalogue(observable, technique_id, entry, now)
        elif own:
            tactics = ", ".join(TACTICS.get(tactic, tactic) for tactic in own.tactics)
            found = _finding(observable, own.id, own.name, {"tactics": tactics}, now)
        else:
            found = _finding(observable, technique_id, "not in the catalogue", {}, now)
        return Enriched(finding=found, usage={"requests": 1})


def _from_catalogue(observable: Observable, asked: str, entry: Entry, now: datetime) -> Finding:
    facts = {
        "tactics": ", ".join(entry.tactics),
        "platforms": ", ".join(entry.platforms),
        "what": entry.description,
        "detection": entry.detection,
        "mitigations": " | ".join(entry.mitigations),
        "hunting": " | ".join(entry.hunting),
        "data sources": ", ".join(entry.data_sources),
        "replaces": asked if entry.id != asked else "",
    }
    return _finding(observable, entry.id, entry.name, facts, now)


def _finding(observable: Observable, technique_id: str, name: str, facts: Mapping[str, str], now: datetime) -> Finding:
    return Finding(
        source=NAME,
        observable=observable,
        verdict=Verdict.UNKNOWN,  # a technique is neither good nor bad
        title=one_line(f"{technique_id} {name}"),
        at=now,
        facts={label: value for label, value in facts.items() if value},
        link=f"{PAGES}/{technique_id.replace('.', '/')}/",
    )


async def fetch(config: Config, http: Http, *, clock: Clock) -> Catalogue:
    """The catalogue of the public bundle. Raises `ServiceError` or, for something that is no bundle, `BadInput`."""
    answer = await http.send(
        HttpRequest(
            service=NAME,
            method="GET",
            url=f"{config.base_url.rstrip('/')}/enterprise-attack.json",
            timeout_ms=BUNDLE_TIMEOUT_MS,
            answer_bytes_max=BUNDLE_BYTES_MAX,
        )
    )
    if answer.status != 200:
        raise failure(NAME, answer, now=clock.now())
    bundle = json_object(answer)
    if bundle is None:
        raise BadInput("what was fetched is no STIX bundle", code="not_stix")
    return parse_stix(bundle)


def read_catalogue(path: str) -> Catalogue:
    """The catalogue in a file: one that `aegis attack update` wrote, or a STIX bundle as it was published.

    An empty one when no file is named or there. Raises `ConfigError` for a bad file.
    """
    file = Path(path)
    if not path or not file.is_file():
        return Catalogue()
    if file.stat().st_size > BUNDLE_BYTES_MAX:
        raise ConfigError(f"{path}: larger than {BUNDLE_BYTES_MAX} bytes; run `aegis attack update`")
    try:
        text = file.read_bytes()
        bundle = json_object(HttpAnswer(status=200, headers={}, body=text))
        if bundle and bundle.get("type") == "bundle":
            return parse_stix(bundle)
        return Catalogue.from_json(text)
    except (BadInput, OSError) as error:
        raise ConfigError(f"{path}: {error}; run `aegis attack update`") from error


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId) -> Attack:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return Attack(read_catalogue(config.catalogue), clock=clock)
