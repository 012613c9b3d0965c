"""What usage costs: whole nano-dollars per million units, dated, tiered by the length of the prompt.

A cost is rounded up once, on the total. Unknown never means free: a model without a price raises `UnknownPrice`
with the line that sets one, while an explicit zero is free. The rule for tiers is the industry's "cliff": a prompt
longer than a tier's start pays that tier's rate for every unit (Anthropic and OpenAI price pages, long context).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from aegis.core.calls import Usage
from aegis.core.errors import BadInput, UnknownPrice
from aegis.core.money import CALL_MAX, Nanos, format_usd
from aegis.core.usage import PROMPT, PROMPT_METERS

MILLION = 1_000_000
NAMES_REMEMBERED = 4_096
"""Model names whose price is remembered: names come from callers, so the memory is bounded."""

Tiers = tuple[tuple[int, Nanos], ...]
"""Pairs of (prompt tokens above which it holds, nano-dollars per million units); the first starts at 0."""

_INPUT_METERS = (*PROMPT_METERS, "cache_write_1h_tokens", PROMPT)
_STAND_INS = {
    # A meter without a rate of its own is charged like the nearest dearer one, never at zero.
    "cache_read_tokens": ("input_tokens",),
    "cache_write_tokens": ("cache_write_1h_tokens", "input_tokens"),
    "cache_write_1h_tokens": ("cache_write_tokens", "input_tokens"),
}
LIST_TIERS = frozenset({"", "default", "standard", "standard_only", "auto", "on_demand"})
"""What vendors call the tier of the list price; `auto` is that of the project, which an answer then names."""
CHEAPER_TIERS = frozenset({"batch", "flex"})
"""Tiers that cost less wherever they are sold: without a price of their own they count at the list price."""
_NEVER_BILLED = frozenset({"requests"})
"""Meters that are counted for quotas and are free unless a price names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The rates of one model (or of a service without models: `model` is empty) from a day on."""

    service: str
    model: str
    rates: Mapping[str, Tiers]
    since: date = date.min
    source: str = ""
    tiers: Mapping[str, Price] = field(default_factory=dict, compare=False)
    """The same model where a request asks for another tier of service: `batch`, `flex`, `priority`."""
    _flat: dict[str, Nanos] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Rates that no prompt length changes: most models have no other."""
    _by_request: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_request", "requests" in self.rates)
        flat = {meter: tiers[0][1] for meter, tiers in self.rates.items() if len(tiers) == 1}
        if len(flat) == len(self.rates):
            if "input_tokens" in flat:
                flat[PROMPT] = max(self._tiers(meter)[0][1] for meter in PROMPT_METERS)
            object.__setattr__(self, "_flat", flat)

    def at(self, tier: str) -> Price:
        """The price at a tier of service. Raises `UnknownPrice` for a tier that nobody priced: it may cost a multiple."""
        if tier in LIST_TIERS:
            return self
        if tier in self.tiers:
            return self.tiers[tier]
        if tier in CHEAPER_TIERS or not self.rates:
            return self
        raise UnknownPrice(f"{self.service} {self.model}: nobody knows what the tier {tier[:32]!r} costs")

    def cost(self, usage: Usage) -> Nanos:
        """What `usage` costs, rounded up. Raises `UnknownPrice` for a meter without a rate, `BadInput` above `CALL_MAX`."""
        return self._total(usage, dearest=False)

    def worst(self, usage: Usage) -> Nanos:
        """An upper bound for any usage that stays within `usage`: each meter at the dearest tier it could reach."""
        return self._total(usage, dearest=True)

    def parts(self, usage: Usage) -> Mapping[str, int]:
        """What each meter of `usage` contributes to its cost, in millionths of a nano-dollar (so nothing is rounded): their
        sum, rounded up to a nano-dollar, is the cost. Raises `UnknownPrice` for a meter without a rate.
        """
        if not self.rates:
            return dict.fromkeys(usage, 0)
        prompt = sum([usage.get(name, 0) for name in _INPUT_METERS])
        found = {
            meter: units * self._rate(meter, prompt, dearest=False) if units else 0 for meter, units in usage.items()
        }
        if self._by_request and "requests" not in usage:
            found["requests"] = _rate(self.rates["requests"], 0, dearest=False)
        return found

    def _total(self, usage: Usage, *, dearest: bool) -> Nanos:
        if not self.rates:
            return 0  # an explicit price of zero
        flat, total, prompt = self._flat, 0, -1
        for meter, units in usage.items():
            rate = flat.get(meter)
            if rate is not None:
                total += units * rate
                continue
            if units:
                if prompt < 0:
                    prompt = sum([usage.get(name, 0) for name in _INPUT_METERS])
                total += units * self._rate(meter, prompt, dearest=dearest)
        if self._by_request and "requests" not in usage:
            total += _rate(self.rates["requests"], 0, dearest=dearest)  # every call is one request
        cost = -(-total // MILLION)
        if cost > CALL_MAX:
            what = f"{self.service} {self.model}".rstrip()
            raise BadInput(
                f"{what}: one call for {format_usd(cost)} USD is a broken report or a slip in prices:", code="bad_usage"
            )
        return cost

    def _rate(self, meter: str, prompt: int, *, dearest: bool) -> Nanos:
        if meter == PROMPT:
            return max(_rate(self._tiers(name), prompt, dearest=dearest) for name in PROMPT_METERS)
        return _rate(self._tiers(meter), prompt, dearest=dearest)

    def _tiers(self, meter: str) -> Tiers:
        tiers = self.rates.get(meter)
        if tiers is not None:
            return tiers
        for stand_in in _STAND_INS.get(meter, ()):
            if stand_in in self.rates:
                return self.rates[stand_in]
        if meter in _NEVER_BILLED or not self.rates:
            return ((0, 0),)
        raise UnknownPrice(
            f"{self.service} {self.model}: no price for {meter}; set it with "
            f'prices: {{"{self.service}/{self.model}": {{{meter}: <USD per million>}}}}'
        )


def _rate(tiers: Tiers, prompt: int, *, dearest: bool) -> Nanos:
    if len(tiers) == 1:
        return tiers[0][1]
    reached = [rate for above, rate in tiers if prompt > above or above == 0]
    return max(reached) if dearest else reached[-1]


def free(service: str, model: str = "") -> Price:
    """An explicit price of zero: the service counts requests and bills none (VirusTotal's public API, chat hooks)."""
    return Price(service=service, model=model, rates={}, source="free")


@dataclass(frozen=True, slots=True)
class Pattern:
    """How a price table recognises a model's name: `kind` is equals, starts, ends, contains or regex."""

    kind: str
    text: str

    def matches(self, model: str) -> bool:
        match self.kind:
            case "equals":
                return model == self.text
            case "starts":
                return model.startswith(self.text)
            case "ends":
                return model.endswith(self.text)
            case "contains":
                return self.text in model
            case "regex":
                return re.search(self.text, model) is not None
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One entry of a price table: which names it is for, and its prices by date."""

    service: str
    name: str
    patterns: tuple[tuple[Pattern, ...], ...]
    """Any of these groups matches when all of its patterns do."""
    prices: tuple[Price, ...]

    def matches(self, model: str) -> bool:
        return model == self.name or any(all(p.matches(model) for p in group) for group in self.patterns)

    def on(self, day: date) -> Price | None:
        """The price that holds on `day`: the newest that has begun."""
        begun = [price for price in self.prices if price.since <= day]
        return max(begun, key=lambda price: price.since) if begun else None


@dataclass(slots=True)
class PriceBook:
    """All prices: overrides first (exact names), then the listed models in order."""

    listed: Sequence[Listed] = ()
    overrides: Mapping[tuple[str, str], Price] = field(default_factory=dict)
    _by_service: dict[str, list[Listed]] = field(default_factory=dict, init=False)
    _remembered: dict[tuple[str, str, date], tuple[Price, str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for entry in self.listed:
            self._by_service.setdefault(entry.service, []).append(entry)

    def change(self, other: PriceBook) -> None:
        """From now on these prices hold, for whoever has this book."""
        self.listed, self.overrides, self._by_service = other.listed, other.overrides, other._by_service
        self._remembered.clear()

    def price(self, service: str, model: str, day: date) -> Price:
        """The price of `model` on `day`. Raises `UnknownPrice`, whose message holds the line that sets it."""
        return self.found(service, model, day)[0]

    def found(self, service: str, model: str, day: date) -> tuple[Price, str]:
        """The price, and the one name under which the model is budgeted and stopped: a vendor's model answers to many
        (dated, prefixed, in capitals), and a limit on one of them has to hold for all. Raises `UnknownPrice`.
        """
        key = (service, model, day)
        found = self._remembered.get(key)
        if found is None:
            found = self._find(service, model.lower(), day)
            if len(self._remembered) >= NAMES_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = found
        return found

    def name(self, service: str, model: str, day: date) -> str:
        """That name; `model` itself where nobody lists it. An empty `service` looks through all of them."""
        services = [service] if service else dict.fromkeys((*(key[0] for key in self.overrides), *self._by_service))
        for one in services:
            try:
                return self.found(one, model, day)[1]
            except UnknownPrice:
                continue
        return model

    def _find(self, service: str, model: str, day: date) -> tuple[Price, str]:
        for key in ((service, model), (service, "")):
            if key in self.overrides:
                return self.overrides[key], model
        for entry in self._by_service.get(service, ()):
            if entry.matches(model) and (price := entry.on(day)):
                return price, entry.name
        what = f"{service}/{model}" if model else service
        raise UnknownPrice(
            f"nobody knows what {what} costs, and unknown is not free; set "
            f'prices: {{"{what}": {{input_tokens: 3.00, output_tokens: 15.00}}}} (USD per million; 0 is free)'
        )

    def explain(self, service: str, model: str, day: date) -> str:
        """One line for people: the rates and where they come from."""
        price = self.price(service, model, day)
        rates = ", ".join(
            f"{meter} {' / '.join(format_usd(rate) + (f' above {above:,}' if above else '') for above, rate in tiers)}"
            for meter, tiers in price.rates.items()
        )
        return f"{service} {model}: {rates or 'free'} USD per million ({price.source or 'listed'})"
