"""Kept answers under a seal: what was changed in the store is not served.

Policy: the seal (HMAC-SHA256, RFC 2104) covers the key, the answer and how long it holds, so that no row can be edited,
moved under another question or kept longer than it may. What does not fit its seal is asked for anew.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from typing import Final

from aegis.core.ports import Answers

TAG_BYTES: Final = 32
TIME_BYTES: Final = 8
PREFIX: Final = "sealed/1 "
"""Before the keys in the store: what is kept there without a seal is never taken for one with it, nor the reverse."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SealedAnswers:
    """`core.ports.Answers` around another. `secret` is 16 bytes or more that do not stand in the store. Raises what the
    other raises.
    """

    def __init__(self, answers: Answers, secret: bytes) -> None:
        self._answers = answers
        self._secret = hmac.digest(secret, b"aegis.answers/1", "sha256")

    async def get(self, key: str, now: datetime) -> bytes | None:
        kept = await self._answers.get(PREFIX + key, now)
        if kept is None:
            return None
        tag, rest = kept[:TAG_BYTES], kept[TAG_BYTES:]
        if len(rest) < TIME_BYTES or not hmac.compare_digest(tag, self._tag(key, rest)):
            return None
        expires_ms = int.from_bytes(rest[:TIME_BYTES])
        return rest[TIME_BYTES:] if _ms(now) < expires_ms else None

    async def put(self, key: str, answer: bytes, *, expires_at: datetime, now: datetime) -> None:
        rest = _ms(expires_at).to_bytes(TIME_BYTES) + answer
        await self._answers.put(PREFIX + key, self._tag(key, rest) + rest, expires_at=expires_at, now=now)

    async def clear(self) -> int:
        return await self._answers.clear()

    def _tag(self, key: str, rest: bytes) -> bytes:
        raw = key.encode()
        return hmac.digest(self._secret, len(raw).to_bytes(TIME_BYTES) + raw + rest, "sha256")


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)
