"""CloudWatch: takes metric data and alarms as the AWS clients send them (CBOR or JSON), and says who is asking as STS does.

docs.aws.amazon.com: PutMetricData, its limits and errors; Smithy RPC v2 CBOR; STS GetCallerIdentity.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aegis.sandbox.cbor import read_cbor, write_cbor
from aegis.sandbox.checks import Inspector
from aegis.sandbox.exchange import Asked, Reply, Unreadable, clip, read_json, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service, find, route
from aegis.sandbox.services.cloudwatch_alarms import OPERATIONS, Answered, Work
from aegis.sandbox.services.cloudwatch_metrics import get_metric_data

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
        return _no(asked, 403, "MissingAuthenticationTokenException", "the request is not signed")
    return find(ROUTES, asked, room) or _no(asked, 404, "UnknownOperationException", "no such operation")


def _no(asked: Asked, status: int, code: str, why: str) -> Reply:
    body = {"__type": code, "message": why}
    if _in_cbor(asked):
        return replace(_taken(asked, body, ""), status=status, refused=why)
    return reply_json(status, body, headers={"x-amzn-errortype": code}, refused=why)


def _in_cbor(asked: Asked) -> bool:
    return asked.header("content-type").startswith(CBOR)


def _query(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    target = asked.header("x-amz-target").rpartition(".")[2]
    if target:
        return _asked_for(asked, room, target)
    try:
        action = asked.form().get("Action", "")
    except Unreadable:
        action = ""
    if action != "GetCallerIdentity":
        return _no(asked, 400, "InvalidAction", f"no such action {clip(action, 40)}")
    return Reply(status=200, body=IDENTITY.encode(), content_type="text/xml", line="who is asking")


def _operation(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    return _asked_for(asked, room, found[1])


def _asked_for(asked: Asked, room: Room, operation: str) -> Reply:
    """One operation, however it was asked for."""
    work = _OPERATIONS.get(operation)
    if work is None:
        return _no(asked, 404, "UnknownOperationException", f"no such operation {clip(operation, 60)}")
    try:
        body = asked.decoded(BODY_MAX)
        value = read_cbor(body) if _in_cbor(asked) else read_json(body)
    except Unreadable as error:
        return _no(asked, 400, "SerializationException", str(error))
    request = Inspector(value)
    told, line = work(request, room, _region(asked))
    if request.problems:
        return _no(asked, 400, "InvalidParameterValueException", str(request.problems[0]))
    return _taken(asked, told, line)


def _region(asked: Asked) -> str:
    """The region that a request is signed for: `Credential=KEY/DAY/REGION/monitoring/aws4_request`."""
    scope = asked.header("authorization").partition("Credential=")[2].split("/")
    return scope[2] if len(scope) > 2 else ""


def _put(request: Inspector, room: Room, _region: str) -> Answered:
    _check(request)
    data = () if request.problems else request.held.get("MetricData") or ()
    for one in data:
        dimensions = ",".join(f"{d['Name']}={d['Value']}" for d in one.get("Dimensions") or ())
        key = f"{request.held['Namespace']}|{one['MetricName']}|{dimensions}"
        room.put("metric", key, {"metric": key, "value": one.get("Value"), "unit": one.get("Unit")})
    return {}, f"{len(data)} metrics"


def _taken(asked: Asked, told: Document, line: str) -> Reply:
    if _in_cbor(asked):
        headers = {"smithy-protocol": "rpc-v2-cbor"}
        return Reply(status=200, body=write_cbor(told), content_type=CBOR, headers=headers, line=line)
    return reply_json(200, told, line=line)


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


_OPERATIONS: Mapping[str, Work] = {"PutMetricData": _put, "GetMetricData": get_metric_data, **OPERATIONS}
ROUTES = (
    route("POST", r"/service/GraniteServiceVersion20100801/operation/([A-Za-z]{1,60})", _operation),
    route("POST", r"/?", _query),
)
SERVICE = Service(name="cloudwatch", answer=answer, failure=failure)
