"""How many tokens a JSON request can use at most, from nothing but the request as it will be sent.

Policy: a token covers a byte or more, so the bytes of the body bound its tokens, in the form it has and in its NFKC form
(tokenizers normalise, which can lengthen); the JSON around the texts pays for roles and separators. Pictures have a
bound of their own; what nothing bounds is refused by name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from aegis.core.calls import Usage
from aegis.core.errors import BadInput

FRAMING_TOKENS: Final = 2_048
"""What a service may add for roles, tools and schemas: four times the 500 tokens of a tool-use preamble
(platform.claude.com/docs/en/agents-and-tools/tool-use/overview, pricing).
"""
PLAIN_TOKENS: Final = 128
"""The same for a request without tools and schemas: roles and separators take 3 or 4 tokens a message, for which the
JSON around it stands; this is for what opens an answer.
"""
IMAGE_TOKENS: Final = 50_000
"""More than any vendor counts for one picture at its highest detail (a few thousand; some small models multiply)."""
OUTPUT_MAX: Final = 10_000_000
"""No vendor's answer is longer; a cap beyond it is no cap."""
_RENDERED = frozenset(
    ("tools", "functions", "response_format", "output_config", "output_format", "text", "mcp_servers", "thinking")
)
"""What a service writes into its own instructions."""
NO_BOUND: Final = "no_bound"


class Bounded(NamedTuple):
    """A request as it will be sent. `body` is the JSON object with what was put in, `raw` its bytes; `worst` the most
    that it can use per meter; `tier` is the tier of service asked for. `hides_usage` says that the stream's usage was asked
    for by us, so that its event is kept from the caller. A tuple with names, as `Call` is.
    """

    body: dict[str, Any]
    raw: bytes
    model: str
    worst: Usage
    tier: str = ""
    stream: bool = False
    hides_usage: bool = False


def names(text_: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text_.split())


def no_bound(what: str, why: str) -> BadInput:
    """The refusal of a request that nothing bounds."""
    return BadInput(f"{what} {why}, so nobody can say beforehand what the call may cost", code=NO_BOUND)


def raw_tokens(raw: bytes, body: Mapping[str, Any]) -> int:
    """An upper bound of the tokens of a body, and of `raw`, which is it as UTF-8 without escapes beyond ASCII's."""
    rendered = not _RENDERED.isdisjoint(body) and any(body.get(name) for name in _RENDERED)
    framing = FRAMING_TOKENS if rendered else PLAIN_TOKENS
    if raw.isascii():
        return len(raw) + framing
    normal = unicodedata.normalize("NFKC", raw.decode("utf-8"))
    return max(len(raw), len(normal.encode())) + framing


def only(body: Mapping[str, Any], known: frozenset[str], extra: frozenset[str]) -> None:
    """Refuse a field that nobody here knows: it may raise the cost."""
    if body.keys() <= known:
        return
    for name in body:
        if name not in known and name not in extra and body[name] is not None:
            raise BadInput(
                f"the field {name[:64]!r} is not known to the gateway and may raise the cost; an operator allows it with "
                "gateway.upstreams.<name>.allow_fields",
                code="unknown_field",
            )


def whole(body: Mapping[str, Any], name: str, *, least: int = 1, most: int = OUTPUT_MAX) -> int | None:
    """A whole number of the body, or None where it is absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= most:
        raise BadInput(f"{name} must be a whole number from {least} to {most}", code="bad_number")
    return value


def text(body: Mapping[str, Any], name: str) -> str:
    """A text that the body must have."""
    value = body.get(name)
    if not isinstance(value, str) or not value or len(value) > 256:
        raise BadInput(f"{name} must be a text", code="bad_text")
    return value


def flag(body: Mapping[str, Any], name: str) -> bool:
    """A flag of the body, false where it is absent."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadInput(f"{name} must be true or false", code="bad_flag")
    return bool(value)


def listed(value: Any, what: str) -> list[Any]:
    """A list, empty where there is none. Raises `BadInput` for anything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadInput(f"{what} must be a list", code="bad_list")
    return value


def count(told: Any, name: str) -> int:
    """A count in a usage; absent and null are zero. Raises `BadInput` for what is no count."""
    value = told.get(name) if isinstance(told, dict) else None
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise BadInput(f"{name} is no count", code="bad_usage")
    return value


def data_address(value: Any) -> int:
    """The length of a picture that stands in the request as a `data:` address; 0 where it is only referred to."""
    return len(value) if isinstance(value, str) and value.startswith("data:") else 0
