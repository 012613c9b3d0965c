"""`aegis` on a clock that is ahead: run as `later.py MINUTES ARGUMENTS...`.

A lease that a killed process left runs for a minute; whoever starts "two minutes later" need not wait for its end.
"""

import sys
from datetime import datetime, timedelta

from aegis.app import Machine
from aegis.app.system import SystemClock
from aegis.cli.main import root
from aegis.cli.session import Session


class LaterClock(SystemClock):
    """The machine's clock, ahead by a fixed span."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return super().now() + self._ahead


if __name__ == "__main__":
    clock = LaterClock(timedelta(minutes=int(sys.argv[1])))
    root(sys.argv[2:], prog_name="aegis", obj=Session(machine=Machine(clock=clock)))
