"""Keeps a drill to itself: every connection of this process is watched and, unless it goes to the drill's own sandbox,
refused before it is made; the same for programs, signals and files that hold credentials.

Policy: the watch is an audit hook of the interpreter, below every library, so no part has to be trusted. It cannot see the
sockets of another event loop than asyncio's own, so a drill refuses to begin under one.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePath
from typing import Any, Final

from aegis.core.addresses import is_loopback
from aegis.core.errors import ConfigError
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.rehearsal.drills.report import Secluded

CONNECTS: Final = frozenset({"socket.connect", "socket.sendto"})
LOOK_UPS: Final = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
PROGRAMS: Final = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.kill", "os.killpg"}
)
CREDENTIALS: Final = frozenset({".aws", ".azure", ".kube", ".netrc", ".env", ".docker", "gcloud", "credentials"})
"""Parts of paths under which vendors' tools keep credentials: a drill opens none of them."""
KEPT_MAX: Final = 50
"""Attempts that are kept by name; one is enough to fail a drill."""


@dataclass(slots=True)
class Watch:
    """What one drill did to the outside. `allow` names a port on loopback that is the drill's own."""

    ports: set[int] = field(default_factory=set)
    connections: Counter[int] = field(default_factory=Counter)
    elsewhere: list[str] = field(default_factory=list)
    references: Counter[str] = field(default_factory=Counter)
    foreign: list[str] = field(default_factory=list)

    def allow(self, port: int) -> None:
        self.ports.add(port)

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        """One event of the interpreter. Raises `PermissionError` for what a drill must not do."""
        if event in CONNECTS:
            self._connected(arguments[-1])
        elif event in LOOK_UPS:
            name = arguments[0].decode("ascii", "replace") if isinstance(arguments[0], bytes) else str(arguments[0])
            if not is_loopback(name):
                self._refuse(f"the name {name[:100]}")
        elif event in PROGRAMS:
            self._refuse(f"{event} {str(arguments[:1])[:100]}")
        elif event == "open" and isinstance(arguments[0], str) and CREDENTIALS & set(PurePath(arguments[0]).parts):
            self._refuse(f"the file {arguments[0][:100]}")

    def _connected(self, address: object) -> None:
        if isinstance(address, tuple) and is_loopback(str(address[0])) and address[1] in self.ports:
            self.connections[address[1]] += 1
            return
        shown = f"{address[0]} port {address[1]}" if isinstance(address, tuple) else str(address)
        self._refuse(shown[:100])

    def _refuse(self, what: str) -> None:
        if what not in self.elsewhere and len(self.elsewhere) < KEPT_MAX:
            self.elsewhere.append(what)
        raise PermissionError(f"a drill may not reach {what}")

    def resolve(self, keys: Mapping[str, Secret], reference: Reference) -> Secret:
        """A made-up key. Raises `ConfigError` for every other reference: it is not looked up anywhere."""
        name = str(reference)
        if reference.kind != "env" or reference.name not in keys:
            self.foreign.append(name)
            raise ConfigError(f"{name} is not one of the sandbox's own keys; a drill reads no other")
        self.references[name] += 1
        return keys[reference.name]

    def verdict(self, *, registered: Collection[str], touched: Collection[str]) -> Secluded:
        """What the report says. `registered` are the targets made for this drill, `touched` those that were stopped."""
        return Secluded(
            connected=bool(self.connections),
            elsewhere=tuple(self.elsewhere),
            references=len(self.references),
            foreign=tuple(self.foreign),
            targets=len(set(touched)),
            unregistered=tuple(sorted(set(touched) - set(registered))),
        )


@contextmanager
def secluded() -> Iterator[Watch]:
    """Watch this process until the block ends. Raises `ConfigError` under an event loop that cannot be watched."""
    loop = asyncio.get_running_loop()
    if not type(loop).__module__.startswith("asyncio"):
        raise ConfigError(
            f"a drill runs on asyncio's own event loop, not on {type(loop).__module__}: it has to be watched"
        )
    watch, watching = Watch(), _watching()
    watching.append(watch)
    try:
        yield watch
    finally:
        watching.remove(watch)


@cache
def _watching() -> list[Watch]:
    """Who watches now. One hook for the process: Python keeps audit hooks until the end, so it is added once."""
    watching: list[Watch] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        for watch in watching:
            watch.heard(event, arguments)

    sys.addaudithook(hook)
    return watching
