"""The section `telemetry`: where calls are told of in OpenTelemetry's words."""

from __future__ import annotations

from pydantic import Field

from aegis.config.sections.kinds import Address, Duration, SecretRef, Section, written


class OtlpSection(Section):
    """A collector that takes OTLP over HTTP. Needs the extra `otel`."""

    endpoint: Address
    """Its address without a path (https://collector.example.com:4318): `/v1/traces` and `/v1/metrics` are added."""
    headers: dict[str, SecretRef] = Field(default_factory=dict, max_length=10)
    """Sent with every request, such as an `authorization`."""
    service: str = Field(default="aegis", min_length=1, max_length=100)
    """What stands as `service.name`."""
    every: Duration = written("15s")
    """How often metrics leave; spans leave in batches, at the latest after five seconds."""


class TelemetrySection(Section):
    """What is told outside about the calls that programs make: spans and metrics, never their texts."""

    otlp: OtlpSection | None = None
