"""10,000 incidents within a minute, three services down: none lost, the first page of a CRITICAL one at once.

The sandbox stands in a process of its own. Slack, Jira and Splunk answer 503 until every event is in; then they come
back, and everything that waited has to arrive. Counted when the last incident was opened and at the end: incidents in
the store, how every delivery stands, and what PagerDuty's and Jira's stand-ins really got. `page` is the time from
receiving the one CRITICAL event in the middle of the burst to PagerDuty's answer.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio

from aegis.app import open_app
from aegis.app.memory import settle
from aegis.app.opening import Machine
from aegis.app.running import App
from aegis.core.incidents import Severity
from aegis.core.telemetry import DeliveryEnded, Happened, IncidentChanged
from aegis.incidents.lane import RULES, LaneRule
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from bench._sandbox import ask, sandbox

INCIDENTS = 10_000
SECONDS = 60
DOWN = ("slack", "jira", "splunk")
BATCH = 50
CRITICAL_AT_BATCH = 0.5
"""Where in the burst the CRITICAL one comes: half of it is already waiting."""
AFTER_SECONDS_MAX = 600


class Watch:
    """Counts what is opened, and when a CRITICAL incident was paged."""

    def __init__(self) -> None:
        self.critical: set[str] = set()
        self.paged_ns = 0
        self.opened = 0

    def __call__(self, happened: Happened) -> None:
        match happened:
            case IncidentChanged(change="opened", incident=incident):
                self.opened += 1
                if incident.severity is Severity.CRITICAL:
                    self.critical.add(incident.id)
            case DeliveryEnded(outcome="done", service="pagerduty") if happened.incident_id in self.critical:
                self.paged_ns = self.paged_ns or time.perf_counter_ns()


def stopped_logging(number: int) -> dict[str, Any]:
    """A CloudTrail record that opens a HIGH incident of its own."""
    user, account = f"user-{number}", f"{number:012d}"
    return {
        "eventVersion": "1.09",
        "eventTime": "2026-03-03T10:00:00Z",
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        "userIdentity": {"type": "IAMUser", "userName": user, "arn": f"arn:aws:iam::{account}:user/{user}"},
        "requestParameters": {"name": f"trail-{number}"},
        "recipientAccountId": account,
        "eventID": f"{number:032x}",
    }


async def burst(home: Path, *, incidents: int, seconds: float) -> dict[str, Any]:
    """Run the burst in the empty folder `home`; what happened, as counts, seconds and megabytes."""
    watch, peak_mb = Watch(), _peak_mb()
    # The three that come back are asked as often as they like: the sandbox needs no pace.
    machine = Machine(lane_rules={name: LaneRule(digest_over=rule.digest_over) for name, rule in RULES.items()})
    async with sandbox(home / "sandbox") as serving:
        config = sandbox_config(serving)
        for service in DOWN:
            await ask(serving, "PUT", f"faults/{service}", {"mode": "503"})
        async with (
            open_app(config, home=home, machine=machine, resolve=SandboxKeys(serving), observers=(watch,)) as app,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(app.run)
            settle()  # as the service does
            began = time.perf_counter()
            critical_ns = await _pour(app, incidents, seconds)
            took = time.perf_counter() - began
            with anyio.fail_after(AFTER_SECONDS_MAX):
                while watch.opened <= incidents or not watch.paged_ns:
                    await anyio.sleep(0.05)
                worked = time.perf_counter() - began
                in_outage = await app.outbox.counts()
                for service in DOWN:
                    await ask(serving, "PUT", f"faults/{service}", {"mode": "ok"})
                while await app.outbox.undelivered() or app.pipeline.unfinished:
                    await anyio.sleep(0.2)
            delivered = time.perf_counter() - began
            counts = await app.outbox.counts()
            tasks.cancel_scope.cancel()
        got = {name: (await ask(serving, "GET", f"received/{name}"))["received"] for name in ("pagerduty", "jira")}
    return {
        "incidents": watch.opened,
        "poured_s": round(took, 1),
        "all_opened_s": round(worked, 1),
        "all_delivered_s": round(delivered, 1),
        "critical_page_s": round((watch.paged_ns - critical_ns) / 1e9, 2),
        "rss_grown_mb": _peak_mb() - peak_mb,
        "deliveries_while_three_are_down": _by_end(in_outage),
        "deliveries": _by_end(counts),
        "not_accounted_for": _lost(counts, watch.opened),
        "received": got,
    }


async def _pour(app: App, incidents: int, seconds: float) -> int:
    """Send the events evenly over the time, in batches, and when the CRITICAL one was received."""
    began, batches, critical_ns = time.perf_counter(), -(-incidents // BATCH), 0
    for batch in range(batches):
        numbers = range(batch * BATCH, min(incidents, (batch + 1) * BATCH))
        await app.take("\n".join(json.dumps(stopped_logging(n)) for n in numbers).encode(), source="bench")
        if batch == int(batches * CRITICAL_AT_BATCH):
            critical_ns = time.perf_counter_ns()
            await app.take(json.dumps(CRITICAL).encode(), source="bench")
        await anyio.sleep(max(0.0, began + seconds * (batch + 1) / batches - time.perf_counter()))
    return critical_ns


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _lost(counts: Mapping[str, Mapping[str, int]], incidents: int) -> dict[str, int]:
    """What is neither taken (alone or in a digest) nor overtaken by a newer message that was: dead letters, what still
    waits, and incidents of which a service has taken nothing.
    """
    lost = {
        service: ends.get("dead", 0)
        + ends.get("ready", 0)
        + ends.get("leased", 0)
        + max(0, incidents - ends.get("done", 0))
        for service, ends in counts.items()
    }
    return {service: number for service, number in lost.items() if number}


def _by_end(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {service: dict(sorted(ends.items())) for service, ends in sorted(counts.items())}


CRITICAL: dict[str, Any] = {
    "eventVersion": "1.09",
    "eventTime": "2026-03-03T10:00:00Z",
    "eventSource": "iam.amazonaws.com",
    "eventName": "CreateAccessKey",
    "awsRegion": "us-east-1",
    "sourceIPAddress": "203.0.113.7",
    "userIdentity": {"type": "Root", "arn": "arn:aws:iam::999999999999:root"},
    "requestParameters": None,
    "recipientAccountId": "999999999999",
    "eventID": "f" * 32,
}
"""The root user got an access key: CRITICAL."""


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        return anyio.run(
            lambda: burst(Path(home), incidents=INCIDENTS, seconds=SECONDS), backend_options={"use_uvloop": True}
        )
