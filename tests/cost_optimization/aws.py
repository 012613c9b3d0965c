"""AWS of our own making: clients with boto3's methods that check each request against the published models."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.connectors.contracts import Contract

from aegis.core.prices import Price, PriceBook

MB = 1024 * 1024
PRICES = PriceBook(
    overrides={
        ("bedrock", f"global.anthropic.claude-{name}-5-5"): Price(
            service="bedrock",
            model=name,
            rates={
                "input_tokens": ((0, dollars * 10**9),),
                "output_tokens": ((0, 5 * dollars * 10**9),),
                "cache_read_tokens": ((0, dollars * 10**8),),
                "cache_write_tokens": ((0, 2 * dollars * 10**9),),
            },
        )
        for name, dollars in (("haiku", 1), ("sonnet", 3), ("opus", 5))
    }
    | {
        ("athena", ""): Price(service="athena", model="", rates={"bytes_scanned": ((0, 4_548),)}),
        ("cloudwatch", ""): Price(service="cloudwatch", model="", rates={}),
    }
)
"""Round prices: a million input tokens cost 1, 3 and 5 dollars, output five times as much."""


class Client:
    """Records requests in `asked`; `shared` names the folder of contracts, None checks nothing."""

    contract = ""

    def __init__(self, shared: Path | None = None) -> None:
        self.shared = shared
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def take(self, operation: str, request: Mapping[str, Any]) -> None:
        self.asked.append((operation, dict(request)))
        if self.shared is not None and self.contract:
            breaches = Contract.of(self.shared, self.contract, operation).breaches(request)
            assert not breaches, f"{operation}: {breaches}"

    def requests(self, operation: str) -> list[dict[str, Any]]:
        return [request for name, request in self.asked if name == operation]


class Athena(Client):
    """Answers every query with `rows` after `looks` looks; `ends` is its state at the end."""

    contract = "aws_athena"

    def __init__(self, shared: Path | None = None) -> None:
        super().__init__(shared)
        self.rows: list[list[str]] = [["10.0.0.1", "HIGH"]]
        self.scanned, self.ends, self.looks, self.cutoff = 25 * MB, "SUCCEEDED", 1, 0
        self.extra: dict[str, Any] = {}
        self.status: dict[str, Any] = {}
        self.scanning: list[int] = []
        self._stopped, self._seen = False, 0

    def get_work_group(self, **request: Any) -> dict[str, Any]:
        self.take("GetWorkGroup", request)
        configuration = {"BytesScannedCutoffPerQuery": self.cutoff} if self.cutoff else {}
        return {"WorkGroup": {"Name": request["WorkGroup"], "Configuration": configuration}}

    def start_query_execution(self, **request: Any) -> dict[str, Any]:
        self.take("StartQueryExecution", request)
        self._seen, self._stopped = 0, False
        return {"QueryExecutionId": "query-1"}

    def get_query_execution(self, **request: Any) -> dict[str, Any]:
        self.take("GetQueryExecution", request)
        self._seen += 1
        over = self._seen > self.looks or self._stopped
        state = "CANCELLED" if self._stopped else self.ends if over else "RUNNING"
        scanned = self.scanned if over or not self.scanning else self.scanning[min(self._seen, len(self.scanning)) - 1]
        return {
            "QueryExecution": {
                "QueryExecutionId": "query-1",
                "Status": {"State": state, **self.status},
                "Statistics": {"DataScannedInBytes": scanned, **self.extra.get("Statistics", {})},
                **{key: value for key, value in self.extra.items() if key != "Statistics"},
            }
        }

    def stop_query_execution(self, **request: Any) -> dict[str, Any]:
        self.take("StopQueryExecution", request)
        self._stopped = True
        return {}

    def get_query_results(self, **request: Any) -> dict[str, Any]:
        self.take("GetQueryResults", request)
        columns = ["source_ip", "severity"]
        rows = [columns, *self.rows]
        return {
            "ResultSet": {
                "Rows": [{"Data": [{"VarCharValue": value} for value in row]} for row in rows],
                "ResultSetMetadata": {"ColumnInfo": [{"Name": name, "Type": "varchar"} for name in columns]},
            }
        }


class Bedrock(Client):
    """Says `text` to everything."""

    contract = "aws_bedrock_runtime"

    def __init__(self, shared: Path | None = None) -> None:
        super().__init__(shared)
        self.text = "Two hosts were scanned."
        self.usage: dict[str, Any] = {"inputTokens": 100, "outputTokens": 20, "totalTokens": 120}
        self.fails: list[Exception] = []

    def converse(self, **request: Any) -> dict[str, Any]:
        self.take("Converse", request)
        if self.fails:
            raise self.fails.pop(0)
        return {
            "output": {"message": {"role": "assistant", "content": [{"text": self.text}]}},
            "stopReason": "end_turn",
            "usage": self.usage,
            "metrics": {"latencyMs": 12},
        }


class S3(Client):
    def __init__(self, shared: Path | None = None) -> None:
        super().__init__(shared)
        self.kept: dict[tuple[str, str], bytes] = {}

    def put_object(self, **request: Any) -> dict[str, Any]:
        self.take("PutObject", request)
        self.kept[request["Bucket"], request["Key"]] = request["Body"]
        return {"ETag": '"1"'}

    def get_object(self, **request: Any) -> dict[str, Any]:
        self.take("GetObject", request)

        class Body(io.BytesIO):
            def read(self, amt: int | None = -1) -> bytes:  # botocore's StreamingBody calls it amt
                return super().read(amt)

        return {"Body": Body(self.kept[request["Bucket"], request["Key"]])}


class CloudWatch(Client):
    contract = "aws_cloudwatch"

    def put_metric_data(self, **request: Any) -> dict[str, Any]:
        self.take("PutMetricData", request)
        return {}


class Clients(dict[str, Any]):
    """All four, as `create_aws_clients` names them."""

    def __init__(self, shared: Path | None = None) -> None:
        self.athena, self.bedrock = Athena(shared), Bedrock(shared)
        self.s3, self.cloudwatch = S3(shared), CloudWatch(shared)
        super().__init__(
            {"athena": self.athena, "bedrock-runtime": self.bedrock, "s3": self.s3, "cloudwatch": self.cloudwatch}
        )
