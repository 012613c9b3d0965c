"""Batches on the wire: one request a line before, one result a line after, at both vendors. Pure.

What was not answered (errors, cancelled, expired) is not billed (platform.openai.com: batch; platform.claude.com:
message batches).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aegis.core.calls import Usage
from aegis.core.errors import BadInput
from aegis.core.metering import anthropic, openai

NAME: Final = re.compile(r"[\x20-\x7e]{1,64}")
"""A `custom_id`: Anthropic takes letters, digits, `_` and `-`, OpenAI any text; nobody needs more than 64 characters."""
OPENAI_ENDED: Final = frozenset({"completed", "failed", "expired", "cancelled"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a batch."""

    name: str
    url: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one request. `usage` is None where it was billed and does not say what it used."""

    name: str
    billed: bool
    usage: Usage | None = None


def openai_line(raw: bytes) -> Asked:
    """A line of an input file. Raises `BadInput`."""
    line = _object(raw)
    if line.keys() - {"custom_id", "method", "url", "body"}:
        raise BadInput("a line has custom_id, method, url and body, and nothing else", code="unknown_field")
    if line.get("method") != "POST":
        raise BadInput("method must be POST", code="bad_line")
    url, body = line.get("url"), line.get("body")
    if not isinstance(url, str) or not isinstance(body, dict):
        raise BadInput("url must be a text and body an object", code="bad_line")
    return Asked(_name(line), url, body)


def anthropic_request(told: Any) -> Asked:
    """A request of a message batch. Raises `BadInput`."""
    if not isinstance(told, Mapping) or told.keys() != {"custom_id", "params"} or not isinstance(told["params"], dict):
        raise BadInput("a request has custom_id and params, and nothing else", code="bad_line")
    return Asked(_name(told), "/v1/messages", told["params"])


def openai_result(raw: bytes) -> Result:
    """A line of an output file. Raises `BadInput`."""
    line = _object(raw)
    response = line.get("response")
    body = response.get("body") if isinstance(response, Mapping) else None
    if not isinstance(response, Mapping) or response.get("status_code") != 200:
        return Result(_name(line), billed=False)
    told = body.get("usage") if isinstance(body, Mapping) else None
    return Result(_name(line), billed=True, usage=_usage(openai.usage, told))


def anthropic_result(raw: bytes) -> Result:
    """A line of a batch's results. Raises `BadInput`."""
    line = _object(raw)
    result = line.get("result")
    if not isinstance(result, Mapping) or result.get("type") in ("errored", "canceled", "expired"):
        return Result(_name(line), billed=False)
    message = result.get("message")
    told = message.get("usage") if isinstance(message, Mapping) else None
    return Result(_name(line), billed=True, usage=_usage(anthropic.usage, told))


def _usage(read: Any, told: Any) -> Usage | None:
    try:
        used: Usage = read(told)
    except BadInput:
        return None
    return used


def _object(raw: bytes) -> dict[str, Any]:
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        line = None
    if not isinstance(line, dict):
        raise BadInput("this is no JSON object", code="not_json")
    return line


def _name(line: Mapping[str, Any]) -> str:
    name = line.get("custom_id")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadInput("custom_id must be a text of 1 to 64 plain characters", code="bad_line")
    return name
