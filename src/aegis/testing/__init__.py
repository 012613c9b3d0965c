"""The public test kit: a clock that stands still, ids that repeat, stores in memory, services that follow a script."""

from aegis.testing.clock import START, FakeClock, FixedIds, settle
from aegis.testing.services import FakeMessenger, FakeNotifier, FakeSink, Recorder, ScriptedHttp
from aegis.testing.stores import MemoryEvents, MemoryIncidents, MemoryOutbox, MemoryStore

__all__ = [
    "START",
    "FakeClock",
    "FakeMessenger",
    "FakeNotifier",
    "FakeSink",
    "FixedIds",
    "MemoryEvents",
    "MemoryIncidents",
    "MemoryOutbox",
    "MemoryStore",
    "Recorder",
    "ScriptedHttp",
    "settle",
]
