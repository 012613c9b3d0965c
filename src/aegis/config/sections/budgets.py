"""`budgets`, `budget_thresholds` and `actions`: hard limits, and what is done when a level is crossed."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, field_validator, model_validator
from pydantic_core.core_schema import ValidationInfo

from aegis.config import scalars
from aegis.config.problems import unknown
from aegis.config.sections.kinds import AMOUNT_PATTERN, SIZE_PATTERN, Duration, Percent, Section, Words, written
from aegis.core.budgets import LEVELS, MONEY
from aegis.governor.actions import NAMES

SCOPES = ("team", "key", "provider", "model", "service", "purpose", "source", "severity", "operation")
"""What a budget can be about; `all` is a scope without conditions."""

WINDOWS = ("daily", "weekly", "monthly", "rolling")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class InUnit(str):
    """A written amount that knows its budget's unit, so that it can be read where it stands."""

    __slots__ = ("unit",)
    unit: str

    @classmethod
    def of(cls, text: str, unit: str) -> InUnit:
        self = cls(text)
        self.unit = unit
        return self


def _units(value: object) -> int:
    text = value if isinstance(value, str) else ""
    return scalars.units(text, value.unit if isinstance(value, InUnit) else MONEY)


def _level(value: object, info: ValidationInfo) -> int:
    """A level below emergency: an amount, or a percentage of the emergency amount; levels rise."""
    limit = info.data.get("emergency")
    if isinstance(value, str) and value.endswith("%"):
        share = scalars.percent(value)
        amount = (limit or 0) * share // 100
    else:
        amount = _units(value)
    if limit is not None and amount > limit:
        raise ValueError("must not be above emergency, which is the hard limit")
    if info.field_name == "critical" and amount < (info.data.get("warning") or 0):
        raise ValueError("must not be below warning")
    return amount


_ANY_AMOUNT = f"{AMOUNT_PATTERN}|{SIZE_PATTERN}"
Limit = Annotated[
    int,
    BeforeValidator(_units),
    WithJsonSchema({"type": ["number", "string"], "pattern": _ANY_AMOUNT, "examples": ["10.00", "10TB", "25k"]}),
]
LevelAmount = Annotated[
    int,
    PlainValidator(_level),
    WithJsonSchema(
        {"type": ["number", "string"], "pattern": f"{_ANY_AMOUNT}|^\\d{{1,3}}\\s?%$", "examples": ["5.00", "75%"]}
    ),
]


class Levels(Section):
    """The amounts of one window: dollars, or units of the budget's meter; warning and critical also as percentages."""

    emergency: Limit
    """The hard limit: what would go over it is refused."""
    warning: LevelAmount | None = None
    """Crossing it fires the actions `warning`, once in a window."""
    critical: LevelAmount | None = None
    """Crossing it fires the actions `critical`, once in a window."""


class Rolling(Levels):
    """A window that ends now."""

    span: Duration = written("24h")
    """How far back it reaches."""


class Windows(Section):
    """At least one window."""

    daily: Levels | None = None
    weekly: Levels | None = None
    monthly: Levels | None = None
    rolling: Rolling | None = None


class ThrottleSection(Section):
    """From which share of the limit calls are spaced out, and by how much."""

    light: Percent = written("60%")
    """From here calls are spaced by `light_delay`."""
    moderate: Percent = written("75%")
    """From here by `moderate_delay`."""
    heavy: Percent = written("85%")
    """From here by `heavy_delay`."""
    block: Percent = written("95%")
    """From here calls below HIGH wait for the next window; HIGH ones are spaced by `heavy_delay`, CRITICAL ones pass."""
    light_delay: Duration = written("1s")
    """Time between two calls from `light` on."""
    moderate_delay: Duration = written("3s")
    """Time between two calls from `moderate` on."""
    heavy_delay: Duration = written("10s")
    """Time between two calls from `heavy` on."""

    @field_validator("moderate", "heavy", "block")
    @classmethod
    def _steps_rise(cls, value: int, info: ValidationInfo) -> int:
        steps = ("light", "moderate", "heavy", "block")
        below = steps[steps.index(str(info.field_name)) - 1]
        if value <= info.data.get(below, -1):
            raise ValueError(f"must be above {below}")
        return value


def _scope(value: object) -> object:
    return {} if value == "all" else value


class BudgetSection(Windows):
    """One budget: who or what it covers, in which unit, and its windows."""

    scope: Annotated[
        dict[str, str],
        BeforeValidator(_scope),
        WithJsonSchema(
            {
                "anyOf": [
                    {"const": "all"},
                    {
                        "type": "object",
                        "properties": {name: {"type": "string"} for name in SCOPES},
                        "additionalProperties": False,
                    },
                ]
            }
        ),
    ] = written("all")
    """`all`, or what a call must be: `{service: athena}`; a value of `*` gives every value a budget of its own."""
    meter: str = Field(default=MONEY, pattern=r"^[a-z][a-z0-9_]{0,63}$")
    """`usd`, or what the service counts: bytes_scanned, input_tokens, output_tokens, requests, messages."""
    mode: Literal["enforce", "observe"] = "enforce"
    """`observe` decides and records, and refuses nothing."""
    reserve: dict[Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"], Percent] = Field(default_factory=dict)
    """Shares that only calls of at least this severity may use."""
    throttle: ThrottleSection | None = None
    timezone: str = "UTC"
    """The IANA zone whose midnights open the windows."""
    week_start: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = "monday"
    """The day on which a week begins."""

    @model_validator(mode="before")
    @classmethod
    def _amounts_know_their_unit(cls, raw: Any) -> Any:
        """The meter decides how amounts are written, so each amount is given it before it is read."""
        if not isinstance(raw, dict):
            return raw
        if not any(raw.get(window) for window in WINDOWS):
            raise ValueError("must have a window: daily, weekly, monthly or rolling")
        unit = raw.get("meter", MONEY)
        return {
            key: _with_unit(value, unit) if key in WINDOWS and isinstance(value, dict) else value
            for key, value in raw.items()
        }

    @field_validator("scope")
    @classmethod
    def _scopes_are_known(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name not in SCOPES:
                raise ValueError(f"has {name}, which {unknown(name, SCOPES, what='scope')}")
        return value

    @field_validator("reserve")
    @classmethod
    def _something_is_left(cls, value: dict[str, int]) -> dict[str, int]:
        if sum(value.values()) >= 100:
            raise ValueError("must leave something: together the shares are below 100%")
        return value

    @field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("must be an IANA time zone such as Europe/Berlin") from None
        return value

    @property
    def week_starts_on(self) -> int:
        return _WEEKDAYS.index(self.week_start)


def _with_unit(levels: dict[str, Any], unit: str) -> dict[str, Any]:
    return {
        level: InUnit.of(amount, unit) if level in LEVELS and isinstance(amount, str) else amount
        for level, amount in levels.items()
    }


class ActionsSection(Section):
    """What is done once when a budget crosses a level. By default it is told and nothing else: the emergency amount
    refuses by itself what would go over it, and lets calls in again when the next window opens.
    """

    warning: Words = Field(default_factory=lambda: ["log"])
    """At the warning level."""
    critical: Words = Field(default_factory=lambda: ["log"])
    """At the critical level."""
    emergency: Words = Field(default_factory=lambda: ["log"])
    """At the emergency level, or at the first refusal for want of budget."""

    @field_validator("warning", "critical", "emergency")
    @classmethod
    def _actions_are_known(cls, value: list[str]) -> list[str]:
        for word in value:
            if word not in NAMES:
                raise ValueError(f"has {word}, which {unknown(word, NAMES, what='action')}")
        return value
