"""Workloads of one label in named namespaces: scaled to nothing and back, autoscalers and CronJobs suspended.

Policy: the counts stand in the plan before anything is touched; every change names the object's uid and version, so that
nothing else is changed; a pod is deleted only once its own controller wants none. Kubernetes API v1, autoscaling/v2,
batch/v1; https://kubernetes.io/docs/reference/using-api/api-concepts/.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import orjson

from aegis.core.errors import BadInput, ServiceError
from aegis.core.exchange import failure, from_json, to_json
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest
from aegis.core.secret import Secret
from aegis.core.stops import Grade, Scope, Target, TargetState
from aegis.emergency.actuators.scopes import within

Document = dict[str, Any]
GROUPS: Final[Mapping[str, str]] = {
    "horizontalpodautoscalers": "apis/autoscaling/v2",
    "cronjobs": "apis/batch/v1",
    "deployments": "apis/apps/v1",
    "statefulsets": "apis/apps/v1",
    "replicasets": "apis/apps/v1",
    "pods": "api/v1",
}
SCALED: Final = ("deployments", "statefulsets")
KINDS: Final[Mapping[str, str]] = {"Deployment": "deployments", "StatefulSet": "statefulsets"}
SCOPES: Final = "aegis.dev/"
"""Labels that say whose an object is begin so: `aegis.dev/team=build`."""
PAGE, PAGES_MAX = 500, 40
"""Objects of one kind in one namespace that are looked at: twice what a plan may have."""
CONFLICTS_MAX: Final = 3
"""An object that changes under us more often than this is somebody else's work just now."""
HALTED: Final = {"scaleUp": {"selectPolicy": "Disabled"}}
"""An autoscaler that may not scale up (autoscaling/v2, HPAScalingRules)."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_UID = re.compile(r"[0-9a-fA-F-]{1,64}")


class Kubernetes:
    """`label` and `delete_pods` are selectors of the form `name=value`; the second may be empty. `token` is asked before
    every request: a cluster renews it while we run.
    """

    kind: Final = "kubernetes"
    grade: Final = Grade.G4

    def __init__(
        self,
        http: Http,
        *,
        clock: Clock,
        base: str,
        token: Callable[[], Secret],
        namespaces: Sequence[str],
        label: str,
        delete_pods: str = "",
    ) -> None:
        self._http, self._clock, self._base, self._token = http, clock, base.rstrip("/"), token
        self._namespaces, self._label, self._delete_pods = tuple(namespaces), label, delete_pods

    async def plan_targets(self, scope: Scope) -> Sequence[Target]:
        """Autoscalers first, then CronJobs, then what has replicas: nothing scales up behind us. Raises `ServiceError`."""
        targets: list[Target] = []
        for namespace in self._namespaces:
            scaled = [target async for target in self._scaled(namespace, scope)]
            targets += [target async for target in self._autoscalers(namespace, scaled)]
            async for one in self._list(namespace, "cronjobs", self._label):
                if _ours(one, self._label, scope) and not one.get("spec", {}).get("suspend"):
                    targets.append(self._target(namespace, "cronjobs", one, {"suspend": "false"}))
            targets += scaled
        return targets

    async def stop(self, target: Target) -> None:
        """Scale to 0, or suspend. What is so already is left alone, so is what is gone. Raises `BadInput` for another
        object of the name or another count than was planned, and `ServiceError`.
        """
        place = _place(target)
        match place.plural:
            case "cronjobs":
                await self._suspend(place, wanted=True)
            case "horizontalpodautoscalers":
                await self._behave(place, HALTED)
            case _:
                if await self._scale(place, 0, had=int(target.saved["replicas"])) and target.saved.get("delete"):
                    await self._delete_left(place, target.saved["delete"])

    async def restore(self, target: Target) -> None:
        """The count or state that was saved. Raises `BadInput` when somebody changed it since, and `ServiceError`."""
        place = _place(target)
        match place.plural:
            case "cronjobs":
                await self._suspend(place, wanted=False)
            case "horizontalpodautoscalers":
                await self._behave(place, _whole(orjson.loads(target.saved["behavior"])))
            case _:
                await self._scale(place, int(target.saved["replicas"]), had=0)

    async def status(self, target: Target) -> TargetState:
        place = _place(target)
        found = await self._get(place)
        if found is None or found["metadata"].get("uid") != place.uid:
            return "gone"
        spec = found.get("spec", {})
        match place.plural:
            case "cronjobs":
                stopped = spec.get("suspend") is True
            case "horizontalpodautoscalers":
                stopped = _is_halted(spec.get("behavior"))
            case _:
                stopped = spec.get("replicas", 1) == 0
        return "stopped" if stopped else "running"

    # --- what there is -----------------------------------------------------------------------------------------

    async def _scaled(self, namespace: str, scope: Scope) -> AsyncIterator[Target]:
        for plural in SCALED:
            async for one in self._list(namespace, plural, self._label):
                replicas = one.get("spec", {}).get("replicas", 1)  # left out means 1
                if _ours(one, self._label, scope) and isinstance(replicas, int) and replicas > 0:
                    saved = {"replicas": str(replicas)}
                    saved |= {"delete": self._delete_pods} if self._delete_pods else {}
                    yield self._target(namespace, plural, one, saved)

    async def _autoscalers(self, namespace: str, scaled: Sequence[Target]) -> AsyncIterator[Target]:
        """Those of what is scaled. At 0 replicas most wait by themselves, but not those that may go down to 0."""
        about = {(place.plural, place.name) for place in map(_place, scaled)}
        if not about:
            return
        async for one in self._list(namespace, "horizontalpodautoscalers", ""):
            spec = one.get("spec", {})
            ref = spec.get("scaleTargetRef", {})
            if (KINDS.get(ref.get("kind"), ""), ref.get("name")) in about and not _is_halted(spec.get("behavior")):
                saved = {"behavior": orjson.dumps(spec.get("behavior")).decode()}
                yield self._target(namespace, "horizontalpodautoscalers", one, saved)

    def _target(self, namespace: str, plural: str, one: Document, saved: Mapping[str, str]) -> Target:
        name, uid = one["metadata"]["name"], one["metadata"]["uid"]
        return Target(
            kind=self.kind, id=f"{namespace}/{plural}/{name}/{uid}", name=f"{namespace}/{plural}/{name}", saved=saved
        )

    async def _list(self, namespace: str, plural: str, selector: str) -> AsyncIterator[Document]:
        path = f"{GROUPS[plural]}/namespaces/{namespace}/{plural}?limit={PAGE}"
        path += f"&labelSelector={quote(selector, safe='')}" if selector else ""
        after = ""
        for _ in range(PAGES_MAX):
            answer = await self._send("GET", path + (f"&continue={quote(after, safe='')}" if after else ""))
            if answer.status != 200:
                raise self._failed(answer)
            found = from_json(self.kind, answer)
            for one in found.get("items") or ():
                if _is_object(one):
                    yield one
            after = str((found.get("metadata") or {}).get("continue") or "")
            if not after:
                return
        raise ServiceError(self.kind, f"{namespace} has more {plural} than a plan may have", retryable=False)

    # --- what is changed ---------------------------------------------------------------------------------------

    async def _scale(self, place: _Place, wanted: int, *, had: int) -> bool:
        """Whether the object is still there, at the wanted count."""

        async def change() -> HttpAnswer | None:
            scale = await self._get(place, "/scale")
            if scale is None:
                return None
            _same(scale, place)
            count = scale.get("spec", {}).get("replicas", 0)
            if count not in (wanted, had):
                raise BadInput(f"{place.name} has {count} replicas by now, not {had}", code="not_as_planned")
            if count == wanted:
                return _NOTHING_TO_DO
            body = {**scale, "spec": {**scale.get("spec", {}), "replicas": wanted}}
            return await self._send("PUT", f"{place.path}/scale", body)

        return await self._settled(change)

    async def _suspend(self, place: _Place, *, wanted: bool) -> None:
        async def change() -> HttpAnswer | None:
            found = await self._get(place)
            if found is None:
                return None
            _same(found, place)
            if bool(found.get("spec", {}).get("suspend")) is wanted:
                return _NOTHING_TO_DO
            return await self._patch(place, found, {"suspend": wanted})

        await self._settled(change)

    async def _behave(self, place: _Place, behavior: Document | None) -> None:
        """Give an autoscaler a behaviour, or the one that it had; None takes it away."""

        async def change() -> HttpAnswer | None:
            found = await self._get(place)
            if found is None:
                return None
            _same(found, place)
            if _is_halted(found.get("spec", {}).get("behavior")) is _is_halted(behavior):
                return _NOTHING_TO_DO
            return await self._patch(place, found, {"behavior": behavior})

        await self._settled(change)

    async def _settled(self, change: Callable[[], Awaitable[HttpAnswer | None]]) -> bool:
        """Whether the object was there. A conflict means that it changed since it was read: it is read again."""
        for _ in range(CONFLICTS_MAX):
            answer = await change()
            if answer is None or answer.status == 404:
                return False
            if answer.status in (200, 201):
                return True
            if answer.status != 409:
                raise self._failed(answer)
        raise ServiceError(self.kind, "somebody else changes it at the same time", retryable=True, status=409)

    async def _delete_left(self, place: _Place, selector: str) -> None:
        """Delete the pods of this controller that have the label: it wants none any more, so none comes back."""
        found = await self._get(place)
        if found is None:
            return
        _same(found, place)
        labels = found.get("spec", {}).get("selector", {}).get("matchLabels") or {}
        chosen = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        owners = {place.uid}
        if place.plural == "deployments":
            async for one in self._list(place.namespace, "replicasets", chosen):
                owners |= {one["metadata"]["uid"]} if _owner(one) == place.uid else set()
        async for pod in self._list(place.namespace, "pods", ",".join(filter(None, (chosen, selector)))):
            if _owner(pod) in owners and not pod["metadata"].get("deletionTimestamp"):
                await self._delete(place.namespace, pod)

    async def _delete(self, namespace: str, pod: Document) -> None:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        answer = await self._send("DELETE", f"api/v1/namespaces/{namespace}/pods/{name}", body)
        if answer.status not in (200, 202, 404, 409):  # gone, or another pod of the name by now
            raise self._failed(answer)

    # --- the exchange ------------------------------------------------------------------------------------------

    async def _get(self, place: _Place, below: str = "") -> Document | None:
        answer = await self._send("GET", place.path + below)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._failed(answer)
        found = dict(from_json(self.kind, answer))
        if not isinstance(found.get("metadata"), dict):
            raise ServiceError(self.kind, "answered without metadata", retryable=True)
        return found

    async def _patch(self, place: _Place, found: Document, spec: Document) -> HttpAnswer:
        metadata = {name: found["metadata"].get(name) for name in ("uid", "resourceVersion")}
        return await self._send("PATCH", place.path, {"metadata": metadata, "spec": spec})

    async def _send(self, method: str, path: str, body: Document | None = None) -> HttpAnswer:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"authorization": f"Bearer {self._token().reveal()}", "accept": "application/json"}
        if body is not None:
            headers["content-type"] = kind
        data = b"" if body is None else to_json(body)
        url = f"{self._base}/{path}"
        return await self._http.send(HttpRequest(service=self.kind, method=method, url=url, headers=headers, body=data))

    def _failed(self, answer: HttpAnswer) -> ServiceError:
        try:
            reason = orjson.loads(answer.body).get("reason")
        except (orjson.JSONDecodeError, AttributeError):
            reason = ""
        return failure(self.kind, answer, now=self._clock.now(), code=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where one object stands, and which one it is."""

    namespace: str
    plural: str
    name: str
    uid: str

    @property
    def path(self) -> str:
        return f"{GROUPS[self.plural]}/namespaces/{self.namespace}/{self.plural}/{self.name}"


