"""How often the ledger is laid beside the providers' bills, and what is taken over from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aegis.config.sections.reconcile import ReconcileSection
from aegis.core.money import USD, Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileSettings:
    """`minute` after midnight UTC; `percent` in hundredths of a percent; no `providers` means all that cost nothing to ask."""

    on: bool = True
    providers: tuple[str, ...] = ()
    minute: int = 390
    days: int = 7
    apply: Literal["nothing", "outside", "all"] = "outside"
    percent: int = 100
    at_least: Nanos = USD // 10


def reconciling(section: ReconcileSection) -> ReconcileSettings:
    """The settings of a checked section."""
    return ReconcileSettings(
        on=section.on,
        providers=tuple(dict.fromkeys(section.providers)),
        minute=section.at,
        days=section.days,
        apply=section.apply,
        percent=section.above_percent * 100,
        at_least=section.at_least_usd,
    )
