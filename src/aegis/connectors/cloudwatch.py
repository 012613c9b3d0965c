"""CloudWatch: what Aegis counts as custom metrics, in one `PutMetricData` call a minute.

Every combination of name and dimensions is billed as a metric of its own, so there are few: the names and tags are a
fixed vocabulary, tags that are not worth a metric are left out, and their number is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from aegis.core.addresses import is_loopback
from aegis.core.errors import ConfigError
from aegis.core.notifications import MetricPoint
from aegis.core.outlets import AwsCalls
from aegis.core.plaintext import one_line
from aegis.core.ports import Clock, Http, NewId, Probed

NAME = "cloudwatch"
NEEDS = ("aws",)

PUSH_MS: Final = 60_000
"""Metrics of standard resolution are kept by the minute; more calls would cost and show nothing new."""
BATCH_MAX = 1_000
"""docs.aws.amazon.com, PutMetricData: metrics in one request."""
NAME_MAX, VALUE_MAX = 255, 1_024
DIMENSIONS: Final = ("service", "severity", "outcome", "budget", "level")
"""The tags that become dimensions, in this order; any other is left out and its numbers are added up."""
DIMENSIONS_MAX = 2
"""For one metric: service and outcome, budget and level. AWS takes 30, at $0.30 a month each combination."""
OVERFLOW = "aegis.metrics_overflow"

_NAMESPACE = re.compile(r"(?!AWS/)[A-Za-z0-9._/#:-]{1,255}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A namespace in one region; credentials are found as the AWS tools find them."""

    region: str = field(default="", metadata={"help": "empty: as the AWS tools find it"})
    namespace: str = field(default="Aegis", metadata={"help": "where the metrics stand; never AWS/..."})
    metrics_max: int = field(default=100, metadata={"help": "different metrics at most: each costs $0.30 a month"})
    base_url: str = field(default="", metadata={"help": "where CloudWatch's API stands; empty: AWS"})

    def __post_init__(self) -> None:
        if self.region and not _REGION.fullmatch(self.region):
            raise ConfigError("cloudwatch: region must be the name of a region, such as eu-central-1")
        if not _NAMESPACE.fullmatch(self.namespace) or self.namespace.startswith(":"):
            raise ConfigError(
                "cloudwatch: namespace must be 1 to 255 of A-Z a-z 0-9 . _ / # : - and not begin with AWS/"
            )
        address = urlsplit(self.base_url)
        if self.base_url and address.scheme != "https" and not is_loopback(address.hostname or ""):
            raise ConfigError("cloudwatch: base_url must be an https address (http only for this machine)")
        if not 1 <= self.metrics_max <= BATCH_MAX:
            raise ConfigError(f"cloudwatch: metrics_max must be between 1 and {BATCH_MAX}")


def datum(point: MetricPoint) -> dict[str, Any]:
    """One value as CloudWatch takes it."""
    told = [(name, one_line(point.tags[name])) for name in DIMENSIONS if point.tags.get(name)]
    return {
        "MetricName": one_line(point.name)[:NAME_MAX],
        "Dimensions": [{"Name": name, "Value": as_dimension(value)} for name, value in told[:DIMENSIONS_MAX]],
        "Timestamp": point.at.timestamp(),
        "Value": point.value,
        "Unit": "Count" if point.kind == "count" else "None",
    }


def as_dimension(value: str) -> str:
    """A dimension's value: ASCII that is not blank and does not begin with a colon (the API's own rule)."""
    return "".join(c if "!" <= c <= "~" or c == " " else "?" for c in value)[:VALUE_MAX].strip().lstrip(":") or "-"


class CloudWatch:
    """`MetricSink` and `Probe`."""

    name, push_ms = NAME, PUSH_MS

    def __init__(self, config: Config, aws: AwsCalls) -> None:
        self._config, self._aws = config, aws
        self._known: set[tuple[str, ...]] = set()

    async def push(self, points: Sequence[MetricPoint]) -> None:
        """Send all points, in as few calls as they need. What has the same name and dimensions is added up."""
        data = self.merged(points)
        for start in range(0, len(data), BATCH_MAX):
            request = {"Namespace": self._config.namespace, "MetricData": data[start : start + BATCH_MAX]}
            await self._call("cloudwatch", "put_metric_data", request, endpoint=self._config.base_url)

    def merged(self, points: Sequence[MetricPoint]) -> list[dict[str, Any]]:
        """The points as data, at most `metrics_max` different ones over the life of this process; the rest is counted
        under one name of its own.
        """
        found: dict[tuple[str, ...], dict[str, Any]] = {}
        for point in points:
            one = datum(point)
            key = (one["MetricName"], *(f"{d['Name']}={d['Value']}" for d in one["Dimensions"]))
            if key not in self._known and len(self._known) >= self._config.metrics_max:
                one = {**one, "MetricName": OVERFLOW, "Dimensions": [], "Value": 1, "Unit": "Count"}
                key = (OVERFLOW,)
            self._known.add(key)
            if key in found and one["Unit"] == "Count":
                one["Value"] += found[key]["Value"]
            found[key] = one
        return list(found.values())

    async def probe(self) -> Probed:
        """Who we are, which is free and needs no permission; that metrics may be put shows only when they are."""
        await self._call("sts", "get_caller_identity", {}, endpoint=self._config.base_url)
        return Probed(asked=True, text="the credentials are good; whether metrics may be put shows when they are")

    async def _call(self, client: str, operation: str, request: Mapping[str, Any], *, endpoint: str) -> None:
        await self._aws.call(NAME, client, operation, request, region=self._config.region, endpoint=endpoint)


def build(config: Config, http: Http, *, clock: Clock, new_id: NewId, aws: AwsCalls) -> CloudWatch:  # noqa: ARG001 - one shape for all
    """The connector from its config."""
    return CloudWatch(config, aws)
