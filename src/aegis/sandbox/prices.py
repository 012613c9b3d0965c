"""What the vendors of the sandbox charge: list prices in nano-dollars for a million units, rounded up for the vendor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aegis.core.money import Nanos, usd

MILLION = 1_000_000
MESSAGE_SEGMENT, CALL_MINUTE = usd("0.0083"), usd("0.014")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """Nano-dollars for a million tokens. Above `long_from` input tokens `long` holds for the whole request."""

    service: str
    input: Nanos
    output: Nanos
    long_from: int = 0
    long: ModelPrice | None = None

    def cost(self, *, input_tokens: int, output_tokens: int) -> Nanos:
        """What a request costs, rounded up to a nano-dollar."""
        if self.long is not None and input_tokens > self.long_from:
            return self.long.cost(input_tokens=input_tokens, output_tokens=output_tokens)
        return -(-(self.input * input_tokens + self.output * output_tokens) // MILLION)

    def batch_cost(self, *, input_tokens: int, output_tokens: int) -> Nanos:
        """The same in a batch: half of the list price (both vendors' price pages)."""
        if self.long is not None and input_tokens > self.long_from:
            return self.long.batch_cost(input_tokens=input_tokens, output_tokens=output_tokens)
        return -(-(self.input * input_tokens + self.output * output_tokens) // (2 * MILLION))


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """Every price of the sandbox. Twilio: a message segment and a begun minute of a call within the USA."""

    models: Mapping[str, ModelPrice] = field(default_factory=dict)
    bedrock: ModelPrice = ModelPrice(service="bedrock", input=usd("1"), output=usd("5"))
    """Whatever is asked there: the list price of Claude Haiku 4.5."""
    message_segment: Nanos = MESSAGE_SEGMENT
    call_minute: Nanos = CALL_MINUTE


def _claude(per_input: str, per_output: str) -> ModelPrice:
    return ModelPrice(service="anthropic", input=usd(per_input), output=usd(per_output))


def _openai(per_input: str, per_output: str) -> ModelPrice:
    return ModelPrice(service="openai", input=usd(per_input), output=usd(per_output))


LIST_PRICES = PriceList(
    models={
        "claude-haiku-5-5": ModelPrice(
            service="anthropic",
            input=usd("0.10"),
            output=usd("0.50"),
            long_from=100_000,
            long=_claude("0.50", "2.50"),
        ),
        "claude-haiku-4-5": _claude("1", "5"),
        "claude-sonnet-5-5": _claude("2", "10"),
        "claude-sonnet-5": _claude("2", "10"),
        "claude-sonnet-4-6": _claude("3", "15"),
        "claude-sonnet-4-5": _claude("3", "15"),
        "claude-opus-5-5": _claude("4", "20"),
        "claude-opus-5": _claude("5", "25"),
        "gpt-5.4-mini": _openai("0.75", "4.50"),
        "gpt-5.4-nano": _openai("0.20", "1.25"),
        "gpt-6-luna": _openai("0.10", "0.50"),
        "gpt-6-sol": _openai("2", "10"),
        "text-embedding-3-small": _openai("0.02", "0"),
    }
)
"""List prices of November 2026, from the vendors' price pages; a caller may give others."""
