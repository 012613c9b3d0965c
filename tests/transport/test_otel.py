"""Claims about what a collector is told: the words of the conventions, no text of a call, and never at a call's cost."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from threading import enumerate as enumerate_threads
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from aegis.core.errors import ConfigError
from aegis.core.telemetry import CallEnded
from aegis.transport.otel import CallSpans, Sdk, common_attributes, own_attributes

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
ENDED = CallEnded(
    at=AT,
    call_id="call_1",
    service="anthropic",
    model="claude-haiku-5-5",
    outcome="settled",
    cost=4_589_066,
    took_ms=1_250,
    operation="messages",
    wanted="claude-sonnet-5-5",
    usage={"input_tokens": 100, "output_tokens": 40, "cache_read_tokens": 900, "cache_write_1h_tokens": 7},
    scope={"team": "red", "purpose": "incident", "secret": "nothing to tell"},
)


class Collector(ThreadingHTTPServer):
    """Takes what is exported."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.taken: list[tuple[str, Mapping[str, str], bytes]] = []


class Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, dict(self.headers), body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests stay quiet."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def told(collector: Collector, *calls: CallEnded) -> dict[str, tuple[Mapping[str, str], bytes]]:
    address = f"http://127.0.0.1:{collector.server_address[1]}"
    spans = CallSpans(address, {"authorization": "Bearer t"}, service="soc", every_ms=60_000)
    for call in calls:
        spans(call)
    spans.close()
    return {path: (headers, body) for path, headers, body in collector.taken}


def values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def test_a_call_is_a_span_with_its_usage_and_its_cost(collector: Collector) -> None:
    headers, body = told(collector, ENDED)["/v1/traces"]

    [resource] = ExportTraceServiceRequest.FromString(body).resource_spans
    [span] = resource.scope_spans[0].spans
    said = values(span.attributes)
    assert headers["authorization"] == "Bearer t"
    assert values(resource.resource.attributes)["service.name"] == "soc"
    assert (span.name, span.kind) == ("chat claude-sonnet-5-5", 3)
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1_250_000_000
    assert said["gen_ai.response.model"] == "claude-haiku-5-5"
    assert said["gen_ai.usage.input_tokens"] == 1_007
    assert said["gen_ai.usage.cache_creation.input_tokens"] == 7
    assert said["aegis.cost.usd"] == pytest.approx(0.004589066)
    assert (said["aegis.team"], "aegis.secret" in said) == ("red", False)


def test_tokens_and_durations_are_histograms(collector: Collector) -> None:
    _, body = told(collector, ENDED)["/v1/metrics"]

    metrics = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0].metrics
    found = {metric.name: metric for metric in metrics}
    tokens = {
        values(point.attributes)["gen_ai.token.type"]: point.sum
        for point in found["gen_ai.client.token.usage"].histogram.data_points
    }
    assert tokens == {"input": 1_007, "output": 40}
    assert found["gen_ai.client.operation.duration"].histogram.data_points[0].sum == 1.25


def test_a_refused_call_is_an_error_of_ours_and_used_nothing(collector: Collector) -> None:
    refused = ENDED._replace(outcome="refused", refused="budget", usage={}, cost=0, model="", took_ms=0)
    _, body = told(collector, refused)["/v1/traces"]

    [span] = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
    said = values(span.attributes)
    assert said["error.type"] == "aegis.refused.budget"
    assert "gen_ai.usage.input_tokens" not in said
    assert span.status.code == 2


def test_what_is_no_model_is_not_told(collector: Collector) -> None:
    assert "/v1/traces" not in told(collector, ENDED._replace(service="virustotal"))


def test_every_name_is_one_of_the_conventions_or_our_own(shared: Path) -> None:
    known = json.loads((shared / "contracts" / "otel_genai.json").read_text())["attributes"]
    names = {one["id"] for one in known} | {"error.type"}

    for ended in (ENDED, ENDED._replace(outcome="failed"), ENDED._replace(service="bedrock", operation="embeddings")):
        for name, value in {**common_attributes(ended), **own_attributes(ended)}.items():
            assert name in names or name.startswith("aegis."), name
            allowed = next((one.get("members") for one in known if one["id"] == name), None)
            assert not allowed or value in allowed, (name, value)


def test_a_collector_that_is_away_stops_nothing() -> None:
    spans = CallSpans("http://127.0.0.1:1", {}, service="soc", every_ms=60_000, close_ms=50)
    for _ in range(10):
        spans(ENDED)
    spans.close()

    assert not [thread for thread in enumerate_threads() if thread.name.startswith("Otel")]


def test_without_the_library_the_message_says_what_to_install() -> None:
    def missing() -> Sdk:
        raise ConfigError("telemetry: otlp needs its library; run: pip install 'aegis[otel]'")

    with pytest.raises(ConfigError, match=r"aegis\[otel\]"):
        CallSpans("http://127.0.0.1:1", {}, service="soc", every_ms=60_000, load=missing)
