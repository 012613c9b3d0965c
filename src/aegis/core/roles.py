"""Roles of accounts and what each may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

Right = Literal["read", "work", "operate", "budget", "admin"]
"""`read` what there is; `work` incidents (events in, acknowledge, note); `operate` silences, tests of contacts, stops;
`budget` limits, keys and approvals; `admin` accounts and everything else.
"""
RoleName = Literal["viewer", "analyst", "operator", "budget-admin", "admin"]
ROLES: Final[tuple[RoleName, ...]] = get_args(RoleName)

RIGHTS: Final[Mapping[str, frozenset[Right]]] = {
    "viewer": frozenset({"read"}),
    "analyst": frozenset({"read", "work"}),
    "operator": frozenset({"read", "work", "operate"}),
    "budget-admin": frozenset({"read", "budget"}),
    "admin": frozenset(get_args(Right)),
}
"""Whoever sets budgets need not be able to silence what they set off."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks: a name for the record and a role. `account` is false for whoever holds the state folder itself."""

    name: str
    role: RoleName
    account: bool = True

    def may(self, right: Right) -> bool:
        return right in RIGHTS[self.role]


def lesser(one: RoleName, other: RoleName) -> RoleName | None:
    """The role that may do no more than both allow, or None where neither holds the other."""
    if RIGHTS[one] <= RIGHTS[other]:
        return one
    return other if RIGHTS[other] <= RIGHTS[one] else None


def widest(roles: Sequence[RoleName]) -> RoleName | None:
    """Of several roles the one that may do most; of two that may do as much, the earlier in `ROLES`. None of none."""
    return max(roles, key=lambda role: (len(RIGHTS[role]), -ROLES.index(role)), default=None)
