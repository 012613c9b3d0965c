"""From an event to its bucket: which rules concern it, and which of their questions its class already answers.

A class is the log source and the values of a few fields (EventID; eventSource and eventName). A value that no rule
names falls into the class `other`, so however many values a sender invents, the number of classes is bounded by the
rules; what is kept is bounded besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aegis.core.incidents import LogSource
from aegis.sigma.atoms import Atom, Kind
from aegis.sigma.buckets import Bucket
from aegis.sigma.fields import Fields, Reading
from aegis.sigma.memos import Caches
from aegis.sigma.naive import text_fits
from aegis.sigma.nodes import FALSE, Node, atoms_in, with_known
from aegis.sigma.sources import Facets, facets_of
from aegis.sigma.values import CONTAINERS, MISSING, fold, text_of
from aegis.sigma.witnesses import Plan

Make = Callable[[Mapping[int, Plan], Reading], Bucket]
Replan = Callable[[Node], Plan]

_OTHER = None
_ALWAYS_FOLDED = frozenset((Kind.EQ, Kind.STARTS, Kind.ENDS, Kind.CONTAINS, Kind.WILD, Kind.NUM))


@dataclass(frozen=True, slots=True)
class Route:
    """Where the events of one class go, and how their fields are read."""

    bucket: Bucket
    reading: Reading


@dataclass(slots=True)
class _Realm:
    """The rules for one set of log sources: their plans by position, and which values of the constant fields they
    name. `touching` holds, for each constant field, its atoms; `touched` the rules that have any.
    """

    plans: dict[int, Plan]
    named: dict[str, frozenset[str]]
    touching: dict[str, list[int]]
    touched: frozenset[int]


class Router:
    """Finds the route of an event; buckets are made on first use and the least recently made go first."""

    def __init__(
        self,
        rules: Sequence[tuple[LogSource, Plan]],
        atoms: Sequence[Atom],
        make: Make,
        replan: Replan,
        caches: Caches,
    ) -> None:
        self._atoms = atoms
        self._make = make
        self._replan = replan
        self._caches = caches
        self._groups: dict[LogSource, list[int]] = {}
        self._plans = [plan for _, plan in rules]
        for position, (source, _) in enumerate(rules):
            self._groups.setdefault(source, []).append(position)
        self._realms: dict[tuple[Any, ...], _Realm] = {}
        self._buckets: dict[tuple[Any, ...], Route] = {}
        self._routes: dict[tuple[Any, ...], Route] = {}
        self.evicted = 0

    def buckets(self) -> Iterator[Bucket]:
        """Every bucket there is."""
        return (route.bucket for route in list(self._buckets.values()))

    def route(self, view: Fields, logsource: LogSource | None) -> Route:
        """The route of an event."""
        key = _class_of(view, logsource)
        try:
            route = self._routes.get(key)
        except TypeError:  # a class field holds a list or a mapping
            return self._find(view, logsource)
        if route is None:
            route = self._find(view, logsource)
            if len(self._routes) >= self._caches.routes:
                self._routes.clear()
            self._routes[key] = route
        return route

    def facets(self, view: Fields, logsource: LogSource | None) -> Facets:
        """What an event is."""
        return facets_of(view, fold(_scalar(view.get("Channel"))), _scalar(view.get("EventID")), logsource)

    def _find(self, view: Fields, logsource: LogSource | None) -> Route:
        facets = self.facets(view, logsource)
        groups = tuple(index for index, source in enumerate(self._groups) if facets.accepts(source))
        realm = self._realm(groups, facets)
        tokens = tuple(_token(view.get(name, MISSING), realm.named[name]) for name in facets.constants)
        key = (groups, facets.constants, tokens, facets.reading)
        route = self._buckets.get(key)
        if route is None:
            if len(self._buckets) >= self._caches.buckets:
                self.evicted += 1
                del self._buckets[next(iter(self._buckets))]
                self._routes.clear()
            bucket = self._make(self._folded(realm, facets, tokens), facets.reading)
            route = self._buckets[key] = Route(bucket, facets.reading)
        return route

    def _realm(self, groups: tuple[int, ...], facets: Facets) -> _Realm:
        key = (groups, facets.constants)
        realm = self._realms.get(key)
        if realm is None:
            if len(self._realms) >= self._caches.buckets:
                self._realms.clear()
            sources = list(self._groups.values())
            positions = sorted(position for index in groups for position in sources[index])
            plans = {position: self._plans[position] for position in positions}
            used = {position: frozenset(atoms_in(plan.exact)) for position, plan in plans.items()}
            touching: dict[str, list[int]] = {name: [] for name in facets.constants}
            for number in sorted(frozenset().union(*used.values())):
                if self._atoms[number].field in touching and not self._atoms[number].cased:
                    touching[str(self._atoms[number].field)].append(number)
            on_class = frozenset(number for numbers in touching.values() for number in numbers)
            touched = frozenset(position for position, atoms in used.items() if not on_class.isdisjoint(atoms))
            named = {
                name: frozenset(str(self._atoms[one].operand) for one in numbers if self._atoms[one].kind is Kind.EQ)
                for name, numbers in touching.items()
            }
            realm = self._realms[key] = _Realm(plans, named, touching, touched)
        return realm

    def _folded(self, realm: _Realm, facets: Facets, tokens: tuple[Any, ...]) -> dict[int, Plan]:
        known: dict[int, bool] = {}
        for name, token in zip(facets.constants, tokens, strict=True):
            if token is not MISSING:
                for number in realm.touching[name]:
                    answer = _answer(self._atoms[number], token)
                    if answer is not None:
                        known[number] = answer
        out: dict[int, Plan] = {}
        for position, plan in realm.plans.items():
            if known and position in realm.touched:
                tree = with_known(plan.exact, known)
                if tree == FALSE:
                    continue
                out[position] = plan if tree is plan.exact else self._replan(tree)
            else:
                out[position] = plan
        return out


def _class_of(view: Fields, logsource: LogSource | None) -> tuple[Any, ...]:
    """A cheap key under which events have the same route."""
    number = view.get("EventID")
    if number is not None:
        channel = view.get("Channel")
        if channel is None:
            channel = ("", view.get("Provider_Name"), view.get("SourceName"))
        return (logsource, channel, number, number is True)
    if "eventSource" in view:
        return (logsource, view["eventSource"], view.get("eventName", MISSING), "aws")
    return (logsource, "cs-method" in view or "cs-uri-stem" in view)


def _scalar(value: Any) -> str:
    return "" if value is None or isinstance(value, CONTAINERS) else text_of(value)


def _token(value: Any, named: frozenset[str]) -> Any:
    """The folded value if a rule names it; `_OTHER` if none does; MISSING if nothing can be folded away."""
    if value is MISSING or value is None or isinstance(value, CONTAINERS):
        return MISSING
    text = fold(text_of(value))
    return text if text in named else _OTHER


def _answer(atom: Atom, token: str | None) -> bool | None:
    """What an atom says of a class; None where the class leaves it open."""
    if atom.kind in (Kind.ANY, Kind.EXISTS):
        return True
    if atom.kind is Kind.NULL:
        return False
    if token is _OTHER:
        return False if atom.kind is Kind.EQ else None
    return text_fits(atom, token) if atom.kind in _ALWAYS_FOLDED else None
