"""LiteLLM as a client against the gateway, asking both vendors' models in its one way."""

from __future__ import annotations

import os
from functools import partial
from importlib.metadata import version
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # the price table it ships, nothing is fetched

import litellm
from bench.peers._steps import COST, QUESTION, SCHEMA, given, stopped, tell

SAID = [{"role": "user", "content": QUESTION}]
at = given()
BASES = {"openai/gpt-6-luna": f"{at.address}/v1", "anthropic/claude-sonnet-4-5": at.address}
litellm.suppress_debug_info = True


def ask(model: str, key: str, **more: Any) -> Any:
    asked = {"messages": SAID, "max_tokens": 60, **more}
    return litellm.completion(model=model, api_base=BASES[model], api_key=key, **asked)


def plain() -> bool:
    return all(ask(model, at.key).choices[0].message.content for model in BASES)


def stream() -> bool:
    return all(len(list(ask(model, at.key, stream=True))) > 1 for model in BASES)


def tools() -> bool:
    tool = {"type": "function", "function": {"name": "rate", "description": "rate it", "parameters": SCHEMA}}
    wanted = {"type": "function", "function": {"name": "rate"}}
    answers = [ask(model, at.key, tools=[tool], tool_choice=wanted) for model in BASES]
    return all(one.choices[0].message.tool_calls[0].function.name == "rate" for one in answers)


def errors() -> object:
    return stopped(lambda: ask("openai/gpt-6-luna", at.key, messages=[{"role": "nobody", "content": ""}]), "BadRequest")


def refusal() -> object:
    found = [stopped(partial(ask, model, at.poor), "RateLimitError") for model in BASES]
    return all(one is True for one in found) or str(found)


def cost_header() -> bool:
    found = [ask(model, at.key)._hidden_params["additional_headers"] for model in BASES]  # noqa: SLF001 - where it keeps them
    return all(float(head[f"llm_provider-{COST}"]) > 0 for head in found)


steps = {"plain": plain, "stream": stream, "tools": tools, "errors": errors}
tell(version("litellm"), {**steps, "refusal": refusal, "cost_header": cost_header}, refused=2)
