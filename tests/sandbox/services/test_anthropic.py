"""Claude in the sandbox is as strict as the real one, answers by the asked schema, and bills what it counted."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.sandbox.places import Answer, Client, Contracts

pytestmark = pytest.mark.anyio

PATH, COUNT = "/anthropic/v1/messages", "/anthropic/v1/messages/count_tokens"
NEW, OLD = "2026-10-21", "2023-06-01"
CONTRACT = {NEW: "anthropic", OLD: "anthropic_2023_06_01"}
EVIDENCE = """Incident: Data leaves the bucket acme-customer-exports
Severity: CRITICAL
203.0.113.66 attached AdministratorAccess (T1098) and read 60 objects (T1530)."""
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["summary", "impact", "actions", "confidence", "severity", "techniques", "iocs"],
    "properties": {
        "summary": {"type": "string"},
        "impact": {"type": "string"},
        "actions": {"type": "array", "items": {"type": "string"}},
        "confidence": {"enum": ["low", "medium", "high"]},
        "severity": {"enum": ["LOW", "MEDIUM", "HIGH", "CRITICAL"]},
        "techniques": {"type": "array", "items": {"type": "string"}},
        "iocs": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["kind", "value"],
                "properties": {"kind": {"enum": ["ip", "domain"]}, "value": {"type": "string"}},
            },
        },
    },
}


def question(**more: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 800,
        "system": "You explain incidents.",
        "messages": [{"role": "user", "content": EVIDENCE}],
        **more,
    }


def shaped(schema: dict[str, Any]) -> dict[str, Any]:
    return question(output_config={"format": {"type": "json_schema", "schema": schema}})


async def ask(client: Client, value: Any, version: str = NEW, path: str = PATH) -> Answer:
    return await client.post(path, value, x_api_key="sk-ant-canary", anthropic_version=version)


async def test_the_answer_follows_the_schema_and_names_only_what_was_asked_about(client: Client) -> None:
    answer = await ask(client, shaped(SCHEMA))
    said = json.loads(answer.json["content"][0]["text"])
    assert list(Draft202012Validator(SCHEMA).iter_errors(said)) == []
    assert (said["severity"], said["techniques"]) == ("CRITICAL", ["T1098", "T1530"])
    assert said["iocs"] == [{"kind": "ip", "value": "203.0.113.66"}]
    assert said["summary"].startswith("Data leaves the bucket acme-customer-exports")


@pytest.mark.parametrize("version", [NEW, OLD])
async def test_answers_keep_both_contracts(client: Client, contracts: Contracts, version: str) -> None:
    assert contracts.breaches(CONTRACT[version], "messages", shaped(SCHEMA), "requests") == []
    for name, answer in (
        ("messages.200", await ask(client, shaped(SCHEMA), version)),
        ("messages.200", await ask(client, question(), version)),
        ("error", await ask(client, question(max_tokens=0), version)),
        ("error", await client.post(PATH, question())),
    ):
        assert contracts.breaches(CONTRACT[version], name, answer.json) == [], name
    counted = await ask(client, {"model": "claude-sonnet-5-5", "messages": question()["messages"]}, version, COUNT)
    assert contracts.breaches(CONTRACT[version], "count_tokens.200", counted.json) == []


async def test_every_answered_request_is_billed_by_list_price_also_a_repeated_one(client: Client) -> None:
    used = [(await ask(client, question())).json["usage"] for _ in range(2)]
    expected = sum(2_000 * one["input_tokens"] + 10_000 * one["output_tokens"] for one in used)
    tally = client.world.received("anthropic")
    assert (tally.billed, tally.received) == (expected, 2)
    assert tally.usage["output_tokens"] == sum(one["output_tokens"] for one in used)


async def test_a_refused_request_and_a_count_cost_nothing(client: Client) -> None:
    await ask(client, question(temperature=1))
    await ask(client, {"model": "claude-sonnet-5-5", "messages": question()["messages"]}, path=COUNT)
    assert client.world.received("anthropic").billed == 0


async def test_a_count_says_what_the_answer_will_count(client: Client) -> None:
    asked = shaped(SCHEMA)
    counted = (await ask(client, {k: v for k, v in asked.items() if k != "max_tokens"}, path=COUNT)).json[
        "input_tokens"
    ]
    assert counted == (await ask(client, asked)).json["usage"]["input_tokens"]


async def test_an_answer_stops_at_max_tokens(client: Client) -> None:
    answer = (await ask(client, question(max_tokens=5))).json
    assert (answer["stop_reason"], answer["usage"]["output_tokens"]) == ("max_tokens", 5)


async def test_a_forced_tool_gets_its_input(client: Client) -> None:
    tool = {"name": "report", "input_schema": SCHEMA}
    asked = question(tools=[tool], tool_choice={"type": "tool", "name": "report"})
    answer = (await ask(client, asked)).json
    assert (answer["stop_reason"], answer["content"][0]["name"]) == ("tool_use", "report")
    assert list(Draft202012Validator(SCHEMA).iter_errors(answer["content"][0]["input"])) == []


@pytest.mark.parametrize("asked", [question(stream=True), {**shaped(SCHEMA), "stream": True}])
async def test_a_stream_says_the_same_as_the_answer(
    client: Client, contracts: Contracts, asked: dict[str, Any]
) -> None:
    whole = (await ask(client, {**asked, "stream": False})).json
    answer = await ask(client, asked)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(part.partition("data: ")[2]) for part in answer.body.decode().split("\n\n") if part]
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    text = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    assert text == whole["content"][0]["text"]
    assert events[-2]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
    for event in events:
        if event["type"] != "ping":
            assert contracts.breaches("anthropic", "messages.stream_event", event) == []


@pytest.mark.parametrize(
    ("version", "more"),
    [
        (NEW, {"temperature": 1.0}),
        (NEW, {"top_p": 1.0}),
        (NEW, {"top_k": 5}),
        (OLD, {"speed": "fast"}),
        (NEW, {"max_tokens": None}),
        (NEW, {"max_tokens": 0}),
        (NEW, {"max_tokens": "many"}),
        (NEW, {"messages": []}),
        (NEW, {"messages": [{"role": "assistant", "content": "x"}]}),
        (NEW, {"messages": [{"role": "user", "content": ""}]}),
        (NEW, {"messages": [{"role": "user", "content": [{"type": "nonsense"}]}]}),
        (NEW, {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "citations": [{}]}]}]}),
        (NEW, {"stop": ["x"]}),
        (NEW, {"output_config": {"effort": "huge"}}),
        (NEW, shaped({"type": "object", "properties": {}})),
        (NEW, shaped({**SCHEMA, "properties": {"n": {"type": "integer", "minimum": 1}}})),
        (NEW, {"tool_choice": {"type": "tool", "name": "absent"}}),
    ],
)
async def test_a_wrong_request_is_refused(client: Client, version: str, more: dict[str, Any]) -> None:
    answer = await ask(client, question(**more), version)
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert client.world.received("anthropic").rejected == 1


async def test_the_models_are_those_with_a_price(client: Client) -> None:
    answer = await client.get("/anthropic/v1/models", x_api_key="k", anthropic_version=NEW)
    listed = [one["id"] for one in answer.json["data"]]
    assert "claude-sonnet-5-5" in listed
    assert not any(name.startswith("gpt") for name in listed)


async def test_sampling_is_still_taken_by_the_older_version(client: Client) -> None:
    assert (await ask(client, question(temperature=0.5), OLD)).status == 200


async def test_what_a_beta_brings_is_taken_only_where_its_header_names_it(client: Client) -> None:
    turns: list[dict[str, Any]] = [*question()["messages"], {"role": "system", "content": "Be short."}]
    asked = question(messages=turns, context_management={"edits": [{"type": "clear_thinking_20251015"}]})
    betas = "context-management-2025-06-27,mid-conversation-tool-changes-2026-07-01"
    head = {"x_api_key": "sk-ant-canary", "anthropic_version": OLD}
    assert (await client.post(PATH, asked, **head)).status == 400
    assert (await client.post(PATH, asked, **head, anthropic_beta=betas)).status == 200


async def test_credentials_version_and_model_are_checked(client: Client) -> None:
    assert (await client.post(PATH, question(), anthropic_version=NEW)).status == 401
    assert (await client.post(PATH, question(), authorization="Bearer k", anthropic_version=NEW)).status == 200
    assert (await client.post(PATH, question(), x_api_key="k")).status == 400
    assert (await ask(client, question(model="claude-3-haiku-20240307"))).status == 404
    assert (await ask(client, question(model="gpt-6-sol"))).status == 404


async def test_hostile_nesting_is_no_failure_of_the_sandbox(client: Client) -> None:
    nested: Any = "deep"
    for _ in range(300):
        nested = [{"type": "tool_result", "content": nested}]
    assert (await ask(client, question(messages=[{"role": "user", "content": nested}]))).status == 200
