"""LangChain's two chat models against the gateway: invoke, stream, tools, errors."""

from __future__ import annotations

from functools import partial, reduce
from importlib.metadata import version
from operator import add
from typing import Any

from bench.peers._steps import COST, QUESTION, given, stopped, tell
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

at = given()


def gpt(key: str, model: str = "gpt-6-luna", **more: Any) -> Any:
    return ChatOpenAI(model=model, base_url=f"{at.address}/v1", api_key=key, max_tokens=300, **more)


def claude(key: str) -> Any:
    return ChatAnthropic(model="claude-sonnet-4-5", base_url=at.address, api_key=key, max_tokens=300)


def _rate(severity: str) -> str:
    """How bad it is."""
    return severity


rate: Any = tool("rate")(_rate)


def plain() -> bool:
    return all(model.invoke(QUESTION).content for model in (gpt(at.key), claude(at.key)))


def stream() -> bool:
    return all(len(list(model.stream(QUESTION))) > 1 for model in (gpt(at.key), claude(at.key)))


def tools() -> bool:
    """Whole and streamed. OpenAI's newest model is asked over responses as soon as it has tools, the one before over chat."""
    models = (gpt(at.key), gpt(at.key, "gpt-5.4-mini"), claude(at.key))
    bound = [model.bind_tools([rate], tool_choice="rate") for model in models]
    answers = [answer for model in bound for answer in (model.invoke(QUESTION), reduce(add, model.stream(QUESTION)))]
    return all(answer.tool_calls[0]["name"] == "rate" for answer in answers)


def errors() -> object:
    return stopped(lambda: claude(at.key).invoke([("ai", "hi")]), "invalid_request_error")


def refusal() -> object:
    found = [stopped(partial(model.invoke, QUESTION), "RateLimitError") for model in (gpt(at.poor), claude(at.poor))]
    return all(one is True for one in found) or str(found)


def cost_header() -> bool:
    answer = gpt(at.key, include_response_headers=True).invoke(QUESTION)
    return float(answer.response_metadata["headers"][COST]) > 0


versions = "langchain-openai {}, langchain-anthropic {}".format(
    *map(version, ("langchain-openai", "langchain-anthropic"))
)
steps = {"plain": plain, "stream": stream, "tools": tools, "errors": errors}
tell(versions, {**steps, "refusal": refusal, "cost_header": cost_header}, refused=2)
