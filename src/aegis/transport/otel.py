"""Tells a collector of every governed call, in OpenTelemetry's words for generative AI, through its SDK: the only place that
knows it, imported when it is asked for.

Names and values: semantic conventions for GenAI (1.41.1, "Development"): span `{operation} {model}` of kind CLIENT,
`gen_ai.*` attributes, metrics `gen_ai.client.token.usage` and `gen_ai.client.operation.duration`. Cost has no agreed name yet and
stands under `aegis.cost.usd`. No prompt, no answer, no key leaves.

Policy: telling never delays a call. Spans wait in a bounded queue of the SDK's own thread and are dropped when it is full; a
collector that is away costs nothing but its spans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from importlib import import_module
from threading import Thread
from typing import Any, Final

from aegis import __version__
from aegis.core.errors import ConfigError
from aegis.core.telemetry import CallEnded, Happened

QUEUE: Final = 2_048
BATCH: Final = 512
DELAY_MS: Final = 5_000
"""The SDK's own defaults, written down: spans that may wait, that leave at once, and how long one waits at most."""
CLOSE_MS: Final = 3_000
"""What the end of Aegis waits for a collector that is away."""
TIMEOUT_S: Final = 10
_PROVIDERS: Final[Mapping[str, str]] = {
    "anthropic": "anthropic",
    "openai": "openai",
    "bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
}
_OPERATIONS: Final[Mapping[str, str]] = {"embeddings": "embeddings", "moderations": "moderations"}
"""What is no chat; the conventions let a vendor's own word stand where none of theirs fits."""
_ATTRIBUTES: Final[Mapping[str, str]] = {
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
}
_INPUTS: Final = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
_WRITES: Final = ("cache_write_tokens", "cache_write_1h_tokens")


@dataclass(frozen=True, slots=True)
class Sdk:
    """The modules of the SDK that are used."""

    trace: Any
    sdk_trace: Any
    export: Any
    metrics: Any
    metrics_export: Any
    resources: Any
    span_exporter: Any
    metric_exporter: Any


def installed() -> Sdk:
    """The SDK and its exporter. Raises `ConfigError` when they are missing."""
    try:
        return Sdk(
            import_module("opentelemetry.trace"),
            import_module("opentelemetry.sdk.trace"),
            import_module("opentelemetry.sdk.trace.export"),
            import_module("opentelemetry.sdk.metrics"),
            import_module("opentelemetry.sdk.metrics.export"),
            import_module("opentelemetry.sdk.resources"),
            import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter,
            import_module("opentelemetry.exporter.otlp.proto.http.metric_exporter").OTLPMetricExporter,
        )
    except ImportError as error:
        raise ConfigError("telemetry: otlp needs its library; run: pip install 'aegis[otel]'") from error


