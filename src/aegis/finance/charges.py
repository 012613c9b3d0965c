"""Takes the cost of each call apart into its meters and adds that up by the hour: what every export of the bill is made from.

Policy: nothing is lost or made up. The parts of a call add up to what the ledger charged for it, to the nano-dollar; where
the price list of its day would say otherwise, the ledger is right and the parts keep its proportions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Final

from aegis.core.charges import Charge, ChargeKey, EndedAttempt
from aegis.core.errors import AegisError
from aegis.core.money import Nanos
from aegis.core.prices import Price, PriceBook

WHOLE: Final = ""
"""The meter of a cost of which nobody can say what used it."""
FORGOTTEN: Final = "journal no longer kept"
NOT_CHARGED: Final = frozenset({"refused", "void"})


class Charges:
    """Adds attempts up. `of` is asked once all have been added."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices
        self._found: dict[ChargeKey, Charge] = {}

    def add(self, attempts: Iterable[EndedAttempt]) -> None:
        for one in attempts:
            if one.state not in NOT_CHARGED or one.cost:
                self._add(one)

    def level(self, totals: Mapping[tuple[date, str], Nanos]) -> None:
        """Bring every day of every service to the ledger's own total: what the journal no longer holds becomes one charge at
        the day's first hour, of which nobody knows the meter.
        """
        have: dict[tuple[date, str], Nanos] = {}
        for key, charge in self._found.items():
            place = (key.hour.date(), key.service)
            have[place] = have.get(place, 0) + charge.cost
        for (day, service), total in totals.items():
            if rest := total - have.get((day, service), 0):
                hour = datetime.combine(day, time(), UTC)
                key = ChargeKey(hour=hour, service=service, model="", wanted="", meter=WHOLE, price_source=FORGOTTEN)
                charge = self._found.setdefault(key, Charge(key=key))
                charge.cost += rest
                charge.units += 1

    def of(self) -> Sequence[Charge]:
        """All charges, in the order of time, then of names."""
        return sorted(self._found.values(), key=lambda charge: _order(charge.key))

    def _add(self, one: EndedAttempt) -> None:
        price = self._price(one)
        usage = {} if one.state == "cached" else one.usage
        hour = one.at.replace(minute=0, second=0, microsecond=0)
        for meter, cost in split(one.cost, _parts(price, usage)).items():
            key = ChargeKey(
                hour=hour,
                service=one.service,
                model=one.model,
                wanted=one.wanted,
                meter=meter,
                key=one.scope.get("key", ""),
                team=one.scope.get("team", ""),
                incident=one.scope.get("incident", ""),
                purpose=one.scope.get("purpose", ""),
                priced_since="" if price is None or price.since == price.since.min else price.since.isoformat(),
                price_source="" if price is None else price.source,
            )
            charge = self._found.setdefault(key, Charge(key=key))
            charge.units += usage.get(meter, 1)
            charge.cost += cost
            charge.calls += 1

    def _price(self, one: EndedAttempt) -> Price | None:
        try:
            return self._prices.price(one.service, one.model, one.at.date()).at(one.tier)
        except AegisError:  # the list no longer has it; the ledger's figure stands
            return None


def split(cost: Nanos, parts: Mapping[str, int]) -> Mapping[str, Nanos]:
    """`cost` shared out in the proportion of `parts` (largest remainder), so that the shares add up to it exactly. What has no
    part in it costs nothing; without any part all of it is the cost of the whole.
    """
    together = sum(parts.values())
    if not together:
        return {**dict.fromkeys(parts, 0), WHOLE: cost} if cost or not parts else dict.fromkeys(parts, 0)
    shares = {meter: cost * part // together for meter, part in parts.items()}
    rest = cost - sum(shares.values())
    by_remainder = sorted(parts, key=lambda meter: (-(cost * parts[meter] % together), meter))
    for meter in by_remainder[:rest]:
        shares[meter] += 1
    return shares


def _parts(price: Price | None, usage: Mapping[str, int]) -> Mapping[str, int]:
    """By how much each meter counts. Where nobody knows any more, all of it is the only meter's, if there is but one."""
    used = {meter: units for meter, units in usage.items() if units}
    try:
        if price is not None:
            return price.parts(used)
    except AegisError:  # a meter that the list no longer prices
        pass
    return dict.fromkeys(used, int(len(used) == 1))


def _order(key: ChargeKey) -> tuple[object, ...]:
    return (key.hour, key.service, key.model, key.wanted, key.meter, key.key, key.team, key.incident, key.purpose)
