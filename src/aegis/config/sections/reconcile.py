"""The section `reconcile`: the ledger beside the providers' own bills, once a day."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis.config.sections.kinds import Money, Section, written
from aegis.config.sections.people import TimeOfDay

Provider = Literal["anthropic", "openai", "aws", "twilio", "virustotal"]


class ReconcileSection(Section):
    """Which bills are read, when, and what is taken over from them."""

    on: bool = True
    """Whether a running Aegis does it by itself; the command always can."""
    providers: list[Provider] = Field(default_factory=list)
    """Whose bills; empty: all whose key is there and that charge nothing for it (AWS charges a cent a day)."""
    at: TimeOfDay = written("06:30")
    """The time of day, in UTC: some hours after midnight, since bills are late."""
    days: int = Field(default=7, ge=1, le=31)
    """How many whole days are looked at each time: bills are restated."""
    apply: Literal["nothing", "outside", "all"] = "outside"
    """What is taken over without being asked: spending that never passed Aegis; `all` also gives unknown charges back."""
    above_percent: int = Field(default=1, ge=1, le=100)
    """Percents of drift above which an incident opens."""
    at_least_usd: Money = written("0.10")
    """Dollars of drift below which none does."""
