"""How the sandbox's models count: one token for each begun four bytes of UTF-8, which vendors give as the rule of
thumb for English; never more tokens than bytes.
"""

from __future__ import annotations

from typing import Any

import orjson

BYTES_PER_TOKEN = 4
MESSAGE_TOKENS, REQUEST_TOKENS = 3, 3
"""Framing of a message and of a request (OpenAI cookbook, counting tokens for chat completions)."""


def count(text: str) -> int:
    """Tokens of a text."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def count_json(value: Any) -> int:
    """Tokens of a tool or schema, which vendors put before the prompt as text."""
    return count(orjson.dumps(value).decode()) if value else 0


def cut(text: str, tokens: int) -> str:
    """The beginning of a text that has at most `tokens` tokens."""
    return text.encode("utf-8", "replace")[: tokens * BYTES_PER_TOKEN].decode("utf-8", "ignore")
