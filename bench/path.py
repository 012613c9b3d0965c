"""The incident path: event received to deliveries queued and first page sent, with the sandbox answering on loopback."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio

from aegis.app import open_app
from aegis.app.opening import Machine
from aegis.app.system import SystemClock
from aegis.core.incidents import Severity
from aegis.core.telemetry import DeliveryEnded, Happened, IncidentChanged
from aegis.incidents.lane import RULES, LaneRule
from aegis.rehearsal.sandboxed import SandboxKeys, sandbox_config
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from bench._figures import percentile

UNPACED = Machine(lane_rules={name: LaneRule() for name in RULES})
"""The sandbox takes a message whenever it comes; a real channel takes one a second, which says nothing about Aegis."""
EVENTS = 120
"""Distinct incidents, one after the other: each is received, queued and paged before the next."""


class Watch:
    """Notes when an incident was queued and when its first page and chat message were sent."""

    def __init__(self) -> None:
        self.queued_ns: dict[str, int] = {}
        self.sent_ns: dict[tuple[str, str], int] = {}
        self.newest = ""

    def __call__(self, happened: Happened) -> None:
        match happened:
            case IncidentChanged(change="opened", incident=incident) if incident.severity >= Severity.HIGH:
                self.queued_ns[incident.id] = time.perf_counter_ns()
                self.newest = incident.id
            case DeliveryEnded(outcome="done"):
                self.sent_ns.setdefault((happened.incident_id, happened.service), time.perf_counter_ns())


def attack(number: int) -> bytes:
    """A CloudTrail record that opens a HIGH incident of its own: logging stopped by somebody new."""
    user = f"user-{number}"
    record = {
        "eventVersion": "1.09",
        "eventTime": "2026-03-03T10:00:00Z",
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": f"203.0.113.{number % 250 + 1}",
        "userIdentity": {"type": "IAMUser", "userName": user, "arn": f"arn:aws:iam::{number:012d}:user/{user}"},
        "requestParameters": {"name": f"trail-{number}"},
        "recipientAccountId": f"{number:012d}",
        "eventID": f"{number:032x}",
    }
    return json.dumps(record).encode()


async def measure(home: Path) -> dict[str, Any]:
    clock, watch = SystemClock(), Watch()
    queued, page, chat = [], [], []
    world = World(clock=clock)
    async with (
        serve(world) as sandbox,
        open_app(
            sandbox_config(sandbox), home=home, machine=UNPACED, resolve=SandboxKeys(sandbox), observers=(watch,)
        ) as app,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(app.run)
        for number in range(EVENTS):
            watch.newest = ""
            began = time.perf_counter_ns()
            await app.take(attack(number), source="bench")
            while not watch.newest or any((watch.newest, told) not in watch.sent_ns for told in ("pagerduty", "teams")):
                await anyio.sleep(0.0005)
            await anyio.sleep(0.02)
            incident = watch.newest
            queued.append(watch.queued_ns[incident] - began)
            page.append(watch.sent_ns[incident, "pagerduty"] - began)
            chat.append(watch.sent_ns[incident, "teams"] - began)
        tasks.cancel_scope.cancel()
    return {
        "incidents": EVENTS,
        "received_to_queued_ms": percentile(queued),
        "received_to_page_sent_ms": percentile(page),
        "received_to_chat_sent_ms": percentile(chat),
        "goal": "queued p95 <= 80 ms, first page and chat sent p95 <= 150 ms",
    }


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        return anyio.run(measure, Path(home), backend_options={"use_uvloop": True})
