"""Whether a stop's scope is about a thing: it must say every name of the scope, with that value."""

from __future__ import annotations

from collections.abc import Mapping

from aegis.core.stops import Scope


def within(scope: Scope, own: Mapping[str, str]) -> bool:
    """Whether the scope covers what has these names. An empty one covers everything; a name that the thing does not
    say leaves it out: a stop of one key touches nothing that is not known to be that key's.
    """
    return all(own.get(name) == value for name, value in scope.items())
