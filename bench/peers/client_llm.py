"""The command line `llm` and its Anthropic plugin against the gateway, told of it by the vendors' variables alone."""

from __future__ import annotations

import os
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llm
from bench.peers._steps import QUESTION, given, stopped, tell

at = given()
os.environ |= {
    "OPENAI_BASE_URL": f"{at.address}/v1",
    "ANTHROPIC_BASE_URL": at.address,
    "LLM_USER_PATH": str(Path.cwd()),
}

MODELS = ("gpt-6-luna", "claude-sonnet-4.5")


def ask(model: str, key: str, **more: Any) -> Any:
    return llm.get_model(model).prompt(QUESTION, key=key, **more)


def said(model: str, key: str) -> str:
    return str(ask(model, key, stream=False).text())


def rate(severity: str) -> str:
    """How bad it is."""
    return severity


def plain() -> bool:
    return all(ask(model, at.key, stream=False).text() for model in MODELS)


def stream() -> bool:
    return all(len(list(ask(model, at.key, stream=True))) > 1 for model in MODELS)


def tools() -> bool:
    """It can offer tools, not demand that one is called."""
    return all(ask(model, at.key, stream=False, tools=[llm.Tool.function(rate)]).text() for model in MODELS)


def errors() -> object:
    return stopped(
        lambda: llm.get_model("gpt-4o-mini").prompt(QUESTION, key=at.key, stream=False).text(), "NotFoundError"
    )


def refusal() -> object:
    found = [stopped(partial(said, model, at.poor), "429") for model in MODELS]
    return all(one is True for one in found) or str(found)


versions = "llm {}, llm-anthropic {}".format(*map(version, ("llm", "llm-anthropic")))
steps = {"plain": plain, "stream": stream, "tools": tools, "errors": errors}
tell(versions, {**steps, "refusal": refusal, "cost_header": lambda: "not shown by this client"}, refused=2)
