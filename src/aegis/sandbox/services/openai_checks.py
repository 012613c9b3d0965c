"""What OpenAI's endpoints accept (openai-openapi: chat completions, responses, embeddings), as far as Aegis and the
programs behind its gateway use them.
"""

from __future__ import annotations

from typing import Any

from aegis.sandbox.checks import Inspector, names

CHAT = names(
    """model messages max_tokens max_completion_tokens temperature top_p n stream stream_options stop response_format tools
    tool_choice parallel_tool_calls user safety_identifier seed presence_penalty frequency_penalty logit_bias logprobs
    top_logprobs metadata store service_tier reasoning_effort verbosity prediction modalities prompt_cache_key
    prompt_cache_retention functions function_call web_search_options audio"""
)
RESPONSES = names(
    """model input instructions max_output_tokens temperature top_p stream stream_options text tools tool_choice metadata
    store service_tier reasoning previous_response_id parallel_tool_calls truncation user safety_identifier background
    include max_tool_calls prompt prompt_cache_key prompt_cache_retention conversation top_logprobs"""
)
EMBEDDINGS = names("model input dimensions encoding_format user")
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
OUTPUT_MAX, CHOICES_MAX, INPUTS_MAX, DIMENSIONS_MAX, DEPTH_MAX = 128_000, 8, 2_048, 3_072, 4


def check_chat(request: Inspector) -> None:
    request.only(CHAT)
    request.text("model", required=True)
    for message in request.objects("messages", required=True, least=1):
        role = message.text("role", required=True, one_of=ROLES)
        content = message.held.get("content")
        if content is None and role not in ("assistant", "function"):
            message.wrong("content", "is required", "required")
        elif not isinstance(content, str | list | None):
            message.wrong("content", "must be a string or a list of parts", "type")
        for part in message.objects("content") if isinstance(content, list) else ():
            part.text("type", required=True)
    request.whole("max_tokens", least=1, most=OUTPUT_MAX)
    request.whole("max_completion_tokens", least=1, most=OUTPUT_MAX)
    request.whole("n", least=1, most=CHOICES_MAX)
    request.number("temperature")
    request.flag("stream")
    if request.child("stream_options") is not None and not request.held.get("stream"):
        request.wrong("stream_options", "is only allowed when stream is true")
    shape = request.child("response_format")
    if shape is not None and shape.text("type", required=True, one_of=("text", "json_object", "json_schema")) == (
        "json_schema"
    ):
        _shape(shape.child("json_schema", required=True))


def _shape(shape: Inspector | None) -> None:
    if shape is not None:
        shape.text("name", required=True, pattern=r"[A-Za-z0-9_-]{1,64}")
        shape.child("schema")


def check_responses(request: Inspector) -> None:
    request.only(RESPONSES)
    request.text("model", required=True)
    request.text("instructions")
    request.whole("max_output_tokens", least=1, most=OUTPUT_MAX)
    request.flag("stream")
    if not isinstance(request.held.get("input"), str):
        request.objects("input", required=True, least=1)
    for tool in request.objects("tools"):
        if tool.text("type", required=True) == "function":
            tool.text("name", required=True, pattern=r"[A-Za-z0-9_-]{1,64}")
            tool.child("parameters")
    choice = request.held.get("tool_choice")
    named = request.child("tool_choice") if isinstance(choice, dict) else None
    if named is not None and named.text("type", required=True) == "function":
        named.text("name", required=True)
    text = request.child("text")
    shape = text.child("format") if text is not None else None
    if shape is not None and shape.text("type", required=True) == "json_schema":
        _shape(shape)


def check_embeddings(request: Inspector) -> None:
    request.only(EMBEDDINGS)
    request.text("model", required=True)
    request.text("encoding_format", one_of=("float", "base64"))
    request.whole("dimensions", least=1, most=DIMENSIONS_MAX)
    if not isinstance(request.held.get("input"), str):
        request.texts("input", required=True, most=INPUTS_MAX)


def texts(content: Any, depth: int = 0) -> list[str]:
    """The texts in a message's or an input's content."""
    if isinstance(content, str):
        return [content]
    found = []
    for part in content if isinstance(content, list) and depth < DEPTH_MAX else ():
        if isinstance(part, dict):
            found.extend(texts(part.get("text") if "text" in part else part.get("content"), depth + 1))
    return found
