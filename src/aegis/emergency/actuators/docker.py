"""Containers with one label, paused or stopped through the engine's socket, and given back.

Policy: the label is looked for in the engine's answer again, never only in the question; nothing is removed: a container
is evidence. Docker Engine API, operations Container{List,Inspect,Pause,Unpause,Stop,Start}; every version since 1.24.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

import orjson

from aegis.core.errors import BadInput, ServiceError
from aegis.core.exchange import failure, from_json
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest
from aegis.core.stops import Grade, Scope, Target, TargetState
from aegis.emergency.actuators.scopes import within

How = Literal["pause", "stop"]
GRACE_S: Final = 10
"""Seconds until the engine kills what was told to stop: its own default (ContainerStop, `t`)."""
ANSWER_MS: Final = 10_000
SCOPES: Final = "aegis."
"""Labels that say whose a container is begin so: `aegis.team=build`, `aegis.key=ci-bot`."""
_VERSION = re.compile(r"1\.[0-9]{1,3}")
_ID = re.compile(r"[0-9a-f]{64}")


class Docker:
    """`label` is `name` or `name=value`. `base` is where the engine answers; the socket is the `Http`'s own affair."""

    kind: Final = "docker"
    grade: Final = Grade.G4

    def __init__(self, http: Http, *, clock: Clock, label: str, how: How, base: str = "http://localhost") -> None:
        self._http, self._clock, self._base, self._how = http, clock, base.rstrip("/"), how
        self._label = label
        self._version = ""

    async def plan_targets(self, scope: Scope) -> Sequence[Target]:
        """The running containers of the label and scope. Raises `ServiceError`."""
        filters = quote(orjson.dumps({"label": [self._label], "status": ["running"]}).decode())
        answer = await self._ask("GET", f"/containers/json?filters={filters}")
        try:
            listed = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            listed = None
        if answer.status != 200 or not isinstance(listed, list):
            raise self._failed(answer)
        found = [one for one in listed if isinstance(one, dict) and self._ours(one.get("Labels"), scope)]
        return [
            Target(kind=self.kind, id=one["Id"], name=_name(one.get("Names")), saved={"how": self._how})
            for one in found
            if _ID.fullmatch(str(one.get("Id"))) and one.get("State") == "running"
        ]

    async def stop(self, target: Target) -> None:
        """Pause or stop it, as planned. One that is so already is left alone; one that is gone too. Raises `BadInput`
        when it has not the label any more, and `ServiceError`.
        """
        state = await self._state(target)
        if state is None or not _runs(state):
            return
        if target.saved.get("how") == "pause":
            await self._tell(target, "pause", done=_halted)
        else:
            await self._tell(target, f"stop?t={GRACE_S}", done=_halted, more_ms=GRACE_S * 1_000)

    async def restore(self, target: Target) -> None:
        """Let it go on, or start it; one that runs already is left alone. Raises as `stop` does."""
        state = await self._state(target)
        if state is None or _runs(state):
            return
        if state.get("Paused"):
            await self._tell(target, "unpause", done=_runs)
        elif target.saved.get("how") == "stop":
            await self._tell(target, "start", done=_runs)

    async def status(self, target: Target) -> TargetState:
        state = await self._state(target)
        if state is None:
            return "gone"
        return "running" if _runs(state) else "stopped"

    async def _state(self, target: Target) -> Mapping[str, Any] | None:
        """How a container stands; None when there is none any more. Raises `BadInput` for one that is not ours."""
        if not _ID.fullmatch(target.id):
            raise BadInput(f"{target.id[:64]} names no container", code="bad_target")
        answer = await self._ask("GET", f"/containers/{target.id}/json")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._failed(answer)
        found = from_json(self.kind, answer)
        config, state = found.get("Config"), found.get("State")
        if not isinstance(config, dict) or not isinstance(state, dict):
            raise ServiceError(self.kind, "answered without a state", retryable=True)
        if not self._ours(config.get("Labels"), {}):
            raise BadInput(f"container {target.name} has no label {self._label} and was left alone", code="not_ours")
        return state

    async def _tell(
        self, target: Target, what: str, *, done: Callable[[Mapping[str, Any]], bool], more_ms: int = 0
    ) -> None:
        """One order. 304 says that it was so already; a conflict is looked at: another may have done it."""
        answer = await self._ask("POST", f"/containers/{target.id}/{what}", more_ms=more_ms)
        if answer.status in (204, 304, 404):
            return
        if answer.status == 409:
            state = await self._state(target)
            if state is None or done(state):
                return
        raise self._failed(answer)

    async def _ask(self, method: str, path: str, *, more_ms: int = 0) -> HttpAnswer:
        if not self._version:
            ping = await self._send("GET", "/_ping")
            version = ping.headers.get("api-version", "")
            if ping.status != 200 or not _VERSION.fullmatch(version):
                raise self._failed(ping)
            self._version = version
        return await self._send(method, f"/v{self._version}{path}", more_ms=more_ms)

    async def _send(self, method: str, path: str, *, more_ms: int = 0) -> HttpAnswer:
        url, timeout_ms = self._base + path, ANSWER_MS + more_ms
        return await self._http.send(HttpRequest(service=self.kind, method=method, url=url, timeout_ms=timeout_ms))

    def _failed(self, answer: HttpAnswer) -> ServiceError:
        return failure(self.kind, answer, now=self._clock.now())

    def _ours(self, labels: object, scope: Scope) -> bool:
        if not isinstance(labels, dict):
            return False
        name, equals, value = self._label.partition("=")
        has = labels.get(name) == value if equals else name in labels
        own = {key.removeprefix(SCOPES): text for key, text in labels.items() if key.startswith(SCOPES)}
        return has and within(scope, own)


def _runs(state: Mapping[str, Any]) -> bool:
    return state.get("Running") is True and not state.get("Paused")


def _halted(state: Mapping[str, Any]) -> bool:
    return not _runs(state)


def _name(names: object) -> str:
    return str(names[0]).lstrip("/")[:128] if isinstance(names, list) and names else "container"
