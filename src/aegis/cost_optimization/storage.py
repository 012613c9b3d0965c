"""S3 with its requests and bytes counted: a put and a get, governed by their monthly quotas."""

from __future__ import annotations

from typing import Any, Final

from aegis.core.calls import Priority
from aegis.core.errors import BadInput
from aegis.cost_optimization.aws_config import client_of
from aegis.cost_optimization.engine import Engine

OBJECT_MAX: Final = 64 * 1024 * 1024
"""Read into memory; larger objects want a multipart transfer, which is not one request."""


async def put_object(engine: Engine, bucket: str, key: str, body: bytes, priority: Priority) -> dict[str, Any]:
    """Store an object: one PUT and its bytes. Raises `Refused`, `BadInput` and `ServiceError`."""
    if len(body) > OBJECT_MAX:
        raise BadInput(f"{len(body):,} bytes; at most {OBJECT_MAX:,} go in one request", code="too_large")
    usage = {"put_requests": 1, "stored_bytes": len(body)}
    call = engine.call("s3", "PutObject", usage, priority=priority)
    async with engine.governor.parts.governor.admit(call) as reservation:
        client = client_of(engine.clients, "s3")
        answer = await engine.aws.call("s3", client, "put_object", {"Bucket": bucket, "Key": key, "Body": body})
        reservation.settle(usage)
    return {"etag": str(answer.get("ETag", "")), "bytes": len(body)}


async def get_object(engine: Engine, bucket: str, key: str, priority: Priority) -> bytes:
    """Read an object: one GET. Raises `Refused`, `BadInput` (too large) and `ServiceError`."""
    usage = {"get_requests": 1}
    call = engine.call("s3", "GetObject", usage, priority=priority)
    async with engine.governor.parts.governor.admit(call) as reservation:
        client = client_of(engine.clients, "s3")
        answer = await engine.aws.call("s3", client, "get_object", {"Bucket": bucket, "Key": key})
        reservation.settle(usage)
        body: bytes = await engine.aws.call("s3", answer["Body"], "read", {"amt": OBJECT_MAX + 1})
    if len(body) > OBJECT_MAX:
        raise BadInput(f"{key} has more than {OBJECT_MAX:,} bytes", code="too_large")
    return body
