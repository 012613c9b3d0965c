"""A Kubernetes API server with what a stop touches: scale, suspend, labels, owners, versions, and a controller that
makes pods again which are deleted while it wants them.

Paths and answers as kubernetes.io, API concepts; pods of a controller that wants none end slowly: until they are deleted.
"""

from __future__ import annotations

import re
from typing import Any

from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, credential, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service, find, route

KINDS = {
    "deployments": ("apps/v1", "Deployment"),
    "statefulsets": ("apps/v1", "StatefulSet"),
    "replicasets": ("apps/v1", "ReplicaSet"),
    "cronjobs": ("batch/v1", "CronJob"),
    "horizontalpodautoscalers": ("autoscaling/v2", "HorizontalPodAutoscaler"),
    "pods": ("v1", "Pod"),
}
DENIED = "denied"
"""A token that may look and change nothing."""
REPLICAS_MAX = 100


def answer(asked: Asked, room: Room) -> Reply:
    token = credential(asked, "bearer")
    if not token:
        return _no(401, "Unauthorized", "Unauthorized")
    if token == DENIED and asked.method != "GET":
        return _no(403, "Forbidden", "the service account may not do this")
    return find(ROUTES, asked, room) or _no(404, "NotFound", "the server could not find the requested resource")


def _no(status: int, reason: str, why: str) -> Reply:
    body = {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": status}
    return reply_json(status, {**body, "reason": reason, "message": why}, refused=why)


def _key(found: re.Match[str]) -> str:
    return f"{found['ns']}/{found['name']}"


def _missing(found: re.Match[str]) -> Reply:
    return _no(404, "NotFound", f"{found['plural']} {clip(found['name'], 80)} not found")


def _body(asked: Asked) -> Document | None:
    try:
        value = asked.json()
    except Unreadable:
        return None
    return value if isinstance(value, dict) else None


# --- objects ---------------------------------------------------------------------------------------------------


def _keep(room: Room, plural: str, one: Document) -> Document:
    """Keep an object as its next version."""
    meta = {**one["metadata"], "resourceVersion": str(room.next("version", 1_000))}
    kept = {**one, "metadata": meta}
    room.put(plural, f"{meta['namespace']}/{meta['name']}", kept)
    return kept


def _make(room: Room, plural: str, namespace: str, body: Document) -> Document:
    version, kind = KINDS[plural]
    number = room.next("uid")
    uid = f"00000000-0000-4000-8000-{number:012d}"
    meta = {"creationTimestamp": "2026-01-01T00:00:00Z", **body["metadata"], "namespace": namespace, "uid": uid}
    return _keep(room, plural, {**body, "apiVersion": version, "kind": kind, "metadata": meta})


def _create(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    body = _body(asked)
    name = (body or {}).get("metadata", {}).get("name", "")
    if body is None or not re.fullmatch(r"[a-z0-9.-]{1,253}", str(name)):
        return _no(422, "Invalid", "metadata.name: Required value")
    if room.get(found["plural"], f"{found['ns']}/{name}") is not None:
        return _no(409, "AlreadyExists", f"{clip(name, 80)} already exists")
    made = _make(room, found["plural"], found["ns"], body)
    _control(room, found["plural"], made)
    return reply_json(201, made, line=f"{found['plural']} {name} created")


def _owned(owner: Document, name: str, labels: Document) -> Document:
    ref = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    return {"metadata": {"name": name, "labels": labels, "ownerReferences": [ref]}, "spec": {}}


def _control(room: Room, plural: str, one: Document) -> None:
    """What the controllers do: a Deployment has a ReplicaSet, and that as many pods as are wanted at least."""
    if plural not in ("deployments", "statefulsets"):
        return
    meta, spec = one["metadata"], one["spec"]
    labels = spec.get("template", {}).get("metadata", {}).get("labels", {})
    owner = one
    if plural == "deployments":
        name = f"{meta['name']}-set"
        owner = room.get("replicasets", f"{meta['namespace']}/{name}") or _make(
            room, "replicasets", meta["namespace"], _owned(one, name, labels)
        )
    uid = owner["metadata"]["uid"]
    pods = [pod for pod in room.every("pods").values() if _owner(pod) == uid]
    for _ in range(min(spec.get("replicas", 1), REPLICAS_MAX) - len(pods)):
        name = f"{meta['name']}-{room.next('pod')}"
        pod = _owned(owner, name, labels)
        _make(room, "pods", meta["namespace"], {**pod, "spec": {"containers": [{"name": "main"}]}})


def _owner(one: Document) -> str:
    return next((ref["uid"] for ref in one["metadata"].get("ownerReferences", ())), "")


# --- questions and changes -------------------------------------------------------------------------------------


def _list(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    pairs = [pair.partition("=") for pair in asked.param("labelSelector").split(",") if pair]
    items = [
        one
        for one in room.every(found["plural"]).values()
        if one["metadata"]["namespace"] == found["ns"]
        and all(one["metadata"].get("labels", {}).get(name) == value for name, _, value in pairs)
    ]
    start, most = int(asked.param("continue") or 0), int(asked.param("limit") or 500)
    page: Document = {"resourceVersion": "1"}
    if start + most < len(items):
        page["continue"] = str(start + most)
    version, kind = KINDS[found["plural"]]
    body = {"apiVersion": version, "kind": f"{kind}List", "metadata": page, "items": items[start : start + most]}
    return reply_json(200, body)


def _get(_asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    one = room.get(found["plural"], _key(found))
    return _missing(found) if one is None else reply_json(200, one)


def _scale_of(one: Document) -> Document:
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = one["spec"].get("replicas", 1)
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {name: one["metadata"][name] for name in names},
        "spec": {"replicas": replicas},
        "status": {"replicas": replicas},
    }


def _get_scale(_asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    one = room.get(found["plural"], _key(found))
    return _missing(found) if one is None else reply_json(200, _scale_of(one))


def _stale(held: Document, meta: Document) -> bool:
    """Whether a change was made from another version or object than there is."""
    now = held["metadata"]
    return any(meta.get(name) not in (None, now[name]) for name in ("uid", "resourceVersion"))


def _put_scale(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    one, body = room.get(found["plural"], _key(found)), _body(asked)
    if one is None:
        return _missing(found)
    wanted: Any = (body or {}).get("spec", {}).get("replicas", 0)
    if body is None or body.get("kind") != "Scale" or not isinstance(wanted, int) or wanted < 0:
        return _no(422, "Invalid", "spec.replicas: Invalid value")
    if _stale(one, body.get("metadata", {})):
        return _no(409, "Conflict", "the object has been modified")
    kept = _keep(room, found["plural"], {**one, "spec": {**one["spec"], "replicas": wanted}})
    _control(room, found["plural"], kept)
    return reply_json(200, _scale_of(kept), line=f"{found['plural']} {_key(found)} has {wanted} replicas")


def _merged(held: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(held) if isinstance(held, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result


def _patch(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    one, body = room.get(found["plural"], _key(found)), _body(asked)
    if one is None:
        return _missing(found)
    if body is None or asked.header("content-type") != "application/merge-patch+json":
        return _no(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
    if _stale(one, body.get("metadata", {})):
        return _no(409, "Conflict", "the object has been modified")
    kept = _keep(room, found["plural"], _merged(one, {"spec": body.get("spec", {})}))
    _control(room, found["plural"], kept)
    return reply_json(200, kept, line=f"{found['plural']} {_key(found)} changed")


def _delete(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    one = room.get("pods", _key(found))
    if one is None:
        return _missing(found)
    if _stale(one, (_body(asked) or {}).get("preconditions", {})):
        return _no(409, "Conflict", "Precondition failed: UID in precondition")
    room.drop("pods", _key(found))
    for plural in ("deployments", "statefulsets"):
        for owner in list(room.every(plural).values()):
            _control(room, plural, owner)
    return reply_json(200, one, line=f"pod {_key(found)} deleted")


def failure(status: int, retry_after_s: int | None) -> Reply:
    reasons = {401: "Unauthorized", 429: "TooManyRequests", 503: "ServiceUnavailable"}
    reply = _no(status, reasons.get(status, "InternalError"), "the sandbox was told to fail")
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    return Reply(status=status, body=reply.body, headers=wait)


_AT = r"/(?:apis/(?:apps|batch)/v1|apis/autoscaling/v2|api/v1)/namespaces/(?P<ns>[a-z0-9-]+)"
_ALL = rf"{_AT}/(?P<plural>{'|'.join(KINDS)})"
_ONE = rf"{_ALL}/(?P<name>[a-z0-9.-]+)"
ROUTES = (
    route("GET", _ALL, _list),
    route("POST", _ALL, _create),
    route("GET", _ONE, _get),
    route("PATCH", _ONE, _patch),
    route("GET", f"{_ONE}/scale", _get_scale),
    route("PUT", f"{_ONE}/scale", _put_scale),
    route("DELETE", rf"{_AT}/(?P<plural>pods)/(?P<name>[a-z0-9.-]+)", _delete),
)
SERVICE = Service(name="kubernetes", answer=answer, failure=failure)
