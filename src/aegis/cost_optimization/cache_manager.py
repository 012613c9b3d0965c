"""Results and insights used again: a face over the governor's answer cache, bounded in size and kept across restarts.

What is kept is JSON: what comes back is what JSON makes of what went in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any, TypeVar, TypeVarTuple

import orjson

from aegis.core.errors import BadInput
from aegis.core.prices import PriceBook
from aegis.cost_optimization.engine import MEMORY, Engine
from aegis.governor.cache import AnswerCache

T = TypeVar("T")
Args = TypeVarTuple("Args")

MB = 1024 * 1024
EMERGENCY_FACTOR = 4
"""In an emergency a new answer is kept this much longer: asking again is what there is no money for."""


SAME_ORDER = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME
"""Keys do not depend on the order of a mapping, and know a date from its text."""


class CacheManager:
    """Keeps query results and insights, least recently used out first."""

    def __init__(
        self, max_size_mb: float = 100, default_ttl_seconds: float = 3_600, *, engine: Engine | None = None
    ) -> None:
        """`engine` shares the store of an optimiser, and so outlives a restart; without one it is kept in memory."""
        if not (max_size_mb > 0 and default_ttl_seconds > 0):
            raise BadInput("a cache needs a size and a time above 0", code="bad_cache")
        self._engine = engine or Engine({}, home=MEMORY, prices=PriceBook())
        self._bytes_max, self._ttl_ms = int(max_size_mb * MB), int(default_ttl_seconds * 1_000)
        self._kept: AnswerCache | None = None
        self._factor = 1

    # --- from any thread -------------------------------------------------------------------------------------

    def cache_query_result(
        self, query: str, parameters: object, result: object, ttl_seconds: float | None = None
    ) -> None:
        """Keep the result of a query. Raises `BadInput` for one that is no JSON."""
        self._engine.ask(self.put, key_of("query", query, parameters), result, ttl_seconds)

    def get_cached_query_result(self, query: str, parameters: object) -> Any:
        """The result that is kept, or None."""
        return self._engine.ask(self.get, key_of("query", query, parameters))

    def cache_ai_insight(
        self, input_data: object, model_id: str, insight: object, ttl_seconds: float | None = None
    ) -> None:
        """Keep what a model said about some input. Raises `BadInput` for what is no JSON."""
        self._engine.ask(self.put, key_of("insight", input_data, model_id), insight, ttl_seconds)

    def get_cached_ai_insight(self, input_data: object, model_id: str) -> Any:
        """The insight that is kept, or None."""
        return self._engine.ask(self.get, key_of("insight", input_data, model_id))

    def get_stats(self) -> Mapping[str, float]:
        """Hits, misses and `hit_rate` in percent, since the start."""
        hits, misses = (self._kept.hits, self._kept.misses) if self._kept else (0, 0)
        return {"hits": hits, "misses": misses, "hit_rate": 100 * hits / (hits + misses) if hits + misses else 0.0}

    def clear(self) -> int:
        """Forget everything; returns how many answers were forgotten."""
        return self._engine.ask(self._clear)

    def save_more(self, *, emergency: bool) -> None:
        """Keep new answers longer while there is an emergency."""
        self._factor = EMERGENCY_FACTOR if emergency else 1

    # --- on the governor's loop ------------------------------------------------------------------------------

    async def get(self, key: str) -> Any:
        """What is kept under a key, or None."""
        cache = self.cache()
        answer = await cache.find(key)
        if answer is None:
            cache.land(key, None)
            return None
        return orjson.loads(answer)

    async def put(self, key: str, value: object, ttl_seconds: float | None = None) -> None:
        """Keep a value, written to the store at once."""
        cache = self.cache()
        keep_ms = self._ttl_ms if ttl_seconds is None else int(ttl_seconds * 1_000)
        cache.land(key, to_bytes(value), keep_ms=keep_ms * self._factor)
        await cache.write()

    async def once(self, key: str, work: Callable[[], Awaitable[T]], *, keep: Callable[[T], bool]) -> tuple[T, bool]:
        """The kept value, or what `work` returns, asked for once however many ask at the same time; and whether it
        was kept. `keep` says whether a fresh value may be used again.
        """
        cache = self.cache()
        answer = await cache.find(key)
        if answer is not None:
            found: T = orjson.loads(answer)
            return found, True
        landing: bytes | None = None
        try:
            value = await work()
            landing = to_bytes(value) if keep(value) else None
        finally:
            cache.land(key, landing, keep_ms=self._ttl_ms * self._factor)
        await cache.write()
        return value, False

    def cache(self) -> AnswerCache:
        """The governor's cache, made on the loop at first use."""
        if self._kept is None:
            parts = self._engine.governor.parts
            self._kept = AnswerCache(parts.clock, parts.answers, bytes_max=self._bytes_max)
        return self._kept

    async def _clear(self) -> int:
        return await self.cache().clear()


def key_of(kind: str, *parts: object) -> str:
    """A key that holds everything an answer depends on; each part is length-prefixed, so that none run together."""
    digest = sha256()
    for part in (kind, *parts):
        raw = to_bytes(part, unknown=_typed, option=SAME_ORDER)
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return f"cost_optimization:{digest.hexdigest()}"


def to_bytes(value: object, *, unknown: Callable[[Any], str] | None = None, option: int = 0) -> bytes:
    """JSON; `unknown` writes what JSON has no form for (decimals, dates). Raises `BadInput` for what it cannot write."""
    try:
        return orjson.dumps(value, default=unknown or _decimal, option=orjson.OPT_NON_STR_KEYS | option)
    except TypeError as error:
        raise BadInput(f"this cannot be kept as JSON: {error}", code="not_json") from error


def _decimal(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is no JSON")


def _typed(value: object) -> str:
    """With its type, so that a number and its text are two keys."""
    return f"{type(value).__name__}:{value}"
