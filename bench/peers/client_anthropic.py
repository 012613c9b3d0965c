"""Anthropic's own client against the gateway, whichever major it is: messages, streams, tools, counts, errors."""

from __future__ import annotations

from typing import Any

import anthropic
from bench.peers._steps import COST, QUESTION, SCHEMA, given, stopped, tell

SAID: Any = [{"role": "user", "content": QUESTION}]
MODEL = "claude-sonnet-4-5"
at = given()
client = anthropic.Anthropic(base_url=at.address, api_key=at.key)
bearer = anthropic.Anthropic(base_url=at.address, auth_token=at.key, api_key=None)
poor = anthropic.Anthropic(base_url=at.address, api_key=at.poor)


def plain() -> bool:
    message: Any = client.messages.create(model=MODEL, messages=SAID, max_tokens=40)
    by_bearer: Any = bearer.messages.create(model=MODEL, messages=SAID, max_tokens=40)
    counted = client.messages.count_tokens(model=MODEL, messages=SAID)
    return bool(message.content[0].text and by_bearer.content[0].text and counted.input_tokens)


def stream() -> bool:
    with client.messages.stream(model=MODEL, messages=SAID, max_tokens=40) as events:
        said = "".join(events.text_stream)
        whole: Any = events.get_final_message()
    return bool(said) and said == whole.content[0].text and whole.usage.output_tokens > 1


def tools() -> bool:
    tool: Any = {"name": "rate", "input_schema": SCHEMA}
    wanted: Any = {"type": "tool", "name": "rate"}
    message: Any = client.messages.create(model=MODEL, messages=SAID, max_tokens=200, tools=[tool], tool_choice=wanted)
    return bool(message.stop_reason == "tool_use") and bool(message.content[0].name == "rate")


def errors() -> object:
    wrong: Any = [{"role": "assistant", "content": "hi"}]
    return stopped(lambda: client.messages.create(model=MODEL, messages=wrong, max_tokens=40), "BadRequestError")


def refusal() -> object:
    return stopped(
        lambda: poor.messages.create(model=MODEL, messages=SAID, max_tokens=40), "RateLimitError", "rate_limit_error"
    )


def cost_header() -> bool:
    raw = client.messages.with_raw_response.create(model=MODEL, messages=SAID, max_tokens=40)
    return float(raw.headers[COST]) > 0


steps = {"plain": plain, "stream": stream, "tools": tools, "errors": errors}
tell(anthropic.__version__, {**steps, "refusal": refusal, "cost_header": cost_header}, refused=1)