class CallSpans:
    """An observer that makes a span of every call to a model, and two histograms. Raises `ConfigError` without the SDK."""

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        *,
        service: str,
        every_ms: int,
        close_ms: int = CLOSE_MS,
        load: Callable[[], Sdk] = installed,
    ) -> None:
        sdk = self._sdk = load()
        self._close_ms = close_ms
        resource = sdk.resources.Resource({"service.name": service, "service.version": __version__})
        common = {"headers": dict(headers), "timeout": TIMEOUT_S}
        spans = sdk.span_exporter(endpoint=f"{endpoint}/v1/traces", **common)
        self._tracing = sdk.sdk_trace.TracerProvider(resource=resource, shutdown_on_exit=False)
        self._tracing.add_span_processor(
            sdk.export.BatchSpanProcessor(
                spans, max_queue_size=QUEUE, max_export_batch_size=BATCH, schedule_delay_millis=DELAY_MS
            )
        )
        figures = sdk.metric_exporter(endpoint=f"{endpoint}/v1/metrics", **common)
        reader = sdk.metrics_export.PeriodicExportingMetricReader(figures, export_interval_millis=every_ms)
        self._exporters = (spans, figures)
        self._metering = sdk.metrics.MeterProvider(resource=resource, metric_readers=[reader], shutdown_on_exit=False)
        self._tracer = self._tracing.get_tracer("aegis", __version__)
        meter = self._metering.get_meter("aegis", __version__)
        self._tokens = meter.create_histogram("gen_ai.client.token.usage", unit="{token}")
        self._duration = meter.create_histogram("gen_ai.client.operation.duration", unit="s")

    def __call__(self, happened: Happened) -> None:
        if isinstance(happened, CallEnded) and happened.service in _PROVIDERS and happened.operation:
            self._tell(happened)

    def close(self) -> None:
        """Let what waits leave, for a bounded time. The SDK's own flush keeps no time, so it gets a thread."""
        flush = Thread(target=self._flush, daemon=True, name="OtelFlush")
        flush.start()
        flush.join(self._close_ms / 1_000)
        for exporter in self._exporters:
            exporter.shutdown()  # ends the waits between two tries
        self._tracing.shutdown()
        flush.join()

    def _flush(self) -> None:
        self._tracing.force_flush()
        self._metering.shutdown(timeout_millis=self._close_ms)

    def _tell(self, ended: CallEnded) -> None:
        common, trace = common_attributes(ended), self._sdk.trace
        name = f"{common['gen_ai.operation.name']} {common.get('gen_ai.request.model', '')}".rstrip()
        attributes = {**common, **own_attributes(ended)}
        start = _ns(ended.at - timedelta(milliseconds=ended.took_ms))
        span = self._tracer.start_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes, start_time=start)
        if "error.type" in attributes:
            span.set_status(trace.Status(trace.StatusCode.ERROR))
        span.end(end_time=_ns(ended.at))
        if ended.outcome != "refused":
            self._duration.record(ended.took_ms / 1_000, common)
        for kind, units in (("input", input_tokens(ended)), ("output", ended.usage.get("output_tokens", 0))):
            if units:
                self._tokens.record(units, {**common, "gen_ai.token.type": kind})


def common_attributes(ended: CallEnded) -> dict[str, Any]:
    """What spans and metrics both say."""
    found = {
        "gen_ai.operation.name": _OPERATIONS.get(ended.operation, "chat"),
        "gen_ai.provider.name": _PROVIDERS[ended.service],
    }
    if ended.wanted:
        found["gen_ai.request.model"] = ended.wanted
    if ended.model and ended.outcome != "refused":
        found["gen_ai.response.model"] = ended.model
    if ended.outcome == "refused":
        found["error.type"] = f"aegis.refused.{ended.refused}"
    elif ended.outcome == "failed":
        found["error.type"] = "aegis.failed"
    return found


def own_attributes(ended: CallEnded) -> dict[str, Any]:
    """What only spans say: usage, cost, for whom. Input counts cached tokens too, as the conventions have it."""
    found: dict[str, Any] = {
        "aegis.call.id": ended.call_id,
        "aegis.outcome": ended.outcome,
        "aegis.cost.usd": float(Decimal(ended.cost).scaleb(-9)),
        **{
            f"aegis.{name}": value
            for name, value in ended.scope.items()
            if name in ("team", "purpose", "incident", "key")
        },
    }
    if ended.usage:
        found["gen_ai.usage.input_tokens"] = input_tokens(ended)
        found |= {name: ended.usage[meter] for meter, name in _ATTRIBUTES.items() if meter in ended.usage}
        written = sum(ended.usage.get(meter, 0) for meter in _WRITES)
        found |= {"gen_ai.usage.cache_creation.input_tokens": written} if written else {}
    return found


def input_tokens(ended: CallEnded) -> int:
    """All tokens of the prompt, new, read from a cache and written to one."""
    return sum(ended.usage.get(meter, 0) for meter in _INPUTS)


def _ns(at: datetime) -> int:
    return int(at.timestamp() * 1_000) * 1_000_000
