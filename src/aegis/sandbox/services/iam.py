"""AWS IAM, as far as a stop needs it: users' access keys and Bedrock keys, roles and their inline policies.

The query protocol of the IAM API: forms in, XML out, errors with their codes (docs.aws.amazon.com/IAM/latest/APIReference).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from xml.sax.saxutils import escape

from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip
from aegis.sandbox.room import Room
from aegis.sandbox.service import Service

NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
MADE_AT = "2026-01-01T00:00:00Z"
Form = Mapping[str, str]


def answer(asked: Asked, room: Room) -> Reply:
    if not asked.header("authorization").startswith("AWS4-HMAC-SHA256 "):
        return _no(403, "MissingAuthenticationToken", "the request is not signed")
    try:
        form = asked.form()
    except Unreadable:
        form = {}
    handle = _ACTIONS.get(form.get("Action", ""))
    return handle(form, room) if handle else _no(400, "InvalidAction", "no such action")


def _no(status: int, code: str, why: str) -> Reply:
    text = f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
    text += f"<Message>{escape(why)}</Message></Error><RequestId>0</RequestId></ErrorResponse>"
    return Reply(status=status, body=text.encode(), content_type="text/xml", refused=why)


def _yes(form: Form, inner: str = "", line: str = "") -> Reply:
    action = form["Action"]
    result = f"<{action}Result>{inner}</{action}Result>" if inner else ""
    meta = "<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata>"
    text = f'<{action}Response xmlns="{NAMESPACE}">{result}{meta}</{action}Response>'
    return Reply(status=200, body=text.encode(), content_type="text/xml", line=line)


def _missing(what: str) -> Reply:
    return _no(404, "NoSuchEntity", f"{clip(what, 80)} cannot be found.")


def _tags(**values: str) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())


# --- keys ------------------------------------------------------------------------------------------------------


def _create_key(form: Form, room: Room) -> Reply:
    user, number = form.get("UserName", "root"), f"AKIA{room.next('key'):016d}"
    room.put("access_key", f"{user}/{number}", {"user": user, "id": number, "status": "Active"})
    shown = _tags(
        UserName=user, AccessKeyId=number, Status="Active", SecretAccessKey="not-a-secret", CreateDate=MADE_AT
    )
    return _yes(form, f"<AccessKey>{shown}</AccessKey>", f"{user}: key made")


def _list_keys(form: Form, room: Room) -> Reply:
    user = form.get("UserName", "root")
    found = [one for one in room.every("access_key").values() if one["user"] == user]
    if not found:
        return _missing(f"The user with name {user}")
    shown = "".join(
        f"<member>{_tags(UserName=user, AccessKeyId=one['id'], Status=one['status'], CreateDate=MADE_AT)}</member>"
        for one in found
    )
    return _yes(form, f"<AccessKeyMetadata>{shown}</AccessKeyMetadata><IsTruncated>false</IsTruncated>")


def _update_key(form: Form, room: Room) -> Reply:
    name = f"{form.get('UserName', 'root')}/{form.get('AccessKeyId', '')}"
    return _update(form, room, "access_key", name)


def _update(form: Form, room: Room, kind: str, name: str) -> Reply:
    held, status = room.get(kind, name), form.get("Status", "")
    if held is None:
        return _missing(f"The key {name}")
    if status not in ("Active", "Inactive"):
        return _no(400, "ValidationError", "Status must be Active or Inactive")
    room.put(kind, name, {**held, "status": status})
    return _yes(form, line=f"{clip(name, 80)} is {status}")


def _create_credential(form: Form, room: Room) -> Reply:
    user, number = form.get("UserName", "root"), f"ACCA{room.next('credential'):016d}"
    service = form.get("ServiceName", "bedrock.amazonaws.com")
    room.put("credential", f"{user}/{number}", {"user": user, "id": number, "status": "Active", "service": service})
    shown = _tags(UserName=user, Status="Active", ServiceName=service, ServiceSpecificCredentialId=number)
    shown += _tags(CreateDate=MADE_AT)
    return _yes(form, f"<ServiceSpecificCredential>{shown}</ServiceSpecificCredential>", f"{user}: key made")


def _list_credentials(form: Form, room: Room) -> Reply:
    user = form.get("UserName", "root")
    shown = "".join(
        "<member>"
        + _tags(UserName=user, Status=one["status"], ServiceName=one["service"], ServiceSpecificCredentialId=one["id"])
        + _tags(CreateDate=MADE_AT)
        + "</member>"
        for one in room.every("credential").values()
        if one["user"] == user
    )
    return _yes(form, f"<ServiceSpecificCredentials>{shown}</ServiceSpecificCredentials>")


def _update_credential(form: Form, room: Room) -> Reply:
    name = f"{form.get('UserName', 'root')}/{form.get('ServiceSpecificCredentialId', '')}"
    return _update(form, room, "credential", name)


# --- roles -----------------------------------------------------------------------------------------------------


def _create_role(form: Form, room: Room) -> Reply:
    name = form.get("RoleName", "")
    room.put("role", name, {"policies": {}})
    return _yes(form, _role(name), f"role {clip(name, 80)} made")


def _role(name: str) -> str:
    arn = f"arn:aws:iam::000000000000:role/{name}"
    return f"<Role>{_tags(Path='/', RoleName=name, RoleId='AROASANDBOX', Arn=arn, CreateDate=MADE_AT)}</Role>"


def _get_role(form: Form, room: Room) -> Reply:
    name = form.get("RoleName", "")
    return _missing(f"The role with name {name}") if room.get("role", name) is None else _yes(form, _role(name))


def _put_policy(form: Form, room: Room) -> Reply:
    name, policy = form.get("RoleName", ""), form.get("PolicyName", "")
    held = room.get("role", name)
    if held is None:
        return _missing(f"The role with name {name}")
    room.put("role", name, {"policies": {**held["policies"], policy: form.get("PolicyDocument", "")}})
    return _yes(form, line=f"{clip(name, 80)}: policy {clip(policy, 80)} put")


def _get_policy(form: Form, room: Room) -> Reply:
    name, policy = form.get("RoleName", ""), form.get("PolicyName", "")
    held = (room.get("role", name) or {"policies": {}})["policies"]
    if policy not in held:
        return _missing(f"The role policy with name {policy}")
    return _yes(form, _tags(RoleName=name, PolicyName=policy, PolicyDocument=held[policy]))


def _delete_policy(form: Form, room: Room) -> Reply:
    name, policy = form.get("RoleName", ""), form.get("PolicyName", "")
    held = (room.get("role", name) or {"policies": {}})["policies"]
    if policy not in held:
        return _missing(f"The role policy with name {policy}")
    room.put("role", name, {"policies": {one: text for one, text in held.items() if one != policy}})
    return _yes(form, line=f"{clip(name, 80)}: policy {clip(policy, 80)} taken away")


def failure(status: int, retry_after_s: int | None) -> Reply:
    codes = {401: "InvalidClientTokenId", 429: "Throttling", 503: "ServiceUnavailable"}
    said = _no(status, codes.get(status, "ServiceFailure"), "the sandbox was told to fail")
    return replace(said, refused="", headers={} if retry_after_s is None else {"retry-after": str(retry_after_s)})


_ACTIONS: Mapping[str, Callable[[Form, Room], Reply]] = {
    "CreateAccessKey": _create_key,
    "ListAccessKeys": _list_keys,
    "UpdateAccessKey": _update_key,
    "CreateServiceSpecificCredential": _create_credential,
    "ListServiceSpecificCredentials": _list_credentials,
    "UpdateServiceSpecificCredential": _update_credential,
    "CreateRole": _create_role,
    "GetRole": _get_role,
    "PutRolePolicy": _put_policy,
    "GetRolePolicy": _get_policy,
    "DeleteRolePolicy": _delete_policy,
}
SERVICE = Service(name="iam", answer=answer, failure=failure)
