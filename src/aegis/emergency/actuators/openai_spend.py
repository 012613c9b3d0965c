"""Hard spend limits of OpenAI projects (or the organization) put to a cent, and back to what they were.

Policy: an API key can only be deleted at OpenAI, which is never done: a project's limit stops all of its keys and is
taken back. It is a second line: OpenAI enforces it with some delay. Source: developers.openai.com, spend limits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aegis.core.errors import BadInput, ServiceError
from aegis.core.exchange import failure, from_json, json_object, to_json
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest
from aegis.core.secret import Secret
from aegis.core.stops import Grade, Scope, Target, TargetState
from aegis.emergency.actuators.scopes import within

ORGANIZATION: Final = "organization"
LEAST_CENTS: Final = 1
"""The smallest limit that is taken: whoever has spent a cent this month is refused from then on."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class OpenAISpend:
    """`projects` are ids of projects, or `organization`, each with what a scope may say about it."""

    kind: Final = "openai-spend"
    grade: Final = Grade.G3

    def __init__(
        self,
        http: Http,
        *,
        clock: Clock,
        base: str,
        admin_key: Callable[[], Secret],
        projects: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._http, self._clock, self._base, self._admin_key = http, clock, base.rstrip("/"), admin_key
        self._projects = projects

    async def plan_targets(self, scope: Scope) -> Sequence[Target]:
        """The named projects of the scope that may still spend, with their limit in cents (empty: they have none).
        Raises `ServiceError`.
        """
        targets = []
        for project, own in self._projects.items():
            if within(scope, {"service": "openai", "provider": "openai", **own}):
                cents = await self._limit(project)
                if cents != LEAST_CENTS:
                    saved = {"cents": "" if cents is None else str(cents)}
                    targets.append(Target(kind=self.kind, id=project, name=project, saved=saved))
        return targets

    async def stop(self, target: Target) -> None:
        """Put the limit to a cent. Raises `BadInput` when it is another one than was planned, and `ServiceError`."""
        cents = await self._limit(self._named(target))
        if cents == LEAST_CENTS:
            return
        if cents != _saved(target):
            raise BadInput(f"the limit of {target.name} was changed since the plan was made", code="not_as_planned")
        await self._set(target.id, LEAST_CENTS)

    async def restore(self, target: Target) -> None:
        """Put the limit back, or take it away. Raises `BadInput` when somebody set another, and `ServiceError`."""
        cents = await self._limit(self._named(target))
        if cents == _saved(target):
            return
        if cents != LEAST_CENTS:
            raise BadInput(f"the limit of {target.name} was changed since it was stopped", code="changed")
        await self._set(target.id, _saved(target))

    async def status(self, target: Target) -> TargetState:
        return "stopped" if await self._limit(self._named(target)) == LEAST_CENTS else "running"

    def _named(self, target: Target) -> str:
        if target.id not in self._projects:
            raise BadInput(f"{target.name} is not named in the configuration any more", code="not_ours")
        return target.id

    async def _limit(self, project: str) -> int | None:
        answer = await self._send("GET", project)
        if answer.status == 404:
            return None
        cents = self._checked(answer).get("threshold_amount")
        if not isinstance(cents, int):
            raise ServiceError(self.kind, "answered without an amount", retryable=True)
        return cents

    async def _set(self, project: str, cents: int | None) -> None:
        if cents is None:
            answer = await self._send("DELETE", project)
        else:
            body = {"threshold_amount": cents, "currency": "USD", "interval": "month"}
            answer = await self._send("POST", project, to_json(body))
        if answer.status != 404:
            self._checked(answer)

    def _checked(self, answer: HttpAnswer) -> Mapping[str, object]:
        if answer.status != 200:
            error = (json_object(answer) or {}).get("error")
            code = error.get("code") if isinstance(error, dict) else ""
            raise failure(self.kind, answer, now=self._clock.now(), code=code)
        return from_json(self.kind, answer)

    async def _send(self, method: str, project: str, body: bytes = b"") -> HttpAnswer:
        if not _ID.fullmatch(project):
            raise BadInput(f"{project[:64]} names no project", code="bad_target")
        where = "" if project == ORGANIZATION else f"/projects/{project}"
        headers = {"authorization": f"Bearer {self._admin_key().reveal()}"}
        headers |= {"content-type": "application/json"} if body else {}
        url = f"{self._base}/v1/organization{where}/spend_limit"
        return await self._http.send(HttpRequest(service=self.kind, method=method, url=url, headers=headers, body=body))


def _saved(target: Target) -> int | None:
    return int(target.saved["cents"]) if target.saved.get("cents") else None
