"""One question to a model on Bedrock (Converse), governed: held at its worst case, settled by the usage it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aegis.core.calls import Priority, Usage
from aegis.core.errors import BadInput
from aegis.cost_optimization.aws_config import client_of
from aegis.cost_optimization.engine import Engine, dollars
from aegis.library.bedrock_client import counted
from aegis.library.bounds import FRAMING_TOKENS, text_tokens

CACHE_POINT_BYTES: Final = 16_384
"""A shared part shorter than about 4,096 tokens cannot be cached (Bedrock user guide, prompt caching)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: candidates in order of preference, a prompt, what prompts share, a cap for the answer."""

    models: tuple[str, ...]
    prompt: str
    system: str = ""
    output_tokens_max: int = 1_024
    priority: Priority = Priority.MEDIUM

    @property
    def cached_prefix(self) -> bool:
        """Whether the shared part is long enough for Bedrock's prompt cache."""
        return len(self.system.encode("utf-8", "replace")) >= CACHE_POINT_BYTES

    def worst(self) -> Usage:
        """An upper bound: every byte a token; a part that may be written to the prompt cache at that rate, too."""
        shared = text_tokens(self.system)
        bound = {
            "input_tokens": text_tokens(self.prompt) + shared + FRAMING_TOKENS,
            "output_tokens": self.output_tokens_max,
        }
        return {**bound, "cache_write_tokens": shared} if self.cached_prefix else bound

    def request(self, model: str) -> dict[str, Any]:
        """The request of Converse."""
        body: dict[str, Any] = {
            "modelId": model,
            "messages": [{"role": "user", "content": [{"text": self.prompt}]}],
            "inferenceConfig": {"maxTokens": self.output_tokens_max},
        }
        if self.system:
            body["system"] = [{"text": self.system}]
        if self.cached_prefix:
            body["system"].append({"cachePoint": {"type": "default"}})
        return body


async def converse(engine: Engine, question: Question) -> dict[str, Any]:
    """The answer and its bill. Raises `Refused` (nothing was asked) and `ServiceError`. Runs on the governor's loop."""
    if not question.prompt.strip():
        raise BadInput("a prompt without a word", code="empty_prompt")
    call = engine.call("bedrock", "Converse", question.worst(), models=question.models, priority=question.priority)
    async with engine.governor.parts.governor.admit(call) as reservation:
        client = client_of(engine.clients, "bedrock-runtime")
        answer = await engine.aws.call("bedrock", client, "converse", question.request(reservation.model))
        usage = counted(answer.get("usage", {}))
        try:
            reservation.settle(usage)
        except BadInput:
            usage = {}  # what it says it used cannot be true: it counts at the worst case, the answer stands
    return {
        "text": text_of(answer),
        "model_id": reservation.model,
        "usage": dict(usage),
        "stop_reason": str(answer.get("stopReason", "")),
        "cost_usd": dollars(reservation.cost),
    }


def text_of(answer: Mapping[str, Any]) -> str:
    """All text of an answer, in order; reasoning and tool use left out."""
    blocks = answer.get("output", {}).get("message", {}).get("content", [])
    return "".join(block["text"] for block in blocks if isinstance(block.get("text"), str))
