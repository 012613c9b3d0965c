"""OpenAI in the sandbox: whole and streamed answers agree, usage is told as asked, and the day's costs add up."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.sandbox.places import NOW, Client, Contracts

pytestmark = pytest.mark.anyio

CHAT, RESPONSES, EMBEDDINGS = "/openai/v1/chat/completions", "/openai/v1/responses", "/openai/v1/embeddings"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["summary", "severity"],
    "properties": {"summary": {"type": "string"}, "severity": {"enum": ["LOW", "HIGH"]}},
}


@pytest.fixture(autouse=True)
def with_key(client: Client) -> None:
    client.headers["authorization"] = "Bearer sk-canary"


def chat(**more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "You explain."}, {"role": "user", "content": "severity: LOW, what now?"}]
    return {"model": "gpt-5.4-mini", "messages": messages, **more}


def events(body: bytes) -> list[Any]:
    parts = [part.partition("data: ")[2] for part in body.decode().split("\n\n") if part]
    return [json.loads(part) for part in parts if part != "[DONE]"]


async def test_answers_keep_the_contract(client: Client, contracts: Contracts) -> None:
    for name, answer in (
        ("chat_completions.200", await client.post(CHAT, chat())),
        ("responses.200", await client.post(RESPONSES, {"model": "gpt-6-sol", "input": "what now?"})),
        ("embeddings.200", await client.post(EMBEDDINGS, {"model": "text-embedding-3-small", "input": ["a", "b"]})),
        ("models.200", await client.get("/openai/v1/models")),
        ("costs.200", await client.get(f"/openai/v1/organization/costs?start_time={int(NOW.timestamp())}")),
        ("usage_completions.200", await client.get("/openai/v1/organization/usage/completions?start_time=0&limit=1")),
        ("error", await client.post(CHAT, chat(messages=[]))),
    ):
        assert contracts.breaches("openai", name, answer.json) == [], name


async def test_a_schema_is_followed(client: Client) -> None:
    shape = {"type": "json_schema", "json_schema": {"name": "report", "schema": SCHEMA}}
    answer = (await client.post(CHAT, chat(response_format=shape))).json
    said = json.loads(answer["choices"][0]["message"]["content"])
    assert list(Draft202012Validator(SCHEMA).iter_errors(said)) == []
    assert said["severity"] == "LOW"


async def test_a_chat_stream_tells_usage_only_when_asked(client: Client) -> None:
    whole = (await client.post(CHAT, chat())).json
    silent = events((await client.post(CHAT, chat(stream=True))).body)
    told = events((await client.post(CHAT, chat(stream=True, stream_options={"include_usage": True}))).body)
    text = "".join(one["choices"][0]["delta"].get("content", "") for one in silent)
    assert text == whole["choices"][0]["message"]["content"]
    assert not any("usage" in one for one in silent)
    assert (told[-1]["choices"], told[-1]["usage"]) == ([], whole["usage"])


async def test_a_response_stream_ends_with_the_whole_response(client: Client) -> None:
    asked = {"model": "gpt-6-sol", "input": [{"role": "user", "content": "what now?"}], "stream": True}
    said = events((await client.post(RESPONSES, asked)).body)
    assert (said[0]["type"], said[-1]["type"]) == ("response.created", "response.completed")
    text = "".join(one["delta"] for one in said if one["type"] == "response.output_text.delta")
    assert text == said[-1]["response"]["output"][0]["content"][0]["text"]
    assert [one["sequence_number"] for one in said] == list(range(len(said)))


async def test_a_response_calls_the_function_that_it_is_told_to_call(client: Client, contracts: Contracts) -> None:
    function = {"type": "function", "name": "report", "parameters": SCHEMA}
    asked = {"model": "gpt-6-sol", "input": "severity: LOW", "tools": [function], "max_output_tokens": 300}
    named = {"type": "function", "name": "report"}
    whole = (await client.post(RESPONSES, asked | {"tool_choice": named})).json
    [call] = whole["output"]
    assert (call["type"], call["name"], call["status"]) == ("function_call", "report", "completed")
    assert list(Draft202012Validator(SCHEMA).iter_errors(json.loads(call["arguments"]))) == []
    assert contracts.breaches("openai", "responses.200", whole) == []
    [free] = (await client.post(RESPONSES, asked)).json["output"]
    assert free["type"] == "message"
    said = events((await client.post(RESPONSES, asked | {"tool_choice": "required", "stream": True})).body)
    pieces = [one["delta"] for one in said if one["type"] == "response.function_call_arguments.delta"]
    assert "".join(pieces) == said[-1]["response"]["output"][0]["arguments"] == call["arguments"]
    unnamed = await client.post(RESPONSES, asked | {"tool_choice": {"type": "function"}})
    assert (unnamed.status, unnamed.json["error"]["param"]) == (400, "tool_choice.name")


async def test_the_days_costs_are_what_was_billed(client: Client) -> None:
    usage = (await client.post(CHAT, chat())).json["usage"]
    await client.post(CHAT, chat(model="gpt-6-sol"))
    billed = client.world.received("openai").billed
    assert billed == usage["prompt_tokens"] * (750 + 2_000) + usage["completion_tokens"] * (4_500 + 10_000)
    path = f"/openai/v1/organization/costs?start_time={int(NOW.timestamp())}"
    amount = (await client.get(path)).json["data"][0]["results"][0]["amount"]
    assert amount == {"value": pytest.approx(billed / 10**9), "currency": "usd"}


@pytest.mark.parametrize(
    ("path", "wrong", "status"),
    [
        (CHAT, chat(messages=None), 400),
        (CHAT, chat(max_tokens=0), 400),
        (CHAT, chat(stream_options={"include_usage": True}), 400),
        (CHAT, chat(colour="red"), 400),
        (CHAT, chat(messages=[{"role": "robot", "content": "x"}]), 400),
        (CHAT, chat(model="claude-sonnet-5-5"), 404),
        (RESPONSES, {"model": "gpt-6-sol"}, 400),
        (EMBEDDINGS, {"model": "text-embedding-3-small", "input": [1]}, 400),
        ("/openai/v1/usage", {}, 404),
    ],
)
async def test_a_wrong_request_is_refused_and_free(client: Client, path: str, wrong: Any, status: int) -> None:
    answer = await client.post(path, wrong)
    assert (answer.status, answer.json["error"]["type"]) == (status, "invalid_request_error")
    assert client.world.received("openai").billed == 0


async def test_a_vector_is_the_same_for_the_same_text(client: Client) -> None:
    asked = {"model": "text-embedding-3-small", "input": ["a", "a", "b"], "dimensions": 8}
    first, same, other = [one["embedding"] for one in (await client.post(EMBEDDINGS, asked)).json["data"]]
    assert first == same != other
    assert len(first) == 8
