"""The shape of one service of the sandbox: a name, an answer for every request, its failures, and where secrets stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from aegis.sandbox.exchange import Asked, Failure, Reply
from aegis.sandbox.room import Room

Handler: TypeAlias = Callable[[Asked, Room, "re.Match[str]"], Reply]


def no_secrets(_asked: Asked) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service. `answer` checks, remembers in the room and replies; `failure` words an outage the way the service
    does; `secrets` names what is secret in a request beside its headers (a webhook's token, a routing key).
    """

    name: str
    answer: Callable[[Asked, Room], Reply]
    failure: Failure
    secrets: Callable[[Asked], Iterable[str]] = no_secrets


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a pattern for the whole path, and who handles it."""

    method: str
    pattern: re.Pattern[str]
    handle: Handler


def route(method: str, pattern: str, handle: Handler) -> Route:
    return Route(method, re.compile(pattern), handle)


def find(routes: Sequence[Route], asked: Asked, room: Room) -> Reply | None:
    """The reply of the first route that fits, or None."""
    for candidate in routes:
        found = candidate.pattern.fullmatch(asked.path) if candidate.method == asked.method else None
        if found:
            return candidate.handle(asked, room, found)
    return None
