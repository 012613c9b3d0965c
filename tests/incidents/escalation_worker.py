"""A process to be killed: it opens incidents and escalates each through three steps, to the service that plays on a port.

Run as `escalation_worker.py STORE PORT INCIDENTS CYCLE`. Its clock runs a hundred times faster than the wall's and begins
later in every cycle, so that steps half a minute apart and leases of a minute pass within a test.
"""

import asyncio
import json
import random
import sys
from datetime import timedelta
from functools import partial

import anyio
from tests.incidents.delivery_worker import FastClock
from tests.incidents.stage import detection

from aegis.core.contacts import Contact
from aegis.core.errors import Billed, ServiceError
from aegis.core.escalations import Chain, Roster, Step
from aegis.core.incidents import Observable
from aegis.core.matching import Condition
from aegis.core.notifications import Notification, Receipt
from aegis.incidents.delivery import Lanes, WakingIncidents
from aegis.incidents.escalation import Watch
from aegis.incidents.grouping import Grouping
from aegis.incidents.people import with_people
from aegis.incidents.record import Record
from aegis.incidents.routing import deliveries
from aegis.incidents.telling import Telling
from aegis.stores.database import Database
from aegis.stores.incidents import SqliteIncidents
from aegis.stores.outbox import SqliteOutbox
from aegis.stores.silences import SqliteSilences
from aegis.testing import START

NUMBER = "+15550101"
WAIT = timedelta(seconds=30)
PEOPLE = {
    "anna": Contact(name="anna", addresses={"email": "anna@example.com"}),
    "ben": Contact(name="ben", addresses={"sms": NUMBER}),
    "carl": Contact(name="carl", addresses={"phone": NUMBER}),
}
STEPS = (
    Step(to=("anna",), by=("email",), wait=WAIT),
    Step(to=("ben",), by=("sms",), wait=WAIT),
    Step(to=("carl",), by=("phone",), wait=WAIT),
)
ROSTER = Roster(contacts=PEOPLE, chains=(Chain(name="all", when=Condition(), steps=STEPS),))


class Wire:
    """The port `Messenger`, to the service on the port."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self._port = name, port

    def accepts(self, to: str) -> bool:
        return bool(to)

    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt:
        said: dict[str, object] = {
            "service": self.name,
            "incident": notification.incident_id,
            "key": notification.dedup_key,
        }
        said["again"] = notification.again
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(json.dumps(said).encode() + b"\n")
            answer = await reader.readline()
            writer.close()
        except OSError as error:
            raise ServiceError(self.name, "is away", retryable=True, billed=Billed.NO) from error
        if answer != b"taken\n":
            raise ServiceError(self.name, "refused", retryable=True, billed=Billed.UNKNOWN)
        return Receipt()


async def main(path: str, port: int, number: int, cycle: int) -> None:
    clock = FastClock(START + timedelta(minutes=2 * cycle))
    database = await Database.open(path)
    incidents, outbox = SqliteIncidents(database), SqliteOutbox(database)
    lanes = Lanes(
        outbox=outbox,
        notifiers=with_people((), {name: Wire(name, port) for name in ("email", "sms", "phone")}, PEOPLE),
        clock=clock,
        pick=random.Random(cycle).randint,
        observe=lambda _happened: None,
    )
    telling = Telling(roster=ROSTER)
    naming: list[int] = []
    record = Record(
        grouping=Grouping(new_id=lambda _prefix: f"inc-{naming.pop():05d}"),
        store=WakingIncidents(incidents, lanes),
        plan=partial(deliveries, services=()),
        clock=clock,
        observe=lambda _happened: None,
        telling=telling,
    )
    await record.restore()
    watch = Watch(
        record=record, telling=telling, silences=SqliteSilences(database), unsent=SqliteOutbox(database), clock=clock
    )
    async with anyio.create_task_group() as group:
        group.start_soon(lanes.run)
        for one in range(number):
            if await incidents.get(f"inc-{one:05d}") is None:
                naming.append(one)
                about = Observable("host", f"host-{one}")
                await record.fold([detection(entity=about, at=clock.now())])
            await watch.turn()
        while telling.due(START + timedelta(days=9)) or await outbox.undelivered():
            await watch.turn()
            await clock.sleep_ms(1_000)
        group.cancel_scope.cancel()
    await database.close()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
