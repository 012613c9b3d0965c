"""The port `AwsCalls` straight into a sandbox: the JSON protocols of AWS without boto3, every request kept."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.sandbox.places import HandClock

from aegis.core.errors import Billed, ServiceError
from aegis.sandbox.exchange import Asked
from aegis.sandbox.world import World

TARGETS = {
    "budgets": "AWSBudgetServiceGateway",
    "cloudwatch": "GraniteServiceVersion20100801",
    "freetier": "AWSFreeTierService",
}
AT = datetime(2026, 11, 21, tzinfo=UTC)


class SandboxAws:
    """Answers from a world of its own; `requests` are what was asked, by client and operation, and `answers` what came."""

    def __init__(self) -> None:
        self.world = World(clock=HandClock())
        self.requests: list[tuple[str, str, Mapping[str, Any]]] = []
        self.answers: list[tuple[str, str, Any]] = []

    async def call(
        self, service: str, client: str, operation: str, request: Mapping[str, Any], *, region: str, endpoint: str
    ) -> Mapping[str, Any]:
        assert (service, endpoint) == (client, "")
        if client == "sts":
            return {"Account": "000000000000", "Arn": "arn:aws:iam::000000000000:user/sandbox"}
        name = "".join(part.title() for part in operation.split("_"))
        self.requests.append((client, name, request))
        headers = {
            "x-amz-target": f"{TARGETS[client]}.{name}",
            "authorization": f"AWS4-HMAC-SHA256 Credential=key/20261121/{region}/{client}/aws4_request",
        }
        asked = Asked(method="POST", path="/", at=AT, headers=headers, body=json.dumps(request).encode())
        reply = self.world.receive(client, asked).reply
        told: dict[str, Any] = json.loads(reply.body)
        if reply.status != 200:
            words = f"answered {reply.status} {told['__type']} {reply.refused}"
            raise ServiceError(client, words, retryable=False, billed=Billed.NO, status=reply.status)
        self.answers.append((client, name, told))
        return told

    def documents(self, service: str, kind: str) -> list[dict[str, Any]]:
        return list(self.world.documents(service, kind))
