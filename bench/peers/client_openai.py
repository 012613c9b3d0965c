"""OpenAI's own client against the gateway: chats and responses, whole and streamed, tools, embeddings, errors."""

from __future__ import annotations

from typing import Any

import openai
from bench.peers._steps import COST, QUESTION, SCHEMA, given, stopped, tell

SAID: Any = [{"role": "user", "content": QUESTION}]
MODEL = "gpt-6-luna"
at = given()
client = openai.OpenAI(base_url=f"{at.address}/v1", api_key=at.key)
poor = openai.OpenAI(base_url=f"{at.address}/v1", api_key=at.poor)


def plain() -> bool:
    chat = client.chat.completions.create(model=MODEL, messages=SAID, max_completion_tokens=40)
    response = client.responses.create(model=MODEL, input=QUESTION, max_output_tokens=40)
    vectors = client.embeddings.create(model="text-embedding-3-small", input=[QUESTION])
    return bool(chat.choices[0].message.content and response.output_text and vectors.data[0].embedding)


def stream() -> bool:
    pieces = list(client.chat.completions.create(model=MODEL, messages=SAID, max_completion_tokens=40, stream=True))
    events = list(client.responses.create(model=MODEL, input=QUESTION, max_output_tokens=40, stream=True))
    return len(pieces) > 2 and all(piece.choices for piece in pieces) and events[-1].type.startswith("response.")


def tools() -> bool:
    tool: Any = {"type": "function", "function": {"name": "rate", "parameters": SCHEMA}}
    wanted: Any = {"type": "function", "function": {"name": "rate"}}
    chat = client.chat.completions.create(
        model=MODEL, messages=SAID, max_completion_tokens=200, tools=[tool], tool_choice=wanted
    )
    called: Any = chat.choices[0].message.tool_calls
    return bool(called) and called[0].function.name == "rate"


def errors() -> object:
    return stopped(lambda: client.chat.completions.create(model=MODEL, messages=[]), "BadRequestError")


def refusal() -> object:
    return stopped(
        lambda: poor.chat.completions.create(model=MODEL, messages=SAID, max_completion_tokens=40),
        "RateLimitError",
        "budget: ",
    )


def cost_header() -> bool:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=SAID, max_completion_tokens=40)
    return float(raw.headers[COST]) > 0


steps = {"plain": plain, "stream": stream, "tools": tools, "errors": errors}
tell(openai.__version__, {**steps, "refusal": refusal, "cost_header": cost_header}, refused=1)
