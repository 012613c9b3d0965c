"""Who may come in, and for what: the virtual key, its address range, its routes, its rate."""

from __future__ import annotations

from typing import Final

from aegis.app.keyring import Grant, KeyRing
from aegis.core.ports import Clock
from aegis.web.gateway.asked import Asked
from aegis.web.gateway.refusals import Head, Refusal

MILLISECOND_NS: Final = 1_000_000


class Doorman:
    """Asks every request for its key."""

    def __init__(self, keys: KeyRing, clock: Clock) -> None:
        self._keys, self._clock = keys, clock

    def admit(self, asked: Asked, route: str) -> Grant:
        """The grant of the request's key. Raises `Refusal`; nothing about other keys can be learned from it."""
        presented = asked.credential()
        if not presented:
            raise Refusal(401, "send a virtual key as x-api-key or as a bearer", code="invalid_api_key")
        grant = self._keys.find(presented)
        if grant is None:
            raise Refusal(401, "this is no virtual key that may be used", code="invalid_api_key")
        if not grant.allows_address(asked.client):
            raise Refusal(403, "this key may not be used from this address", code="address_not_allowed")
        if not grant.allows_route(route):
            raise Refusal(403, f"this key may not be used for {route}", code="route_not_allowed")
        return grant

    def take_turn(self, grant: Grant) -> None:
        """Count one request of a key. Raises `Refusal` when its rate is used up or too many are under way."""
        if grant.key.parallel and grant.running >= grant.key.parallel:
            raise Refusal(
                429, f"{grant.key.parallel} requests of this key are under way", code="too_many", retry_after_ms=1_000
            )
        if grant.bucket is not None and (wait_ns := grant.bucket.take(self._clock.monotonic_ns())):
            wait_ms = -(-wait_ns // MILLISECOND_NS)
            raise Refusal(429, "the rate of this key is used up", code="rate_limit_exceeded", retry_after_ms=wait_ms)

    def rate_head(self, grant: Grant) -> Head:
        """How the key's rate stands (draft-ietf-httpapi-ratelimit-headers-10)."""
        rate = grant.key.rate
        if rate is None or grant.bucket is None:
            return []
        room = grant.bucket.room(self._clock.monotonic_ns())
        seconds = max(1, rate.per_ms // 1_000)
        return [
            (b"ratelimit-policy", b'"key";q=%d;w=%d' % (rate.count, seconds)),
            (b"ratelimit", b'"key";r=%d;t=%d' % (max(0, room), seconds)),
        ]
