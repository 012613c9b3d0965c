"""Histories in one exact order: what a random one meets too seldom, and what a fault was once found by."""

from __future__ import annotations

from tests.governor.deeds import MIDNIGHT_SOON, NOON, Deed, Scale

ALL = 67
"""The part with which `settle` charges the whole need."""
HOUR, LEASE_RENEWED, LEASE_LOST = 6, 4, 5
DAY_ONLY, ALL_MONEY = 0, 1
WIDE = Scale(limit=400, need_max=150, start=NOON, excess=True)
NARROW = Scale(limit=8, need_max=4, start=NOON)


def admit(which: int, need: int, route: int = DAY_ONLY) -> Deed:
    return Deed("admit", which, need, route)


def settle(which: int, part: int = ALL) -> Deed:
    return Deed("settle", which, part, 2 if part else 0)


def flush(which: int) -> Deed:
    return Deed("flush", which, 0, 0)


def wait(way: int) -> Deed:
    return Deed("wait", 0, 0, way)


def sleeps(which: int) -> Deed:
    """A process is replaced and wakes up later, still acting for its old epoch."""
    return Deed("crash", which, 0, 1)


ZOMBIE = 1
SCRIPTS: dict[str, tuple[Scale, list[Deed]]] = {
    "what is left of yesterday's allowance is not spent today": (
        Scale(limit=400, need_max=150, start=MIDNIGHT_SOON),
        [admit(0, 1), wait(LEASE_RENEWED), admit(0, 1)],
    ),
    "a zombie has allowance left and sends nothing": (
        WIDE,
        [admit(0, 1), sleeps(0), admit(0, 1), admit(ZOMBIE, 1), flush(ZOMBIE)],
    ),
    "a level of a rolling budget is told once until it is reset": (
        NARROW,
        [admit(0, 4, ALL_MONEY), settle(0), flush(0), admit(0, 1, ALL_MONEY), settle(0), flush(0)],
    ),
    "a call that shrank to nothing, was lost and took something after all": (
        WIDE,
        [
            *(admit(0, 10, ALL_MONEY), Deed("shrink", 0, 0, 0), flush(0), sleeps(0), admit(0, 1)),
            *(Deed("excess", 0, 20, 0), flush(ZOMBIE)),
        ],
    ),
    "a refund for a call of an hour ago leaves what others spent since": (
        NARROW,
        [
            *(admit(0, 4, ALL_MONEY), sleeps(0), admit(0, 1, ALL_MONEY), wait(HOUR), admit(2, 3, ALL_MONEY)),
            *(settle(2), flush(2), settle(0, 0), flush(ZOMBIE), wait(HOUR), *[wait(LEASE_LOST)] * 6),
            admit(2, 1, ALL_MONEY),
        ],
    ),
    "a call that shrank to nothing took something after all, and its window is over": (
        Scale(limit=400, need_max=150, start=MIDNIGHT_SOON, excess=True),
        [
            *(admit(0, 10), Deed("shrink", 0, 0, 0), flush(0), wait(LEASE_RENEWED), Deed("tick", 0, 0, 0)),
            *(Deed("excess", 0, 20, 0), flush(0)),
        ],
    ),
    "what a call freed of a quota is not used while a report is in doubt": (
        WIDE,
        [admit(0, 88, 2), settle(0, 0), Deed("fail", 0, 0, 1), flush(0), admit(0, 81, 3), settle(0), flush(0)],
    ),
    "what an ended call freed waits until the journal knows it": (
        NARROW,
        [admit(0, 4, ALL_MONEY), admit(0, 4, ALL_MONEY), settle(0, 0), admit(0, 4, ALL_MONEY)],
    ),
    "a stream that needs less frees it only with a report": (
        NARROW,
        [admit(0, 4), admit(0, 4), Deed("shrink", 0, 0, 0), admit(0, 4), flush(0), admit(0, 4)],
    ),
}
