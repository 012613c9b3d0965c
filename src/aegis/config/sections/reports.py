"""The section `reports`: what Aegis writes and sends by the clock."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from aegis.config.sections.kinds import Section, written
from aegis.config.sections.people import Mail, TimeOfDay
from aegis.core.schedules import check_zone


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class WeeklySection(Section):
    """The week in figures, by mail: what it cost, what budgets will come to, what was avoided."""

    to: Annotated[list[Mail], BeforeValidator(_listed)] = Field(default_factory=list, max_length=50)
    """Addresses; without any, those of the connector `email`."""
    day: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = "monday"
    """The weekday it is sent on."""
    at: TimeOfDay = written("07:00")
    """The time of day."""
    zone: str = "UTC"
    """The zone in which it is `at` o'clock; the days of the report are UTC, as in the ledger."""

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        return check_zone(value)


class ReportsSection(Section):
    """Reports by the clock."""

    weekly: WeeklySection | None = None