def _place(target: Target) -> _Place:
    """Raises `BadInput` for what names no object."""
    parts = target.id.split("/")
    if len(parts) == 4:
        namespace, plural, name, uid = parts
        known = plural in GROUPS and _NAME.fullmatch(namespace) and _NAME.fullmatch(name) and _UID.fullmatch(uid)
        if known:
            return _Place(namespace=namespace, plural=plural, name=name, uid=uid)
    raise BadInput(f"{target.id[:64]} names no object", code="bad_target")


_NOTHING_TO_DO: Final = HttpAnswer(status=200, headers={}, body=b"")


def _same(found: Document, place: _Place) -> None:
    if found["metadata"].get("uid") != place.uid:
        raise BadInput(f"{place.namespace}/{place.name} is another object by now", code="not_as_planned")


def _is_object(one: object) -> bool:
    """Whether an item of a list can be named: names go into addresses."""
    held = one.get("metadata") if isinstance(one, dict) else None
    if not isinstance(held, dict):
        return False
    return bool(_NAME.fullmatch(str(held.get("name"))) and _UID.fullmatch(str(held.get("uid"))))


def _ours(one: Document, label: str, scope: Scope) -> bool:
    """Whether an object has the label, looked for again, and is of the scope."""
    labels = one["metadata"].get("labels") or {}
    name, _, value = label.partition("=")
    return labels.get(name) == value and within(
        scope, {key.removeprefix(SCOPES): text for key, text in labels.items() if key.startswith(SCOPES)}
    )


def _is_halted(behavior: Any) -> bool:
    up = behavior.get("scaleUp") if isinstance(behavior, dict) else None
    return isinstance(up, dict) and up.get("selectPolicy") == "Disabled"


def _whole(behavior: Document | None) -> Document | None:
    """A behaviour so that a merge patch puts it back: what it did not say is taken away (RFC 7386)."""
    if behavior is None:
        return None
    return {**behavior, "scaleUp": {"selectPolicy": None, **(behavior.get("scaleUp") or {})}}


def _owner(one: Document) -> str:
    """The uid of the controller that an object belongs to; empty when it has none."""
    owners = one["metadata"].get("ownerReferences") or ()
    return next((str(owner.get("uid")) for owner in owners if owner.get("controller")), "")
