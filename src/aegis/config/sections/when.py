"""`when`: what must hold for a route or a chain of escalation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from aegis.config.sections.kinds import Section, Words, written
from aegis.core.incidents import Severity
from aegis.core.matching import Condition
from aegis.core.schedules import Weekly, parse


def _window(value: object) -> Weekly:
    return parse(value if isinstance(value, str) else "")


Window = Annotated[
    Weekly,
    PlainValidator(_window),
    WithJsonSchema({"type": "string", "examples": ["mon-fri 09:00-17:00 Europe/Berlin", "daily 22:00-07:00"]}),
]


class WhenSection(Section):
    """Every named condition must hold."""

    severity: Annotated[
        list[Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)
    ] = Field(default_factory=list)
    """Severities of the incident."""
    service: Words = Field(default_factory=list)
    """Log sources of the incident's events."""
    tag: Words = Field(default_factory=list)
    """ATT&CK techniques or tactics (attack.t1110), or ids of rules."""
    kind: Annotated[list[Literal["security", "spend"]], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)] = (
        Field(default_factory=list)
    )
    """`security`, or `spend` for what budgets and anomalies open."""
    team: Words = written([])
    """Teams whose incident it is."""
    time: Annotated[list[Window], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)] = Field(
        default_factory=list
    )
    """Windows of the week, of which one must be open: `mon-fri 09:00-17:00 Europe/Berlin`."""

    def condition(self) -> Condition:
        return Condition(
            severities=frozenset(Severity[name] for name in self.severity),
            kinds=frozenset(self.kind),
            services=frozenset(self.service),
            tags=frozenset(self.tag),
            teams=frozenset(self.team),
            times=tuple(self.time),
        )
