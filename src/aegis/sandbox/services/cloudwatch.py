"""CloudWatch: takes metric data as the AWS clients send it (CBOR or JSON), and says who is asking as STS does.

docs.aws.amazon.com: PutMetricData, its limits and errors; Smithy RPC v2 CBOR; STS GetCallerIdentity.
"""

from __future__ import annotations

import re
from typing import Any

from aegis.sandbox.cbor import read_cbor
from aegis.sandbox.checks import Inspector
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, read_json, reply_json
from aegis.sandbox.room import Room
from aegis.sandbox.service import Service, find, route

BODY_MAX = 1024 * 1024
METRICS_MAX, DIMENSIONS_MAX = 1_000, 30
CBOR = "application/cbor"
IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>arn:aws:iam::000000000000:user/sandbox</Arn><UserId>SANDBOX</UserId><Account>000000000000</Account>"
    "</GetCallerIdentityResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
)


def answer(asked: Asked, room: Room) -> Reply:
    if not asked.header("authorization").startswith("AWS4-HMAC-SHA256 "):
        return _no(403, "MissingAuthenticationTokenException", "the request is not signed")
    return find(ROUTES, asked, room) or _no(404, "UnknownOperationException", "no such operation")


def _no(status: int, code: str, why: str) -> Reply:
    return reply_json(status, {"__type": code, "message": why}, headers={"x-amzn-errortype": code}, refused=why)


def _query(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    if asked.header("x-amz-target").endswith(".PutMetricData"):
        return _put(asked, room, found)
    try:
        action = asked.form().get("Action", "")
    except Unreadable:
        action = ""
    if action != "GetCallerIdentity":
        return _no(400, "InvalidAction", f"no such action {clip(action, 40)}")
    return Reply(status=200, body=IDENTITY.encode(), content_type="text/xml", line="who is asking")


def _put(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    try:
        body = asked.decoded(BODY_MAX)
        value = read_cbor(body) if asked.header("content-type").startswith(CBOR) else read_json(body)
    except Unreadable as error:
        return _no(400, "SerializationException", str(error))
    request = Inspector(value)
    _check(request)
    if request.problems:
        return _no(400, "InvalidParameterValueException", str(request.problems[0]))
    data = request.held.get("MetricData") or []
    for one in data:
        dimensions = ",".join(f"{d['Name']}={d['Value']}" for d in one.get("Dimensions") or ())
        key = f"{request.held['Namespace']}|{one['MetricName']}|{dimensions}"
        room.put("metric", key, {"metric": key, "value": one.get("Value"), "unit": one.get("Unit")})
    return _taken(asked, f"{len(data)} metrics")


def _taken(asked: Asked, line: str) -> Reply:
    if asked.header("content-type").startswith(CBOR):
        return Reply(status=200, body=b"\xa0", content_type=CBOR, headers={"smithy-protocol": "rpc-v2-cbor"}, line=line)
    return reply_json(200, {}, line=line)


def _check(request: Inspector) -> None:
    namespace = request.text("Namespace", required=True, longest=255)
    if namespace.startswith("AWS/"):
        request.wrong("Namespace", "must not begin with AWS/")
    data = request.objects("MetricData", required=True, least=1)
    if len(data) > METRICS_MAX:
        request.wrong("MetricData", f"has more than {METRICS_MAX} metrics")
    for one in data:
        one.text("MetricName", required=True, longest=255)
        dimensions = one.objects("Dimensions")
        if len(dimensions) > DIMENSIONS_MAX:
            one.wrong("Dimensions", f"has more than {DIMENSIONS_MAX}")
        for dimension in dimensions:
            dimension.text("Name", required=True, longest=255)
            dimension.text("Value", required=True, longest=1_024)
        _number(one, "Value")


def _number(one: Inspector, key: str) -> None:
    value: Any = one.held.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        one.wrong(key, "must be a number")


def failure(status: int, retry_after_s: int | None) -> Reply:
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    codes = {401: "UnrecognizedClientException", 429: "ThrottlingException", 503: "ServiceUnavailableException"}
    code = codes.get(status, "InternalServiceFault")
    body = {"__type": code, "message": "The sandbox was told to fail"}
    return reply_json(status, body, headers={"x-amzn-errortype": code, **wait})


ROUTES = (
    route("POST", r"/service/GraniteServiceVersion20100801/operation/PutMetricData", _put),
    route("POST", r"/?", _query),
)
SERVICE = Service(name="cloudwatch", answer=answer, failure=failure)
