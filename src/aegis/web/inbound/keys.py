"""Public keys that senders sign with: fetched once from the one address that may have them, and kept for a day.

Policy: an address comes here only after its verifier has checked it; answers are bounded, what cannot be fetched is a
503, so that the sender tries again; what was not there is not asked for again for a minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta

import anyio

from aegis.core.errors import BadInput, ServiceError
from aegis.core.ports import Clock, Http, HttpRequest
from aegis.web.inbound import github, sns

KEPT = timedelta(hours=24)
"""Certificates live for a year and GitHub's keys for months; a day notices a change."""
REFUSED = timedelta(minutes=1)
"""How long an unknown key is not asked for again: nobody makes us ask for every message."""
KEYS_MAX = 64
"""Certificates and keys kept: SNS has one a region."""
FETCHES_MAX, FETCHES_IN = 10, timedelta(minutes=1)
"""Messages that nobody has verified yet name keys: however many do, we ask this often."""
BYTES_MAX = 256 * 1024
"""A certificate has 2 kB, GitHub's list 2 kB a key."""


class Keys:
    """The cache. One fetch at a time."""

    def __init__(self, http: Http, *, clock: Clock) -> None:
        self._http, self._clock = http, clock
        self._kept: dict[tuple[str, str], tuple[datetime, bytes]] = {}
        self._fetches: deque[datetime] = deque(maxlen=FETCHES_MAX)
        self._turn = anyio.Lock()

    async def get(self, sender: str, wanted: str) -> Mapping[str, bytes]:
        """The key that a sender's message wants, by that name; empty when it is not there. Raises `ServiceError`."""
        async with self._turn:
            now = self._clock.now()
            until, key = self._kept.get((sender, wanted), (now, b""))
            if until <= now:
                self._count(sender, now)
                key = (await self._fetched(sender, wanted)).get(wanted, b"")
                self._keep(sender, wanted, key, now)
        return {wanted: key} if key else {}

    def _count(self, sender: str, now: datetime) -> None:
        if len(self._fetches) == FETCHES_MAX and now - self._fetches[0] < FETCHES_IN:
            raise ServiceError(sender, "was asked for too many public keys", retryable=True)
        self._fetches.append(now)

    def _keep(self, sender: str, wanted: str, key: bytes, now: datetime) -> None:
        if len(self._kept) >= KEYS_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[sender, wanted] = (now + (KEPT if key else REFUSED), key)

    async def _fetched(self, sender: str, wanted: str) -> Mapping[str, bytes]:
        if sender == sns.NAME:
            return {wanted: await self._body(sender, wanted)}
        try:
            return github.keys_from(await self._body(sender, github.KEYS_URL))
        except BadInput:
            return {}

    async def _body(self, sender: str, url: str) -> bytes:
        request = HttpRequest(service=sender, method="GET", url=url, answer_bytes_max=BYTES_MAX)
        answer = await self._http.send(request)
        if answer.status == 200:
            return answer.body
        if answer.status in (403, 404):
            return b""
        raise ServiceError(sender, f"answered {answer.status} for its public key", retryable=True, status=answer.status)
