"""How many tokens a request can use at most, from nothing but the request itself.

Policy: a token covers a byte or more, so the bytes of a text bound its tokens, in the form it has and in its NFKC form
(tokenizers normalise, which can lengthen). Pictures and documents are bounded by their encoded bytes as well.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

FRAMING_TOKENS = 2_048
"""What a service may add for roles, tools and schemas: four times the 500 tokens of a tool-use preamble
(platform.claude.com/docs/en/agents-and-tools/tool-use/overview, pricing).
"""
PART_TOKENS = 16
"""What a service may add for each message, block or tool: role markers and separators."""
DEPTH_MAX = 64
"""Deeper requests than this no vendor takes."""


def text_tokens(text: str) -> int:
    """An upper bound of a text's tokens."""
    plain = len(text.encode("utf-8", "surrogatepass"))
    if text.isascii():
        return plain
    return max(plain, len(unicodedata.normalize("NFKC", text).encode("utf-8", "surrogatepass")))


def request_tokens(value: Any, depth: int = 0) -> int:
    """An upper bound of the tokens of anything that is sent: every text and name in it, numbers as they print."""
    if depth > DEPTH_MAX:
        raise ValueError(f"a request more than {DEPTH_MAX} levels deep")
    if isinstance(value, str):
        return text_tokens(value)
    if isinstance(value, bytes | bytearray):
        return 2 * len(value)  # sent in base 64, four characters for three bytes
    if isinstance(value, Mapping):
        return PART_TOKENS + sum(text_tokens(str(k)) + request_tokens(v, depth + 1) for k, v in value.items())
    if isinstance(value, list | tuple):
        return PART_TOKENS + sum(request_tokens(part, depth + 1) for part in value)
    if hasattr(value, "model_dump"):  # the vendors' own types are pydantic models
        return request_tokens(value.model_dump(), depth + 1)
    return len(str(value)) + 1
