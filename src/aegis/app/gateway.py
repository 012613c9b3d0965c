"""What the gateway stands on: its upstreams with their keys and connections, and the virtual keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

from aegis.app.keyring import KeyRing
from aegis.config.settings import GatewaySettings
from aegis.config.settings import Upstream as Settings
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.stores.batches import SqliteBatches
from aegis.transport.relay import Limits, Relay, Signer

Kind = Literal["anthropic", "openai", "bedrock"]


FAMILIES: Final[Mapping[str, Sequence[str]]] = {
    "anthropic": ("claude-*",),
    "openai": ("gpt-*", "chatgpt-*", "o[0-9]*"),
}
"""How the vendors call their models: who asks for one in the other vendor's protocol is served by its own vendor."""

MODELS_MAX: Final = 1_000
"""Names of models whose upstream is remembered: callers choose them."""
NAME_MAX: Final = 256
"""No vendor's name of a model is longer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Upstream:
    """One upstream, ready to be asked. `credential` is the header that its key goes into, with the key; `signer` signs
    where the key itself is never sent.
    """

    settings: Settings
    relay: Relay
    credential: tuple[bytes, bytes] | None = field(repr=False)
    signer: Signer | None = field(default=None, repr=False)

    @property
    def service(self) -> str:
        return self.settings.service

    def like(self, other: Upstream | None) -> bool:
        """Whether another is asked in the same way: its connections can be used on. Signers are never compared."""
        if other is None or self.signer is not None or other.signer is not None:
            return False
        return self.settings == other.settings and self.credential == other.credential


@dataclass(slots=True, kw_only=True)
class GatewayParts:
    """All of it. `upstreams` stand in the order of the configuration; `change` puts others in their place."""

    settings: GatewaySettings
    upstreams: tuple[Upstream, ...]
    keys: KeyRing
    batches: SqliteBatches
    _found: dict[tuple[Kind, str, tuple[Kind, ...]], Upstream] = field(default_factory=dict, init=False, repr=False)
    _replaced: list[Upstream] = field(default_factory=list, init=False, repr=False)

    def upstream(self, kind: Kind, model: str, others: tuple[Kind, ...] = ()) -> Upstream | None:
        """Who is asked for a model: the first whose patterns name it, of the caller's kind before the `others`; else the
        vendor of another kind whose family it is of; else the first of the caller's kind without patterns.
        """
        asked = kind, model, others
        if (found := self._found.get(asked)) is None:
            found = self._look_up(kind, model, others)
            if found is not None and len(model) <= NAME_MAX:
                if len(self._found) >= MODELS_MAX:
                    self._found.clear()
                self._found[asked] = found
        return found

    def _look_up(self, kind: Kind, model: str, others: tuple[Kind, ...]) -> Upstream | None:
        name = model.lower()
        for wanted in (kind, *others):
            for one in self.upstreams:
                if one.settings.kind == wanted and _named(name, one.settings.models):
                    return one
        for one in self.upstreams:
            settings = one.settings
            if settings.kind in others and not settings.models and _named(name, FAMILIES.get(settings.service, ())):
                return one
        return next((one for one in self.upstreams if one.settings.kind == kind and not one.settings.models), None)

    async def change(self, settings: GatewaySettings, made: tuple[Upstream, ...]) -> None:
        """From now on these answer. What is under way goes on to its end: a replaced upstream is closed when the next
        change finds nobody at it.
        """
        found = {one.settings.name: one for one in self.upstreams}
        kept = [found[one.settings.name] if one.like(found.get(one.settings.name)) else one for one in made]
        busy = [one for one in self._replaced if one.relay.busy]
        for one in (*self._replaced, *made):
            if one not in busy and one not in kept:
                await one.relay.close()
        self._replaced = [*busy, *(one for one in self.upstreams if one not in kept)]
        self.settings, self.upstreams = settings, tuple(kept)
        self._found.clear()

    async def close(self) -> None:
        """Close every connection."""
        for one in (*self.upstreams, *self._replaced):
            await one.relay.close()


def _named(model: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(model, pattern.lower()) for pattern in patterns)


def upstreams(settings: GatewaySettings, resolve: Callable[[Reference], Secret]) -> tuple[Upstream, ...]:
    """Every upstream of the configuration. Raises `ConfigError` for an address or secret that cannot be used."""
    return tuple(_made(one, resolve) for one in settings.upstreams)


def _made(settings: Settings, resolve: Callable[[Reference], Secret]) -> Upstream:
    relay = Relay(
        settings.base_url,
        service=settings.service,
        limits=Limits(connections_max=settings.connections),
        allow_private=settings.allow_private,
    )
    key = None if settings.key is None else resolve(settings.key)
    if key is None or settings.auth != "sigv4":
        credential = None if key is None else _credential(settings.auth, key.reveal())
        return Upstream(settings=settings, relay=relay, credential=credential)
    signer = Signer(key, settings.base_url, region=settings.region)
    return Upstream(settings=settings, relay=relay, credential=None, signer=signer)


def _credential(auth: str, key: str) -> tuple[bytes, bytes]:
    headers: Mapping[str, tuple[bytes, bytes]] = {
        "x-api-key": (b"x-api-key", b""),
        "api-key": (b"api-key", b""),
        "bearer": (b"authorization", b"Bearer "),
    }
    name, before = headers[auth]
    return name, before + key.encode("ascii")
