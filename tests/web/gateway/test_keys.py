"""What a virtual key allows, and that it ends when it is told to, as a running gateway sees it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.web.gateway.stage import HELLO, Stage, staged

from aegis.core.buckets import Rate
from aegis.core.budgets import Amounts
from aegis.core.windows import WindowPolicy

pytestmark = pytest.mark.anyio

CHAT: dict[str, Any] = {"model": "gpt-6-luna", "max_completion_tokens": 64, "messages": HELLO}
MESSAGE: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": HELLO}


async def statuses(stage: Stage, key: str) -> tuple[int, int]:
    """What the key gets of a chat and of a message."""
    chat, _, _ = await stage.post("/v1/chat/completions", CHAT, key)
    message, _, _ = await stage.post("/v1/messages", MESSAGE, key)
    return chat, message


async def test_models_routes_and_addresses_are_what_the_key_allows(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        assert await statuses(stage, await stage.key("a", models=("gpt-*",))) == (200, 403)
        assert await statuses(stage, await stage.key("b", routes=("messages",))) == (403, 200)
        assert await statuses(stage, await stage.key("c", addresses=("10.0.0.0/8",))) == (403, 403)
        assert await statuses(stage, await stage.key("d", addresses=("127.0.0.0/8",))) == (200, 200)
        key = await stage.key("e", models=("gpt-6-luna",))
        async with stage.client.get(f"{stage.address}/v1/models", headers={"authorization": f"Bearer {key}"}) as answer:
            listed = await answer.json()
        assert [model["id"] for model in listed["data"]] == ["gpt-6-luna"]


async def test_a_rate_is_told_and_holds(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        key = await stage.key(rate=Rate(count=2, per_ms=60_000))
        first, head, _ = await stage.post("/v1/chat/completions", CHAT, key)
        assert (first, head["ratelimit-policy"], head["ratelimit"][:9]) == (200, '"key";q=2;w=60', '"key";r=1')
        await stage.post("/v1/chat/completions", CHAT, key)
        status, head, body = await stage.post("/v1/chat/completions", CHAT, key)
        assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")
        assert 0 < int(head["retry-after"]) <= 60
        assert head["x-should-retry"] == "true"


async def test_a_key_has_its_own_budget_beside_the_others(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        poor = Amounts(window=WindowPolicy(kind="day"), emergency=1_000)
        assert await statuses(stage, await stage.key("poor", windows=(poor,))) == (429, 429)
        assert await statuses(stage, await stage.key("other")) == (200, 200)


async def test_a_key_that_expired_was_revoked_or_is_only_nearly_right_is_none(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        now = stage.app.clock.now()
        expired = await stage.key("expired", expires_at=now + timedelta(milliseconds=1))
        revoked = await stage.key("revoked")
        assert (await statuses(stage, revoked))[0] == 200
        await stage.app.keys.store.revoke("revoked", now=now)
        await stage.turn()
        for key in (expired, revoked, revoked[:-1] + ("0" if revoked[-1] != "0" else "1")):
            assert await statuses(stage, key) == (401, 401)


async def test_calls_are_counted_for_their_key_team_and_tags(tmp_path: Path) -> None:
    budgets = "budgets:\n  build: {scope: {team: build}, daily: {emergency: 0.000001}}\n"
    async with staged(tmp_path, budgets=budgets) as stage:
        assert await statuses(stage, await stage.key("in", team="build")) == (429, 429)
        key = await stage.key("out", team="docs", tags={"purpose": "tests"})
        _, head, _ = await stage.post("/v1/chat/completions", CHAT, key)
        (attempt,) = await stage.app.governor.explain(head["x-aegis-call"])
        assert attempt.scope == {"key": "out", "team": "docs", "purpose": "tests"}


async def test_no_log_error_or_record_holds_a_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with staged(tmp_path) as stage:
        key = await stage.key()
        await statuses(stage, key)
        await statuses(stage, key + "x")
        await stage.app.governor.tick()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert key.encode() not in kept
    assert key not in caplog.text
