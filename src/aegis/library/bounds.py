"""How many tokens a request can use at most, from nothing but the request itself.

Policy: a token covers a byte or more, so the bytes of a text bound its tokens, in the form it has and in its NFKC form
(tokenizers normalise, which can lengthen). A picture has a bound of its own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from aegis.core.errors import UnknownPrice

FRAMING_TOKENS = 2_048
"""What a service may add for roles, tools and schemas: four times the 500 tokens of a tool-use preamble
(platform.claude.com/docs/en/agents-and-tools/tool-use/overview, pricing).
"""
PART_TOKENS = 16
"""What a service may add for each message, block or tool: role markers and separators."""
IMAGE_TOKENS = 50_000
"""More than any vendor counts for one picture at its highest detail (a few thousand; some small models multiply)."""
DEPTH_MAX = 64
"""Deeper requests than this no vendor takes."""


def text_tokens(text: str) -> int:
    """An upper bound of a text's tokens."""
    plain = len(text.encode("utf-8", "surrogatepass"))
    if text.isascii():
        return plain
    return max(plain, len(unicodedata.normalize("NFKC", text).encode("utf-8", "surrogatepass")))


def request_tokens(value: Any, depth: int = 0) -> int:
    """An upper bound of the tokens of anything that is sent: every text and name in it, numbers as they print.

    Raises `UnknownPrice` for a document that is packed (PDF) or only referred to, and for absurd nesting.
    """
    if depth > DEPTH_MAX:
        raise UnknownPrice(f"a request more than {DEPTH_MAX} levels deep is bounded by nothing")
    if isinstance(value, str):
        return text_tokens(value)
    if isinstance(value, bytes | bytearray):
        return 2 * len(value)  # sent in base 64, four characters for three bytes
    if isinstance(value, Mapping):
        inside = sum(text_tokens(str(name)) + request_tokens(part, depth + 1) for name, part in value.items())
        return PART_TOKENS + inside + _media_tokens(value)
    if isinstance(value, list | tuple):
        return PART_TOKENS + sum(request_tokens(part, depth + 1) for part in value)
    if hasattr(value, "model_dump"):  # the vendors' own types are pydantic models
        return request_tokens(value.model_dump(), depth + 1)
    return len(str(value)) + 1


def _media_tokens(part: Mapping[str, Any]) -> int:
    kind = part.get("type")
    if kind in ("image", "image_url", "input_image"):
        return IMAGE_TOKENS
    written = isinstance(part.get("source"), Mapping) and part["source"].get("type") in ("text", "content")
    if kind in ("file", "input_file", "document", "input_audio") and not written:
        raise UnknownPrice("a packed or only referred to document is bounded by nothing: send its text")
    return 0


def has_key(value: Any, names: str | tuple[str, ...], depth: int = 0) -> bool:
    """Whether a name stands anywhere in a request."""
    wanted = (names,) if isinstance(names, str) else names
    if depth > DEPTH_MAX:
        return True  # too deep to look: the dearer answer
    if isinstance(value, Mapping):
        return any(name in wanted or has_key(part, wanted, depth + 1) for name, part in value.items())
    if isinstance(value, list | tuple):
        return any(has_key(part, wanted, depth + 1) for part in value)
    return False
