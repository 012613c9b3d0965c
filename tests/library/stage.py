"""Governors with round prices, and small clients of the vendors' shape."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Self

from aegis.core.money import USD
from aegis.core.prices import Price, PriceBook

CENT = USD // 100
RATES = {
    "input_tokens": ((0, USD),),
    "output_tokens": ((0, 10 * USD),),
    "cache_read_tokens": ((0, USD // 10),),
    "cache_write_tokens": ((0, 2 * USD),),
}
"""A million tokens: a dollar in, ten out, ten cents read from the cache, two dollars written to it."""
PRICES = PriceBook(
    overrides={
        ("anthropic", "claude"): Price(service="anthropic", model="claude", rates=RATES),
        ("openai", "gpt"): Price(service="openai", model="gpt", rates=RATES),
        ("bedrock", "claude"): Price(service="bedrock", model="claude", rates=RATES),
        ("athena", ""): Price(service="athena", model="", rates={"bytes_scanned": ((0, 5_000),)}),
        ("reports", ""): Price(service="reports", model="", rates={"pages": ((0, 1_000_000 * CENT),)}),
    }
)


def thing(**fields: Any) -> SimpleNamespace:
    """A vendor's object: fields behind dots."""
    return SimpleNamespace(**{name: thing(**v) if isinstance(v, dict) else v for name, v in fields.items()})


class VendorError(Exception):
    """Shaped like the SDKs' APIStatusError."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"status {status_code}")
        self.status_code = status_code


class Method:
    """A method that records its requests, then answers or raises what is next."""

    def __init__(self, *answers: Any) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.answers = list(answers)

    def __call__(self, **request: Any) -> Any:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class AsyncMethod(Method):
    async def __call__(self, **request: Any) -> Any:
        return super().__call__(**request)


class Client:
    """The top of an SDK's client; `parts` are its resources."""

    def __init__(self, **parts: Any) -> None:
        self.max_retries = 2
        self.api_key = "key"
        vars(self).update(parts)

    def with_options(self, *, max_retries: int) -> Self:
        copied = type(self)(**vars(self))
        copied.max_retries = max_retries
        return copied


class AsyncClient(Client):
    pass


class Pieces:
    """A stream of pieces, either way; it breaks at a piece that is an error."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces, self.closed = pieces, False

    def __iter__(self) -> Iterator[Any]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[Any]:
        for piece in self:
            yield piece


class Closable(Pieces):
    def close(self) -> None:
        self.closed = True


def message(input_tokens: int = 100, output_tokens: int = 10, **more: Any) -> SimpleNamespace:
    """An Anthropic message."""
    return thing(
        content=[], stop_reason="end_turn", usage={"input_tokens": input_tokens, "output_tokens": output_tokens, **more}
    )


def completion(prompt: int = 100, output: int = 10, cached: int = 0, **more: Any) -> SimpleNamespace:
    """An OpenAI chat completion."""
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    return thing(choices=[thing(text="hello")], usage=usage, **more)
