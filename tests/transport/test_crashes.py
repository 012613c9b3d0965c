"""Our own crashes, by Sentry's own SDK, as the sandbox takes them."""

from datetime import timedelta
from typing import Any

import anyio
import pytest
from tests.connectors.stories import CANARY, FixedClock

from aegis.core.errors import ConfigError
from aegis.core.secret import Secret
from aegis.core.telemetry import LoopFailed
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.testing import START
from aegis.transport.crashes import CrashReports, crash_event

pytestmark = pytest.mark.anyio

TRACE = (
    'Traceback (most recent call last):\n  File "/home/anna/aegis/incidents/lane.py", line 7, in send\n'
    f'    post("{CANARY}")\nValueError: {CANARY}\n'
)
FAILED = LoopFailed(at=START, loop="deliveries", message=f"ValueError: bad key sk-{CANARY}", trace=TRACE)


def test_a_report_says_where_and_nothing_that_was_worked_on() -> None:
    event = crash_event(FAILED)
    assert CANARY not in repr(event)
    assert "anna" not in repr(event)
    (crash,) = event["exception"]["values"]
    assert crash["type"] == "ValueError"
    assert crash["stacktrace"]["frames"] == [{"filename": "lane.py", "lineno": 7, "function": "send"}]


async def test_the_sdk_sends_a_crash_and_the_sandbox_takes_it() -> None:
    world = World(clock=FixedClock())
    async with serve(world) as at:
        reports = CrashReports(Secret(at.sentry_dsn(CANARY)), environment="test")
        reports(FAILED)
        await anyio.to_thread.run_sync(reports.close)
        tally = world.received("sentry")
    assert (tally.received, tally.rejected) == (1, 0)


class Sdk:
    """Keeps what it was asked to send."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def Client(self, **_options: object) -> "Sdk":  # noqa: N802 - the SDK's name
        return self

    def capture_event(self, event: object) -> None:
        self.sent.append(event)


def test_a_loop_that_fails_over_and_over_is_reported_now_and_then() -> None:
    sdk = Sdk()
    reports = CrashReports(Secret("https://k@sentry.example/1"), environment="test", load=lambda: sdk)
    for minute in range(21):
        reports(LoopFailed(at=START + timedelta(minutes=minute), loop="deliveries", message="ValueError: x"))
    assert len(sdk.sent) == 3


def test_without_the_library_the_start_says_what_to_install() -> None:
    def missing() -> Any:
        raise ConfigError("sentry: crashes needs its library")

    with pytest.raises(ConfigError):
        CrashReports(Secret("https://k@sentry.example/1"), environment="test", load=missing)
