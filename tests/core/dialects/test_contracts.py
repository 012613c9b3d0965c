"""What a translation sends is what the other vendor's own document says it takes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from tests.core.dialects.test_round_trips import chats, messages

from aegis.core.dialects.chat_request import to_messages
from aegis.core.dialects.message_answer import to_completion
from aegis.core.dialects.messages_request import to_chat

FEW = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


def taken(shared: Path, file: str, name: str) -> Draft202012Validator:
    raw = (shared / "contracts" / file).read_bytes()
    document = json.loads(gzip.decompress(raw) if file.endswith(".gz") else raw)
    return Draft202012Validator({"$defs": document["$defs"], **document["requests"][name]["schema"]})


@FEW
@given(chats())
def test_a_chat_becomes_a_request_that_anthropic_takes(shared: Path, chat: dict[str, Any]) -> None:
    chat.pop("stream", None)  # the document has the whole answer's type only
    taken(shared, "anthropic_2023_06_01.json", "messages").validate(to_messages(chat).body)


@FEW
@given(chats())
def test_a_request_for_messages_becomes_a_chat_that_openai_takes(shared: Path, chat: dict[str, Any]) -> None:
    asked = to_messages(chat).body
    taken(shared, "openai.json.gz", "chat_completions").validate(to_chat(asked, vendor=True).body)


@FEW
@given(messages())
def test_an_answer_is_one_that_openais_client_reads(message: dict[str, Any]) -> None:
    from openai.types.chat import ChatCompletion

    ChatCompletion.model_validate(to_completion(message, created=1), strict=False)
