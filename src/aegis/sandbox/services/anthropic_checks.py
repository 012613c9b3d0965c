"""What the Messages API accepts, at its two versions (platform.claude.com: API reference, structured outputs, and the
migration to 2026-10-21).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aegis.sandbox.checks import Inspector, names

NEW, OLD = "2026-10-21", "2023-06-01"
VERSIONS = (NEW, OLD)
OUTPUT_MAX = 128_000
MESSAGES_MAX = 100_000
SAMPLING = frozenset({"temperature", "top_p", "top_k"})

_COMMON = names("""model messages max_tokens system stop_sequences stream metadata output_config service_tier thinking tool_choice
    tools cache_control container inference_geo user_profile_id""")
FIELDS: Mapping[str, frozenset[str]] = {
    NEW: _COMMON | {"diagnostics", "speed", "workspace_id"},
    OLD: _COMMON | SAMPLING,
}
NOT_COUNTED = names("max_tokens stream stop_sequences metadata service_tier container inference_geo diagnostics")
"""What the counting of tokens does not take."""

BLOCKS = names("""text image document search_result thinking redacted_thinking tool_use tool_result server_tool_use
    web_search_tool_result web_fetch_tool_result code_execution_tool_result container_upload""")
CONTEXT, TURNS, EFFORTS = "context-management-", "mid-conversation-", "per-turn-control-"
"""Betas, by how their names begin: they bring `context_management`, words of the system between turns, and an
`output_config` beside such words.
"""
UNSUPPORTED = names(
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength maxItems uniqueItems"
)
"""Constraints that structured outputs refuse."""

SCHEMA_DEPTH_MAX, CONTENT_DEPTH_MAX = 30, 4


def check_request(request: Inspector, version: str, *, counting: bool, betas: str = "") -> None:
    """Every problem of a request's body; `betas` is what its header `anthropic-beta` names."""
    allowed = FIELDS[version] - NOT_COUNTED if counting else FIELDS[version]
    allowed |= {"context_management"} if CONTEXT in betas else set()
    for name in request.held:
        if name in SAMPLING and version == NEW:
            request.wrong(name, f"is not accepted by version {NEW}", "unknown")
        elif name not in allowed:
            request.wrong(name[:80], "is not a known field", "unknown")
    request.text("model", required=True)
    if not counting:
        request.whole("max_tokens", required=True, least=1, most=OUTPUT_MAX)
    request.flag("stream")
    request.texts("stop_sequences", most=64)
    request.text("service_tier", one_of=("auto", "standard_only"))
    _system(request)
    messages = request.objects("messages", required=True, least=1, most=MESSAGES_MAX)
    for message in messages:
        _message(message, version, betas)
    if messages and messages[0].held.get("role") == "assistant":
        request.wrong("messages.0.role", "the first message must use the user role")
    _output(request)
    tools = request.objects("tools")
    for tool in tools:
        tool.text("name", required=True, longest=128)
        if tool.text("type") in ("", "custom"):
            tool.child("input_schema", required=True)
    choice = request.child("tool_choice")
    if choice is not None:
        _choice(choice, [str(tool.held.get("name")) for tool in tools])


def _choice(choice: Inspector, tools: Sequence[str]) -> None:
    kind = choice.text("type", required=True, one_of=("auto", "any", "tool", "none"))
    if kind == "tool":
        choice.text("name", required=True, one_of=tools)
    elif kind == "any" and not tools:
        choice.wrong("type", "needs tools")


def _system(request: Inspector) -> None:
    if isinstance(request.held.get("system"), str):
        return
    for block in request.objects("system"):
        block.text("type", required=True, one_of=("text",))
        block.text("text", required=True)


def _message(message: Inspector, version: str, betas: str) -> None:
    message.only({"role", "content", "output_config"} if EFFORTS in betas else {"role", "content"})
    roles = ("user", "assistant", "system") if version == NEW or TURNS in betas else ("user", "assistant")
    role = message.text("role", required=True, one_of=roles)
    if isinstance(message.held.get("content"), str):
        message.text("content", required=True)
        return
    for block in message.objects("content", required=True, least=1):
        kind = block.text("type", required=True, one_of=BLOCKS)
        if kind == "text":
            block.text("text", required=True)
            if version == NEW and role == "user" and block.held.get("citations"):
                block.wrong("citations", "must be empty on user text blocks")
        if kind == "document" and version == NEW and role == "assistant":
            block.wrong("type", "document blocks are not accepted in assistant messages")


def _output(request: Inspector) -> None:
    output = request.child("output_config")
    if output is None:
        return
    output.only({"effort", "format"})
    output.text("effort", one_of=("low", "medium", "high", "xhigh", "max"))
    shape = output.child("format")
    if shape is not None:
        shape.text("type", required=True, one_of=("json_schema",))
        schema = shape.child("schema", required=True)
        if schema is not None:
            problem = schema_problem(schema.held)
            if problem:
                shape.wrong("schema", problem)


def schema_problem(schema: Any, depth: int = 0) -> str:
    """Why structured outputs would refuse a schema, "" if they take it."""
    if depth > SCHEMA_DEPTH_MAX:
        return "the schema is nested too deeply"
    if isinstance(schema, list):
        return next(filter(None, (schema_problem(one, depth + 1) for one in schema)), "")
    if not isinstance(schema, dict):
        return ""
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return "an object needs additionalProperties: false"
    refused = UNSUPPORTED & schema.keys()
    if refused:
        return f"{min(refused)} is not supported by structured outputs"
    if schema.get("type") == "array" and schema.get("minItems", 0) not in (0, 1):
        return "minItems of 0 or 1 only is supported by structured outputs"
    parts: list[Any] = [schema.get(key) for key in ("items", "anyOf", "allOf")]
    for key in ("properties", "$defs", "definitions"):
        parts.extend((schema.get(key) or {}).values() if isinstance(schema.get(key) or {}, dict) else ())
    return schema_problem(parts, depth + 1)


def words(request: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The texts of a checked request: of the system and the messages together, and of the user's messages alone."""
    every, users = [*_texts(request.get("system"))], []
    for message in request["messages"]:
        found = _texts(message["content"])
        every.extend(found)
        if message["role"] == "user":
            users.extend(found)
    return every, users


def _texts(content: Any, depth: int = 0) -> list[str]:
    """The texts of a content; a tool's result may hold blocks, and no block holds more than that."""
    if isinstance(content, str):
        return [content]
    found = []
    for block in content if isinstance(content, list) and depth < CONTENT_DEPTH_MAX else ():
        if isinstance(block, dict):
            found.extend(_texts(block.get("text") if block.get("type") == "text" else block.get("content"), depth + 1))
    return found
