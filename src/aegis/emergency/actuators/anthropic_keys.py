"""Claude API keys made inactive at Anthropic, and active again: also for programs that go past the gateway.

Policy: only keys that the configuration names by id; `inactive` is taken back, `archived` is not and never used.
Source: platform.claude.com, Admin API, Get and Update API Key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from aegis.core.errors import BadInput
from aegis.core.exchange import failure, from_json, json_object, to_json
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest
from aegis.core.secret import Secret
from aegis.core.stops import Grade, Scope, Target, TargetState
from aegis.emergency.actuators.scopes import within

VERSION: Final = "2023-06-01"
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class AnthropicKeys:
    """`keys` are ids of API keys, each with what a scope may say about it. `admin_key` is asked for when it is needed."""

    kind: Final = "anthropic-keys"
    grade: Final = Grade.G3

    def __init__(
        self,
        http: Http,
        *,
        clock: Clock,
        base: str,
        admin_key: Callable[[], Secret],
        keys: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._http, self._clock, self._base, self._admin_key = http, clock, base.rstrip("/"), admin_key
        self._keys = keys

    async def plan_targets(self, scope: Scope) -> Sequence[Target]:
        """The named keys of the scope that are active. Raises `ServiceError`."""
        targets = []
        for key_id, own in self._keys.items():
            if not within(scope, {"service": "anthropic", "provider": "anthropic", **own}):
                continue
            found = await self._get(key_id)
            if found is not None and found.get("status") == "active":
                targets.append(Target(kind=self.kind, id=key_id, name=str(found.get("name", key_id))[:128]))
        return targets

    async def stop(self, target: Target) -> None:
        """Make it inactive. One that cannot be used anyway is left alone. Raises `BadInput`, `ServiceError`."""
        found = await self._get(self._named(target))
        if found is not None and found.get("status") == "active":
            await self._set(target, "inactive")

    async def restore(self, target: Target) -> None:
        """Make it active again. Raises `BadInput` when somebody archived it, and `ServiceError`."""
        found = await self._get(self._named(target))
        status = None if found is None else found.get("status")
        if status == "inactive":
            await self._set(target, "active")
        elif status != "active":
            raise BadInput(f"the key {target.name} was archived or expired: make a new one", code="gone")

    async def status(self, target: Target) -> TargetState:
        found = await self._get(self._named(target))
        states: Mapping[str, TargetState] = {"active": "running", "inactive": "stopped"}
        return "gone" if found is None else states.get(str(found.get("status")), "gone")

    def _named(self, target: Target) -> str:
        if target.id not in self._keys:
            raise BadInput(f"the key {target.name} is not named in the configuration any more", code="not_ours")
        return target.id

    async def _get(self, key_id: str) -> Mapping[str, Any] | None:
        answer = await self._send("GET", key_id)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise failure(self.kind, answer, now=self._clock.now(), code=_code(answer))
        return from_json(self.kind, answer)

    async def _set(self, target: Target, status: str) -> None:
        answer = await self._send("POST", target.id, to_json({"status": status}))
        if answer.status != 200:
            raise failure(self.kind, answer, now=self._clock.now(), code=_code(answer))

    async def _send(self, method: str, key_id: str, body: bytes = b"") -> HttpAnswer:
        if not _ID.fullmatch(key_id):
            raise BadInput(f"{key_id[:64]} names no key", code="bad_target")
        headers = {"x-api-key": self._admin_key().reveal(), "anthropic-version": VERSION}
        url = f"{self._base}/v1/organizations/api_keys/{key_id}"
        headers |= {"content-type": "application/json"} if body else {}
        return await self._http.send(HttpRequest(service=self.kind, method=method, url=url, headers=headers, body=body))


def _code(answer: HttpAnswer) -> object:
    error = (json_object(answer) or {}).get("error")
    return error.get("type") if isinstance(error, dict) else ""
