"""A record that escalates, on a store in memory, with six people and a chain of three steps."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tests.incidents.stage import Ids, detection

from aegis.core.contacts import Contact
from aegis.core.escalations import Chain, Roster, Step
from aegis.core.incidents import Incident, Observable, Severity
from aegis.core.matching import Condition, Matcher, parse_matcher
from aegis.core.notifications import Delivery
from aegis.core.silences import Inhibition, Silence
from aegis.incidents.desk import Desk
from aegis.incidents.escalation import Watch
from aegis.incidents.grouping import Grouping
from aegis.incidents.people import with_people
from aegis.incidents.record import Record
from aegis.incidents.routing import deliveries
from aegis.incidents.telling import Telling
from aegis.testing import FakeClock, FakeMessenger, FakeNotifier, MemoryStore, Recorder

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SERVICES = ("slack", "pagerduty", "splunk")

LEAD = Contact(name="lead", addresses={"email": "lead@example.com", "sms": "+15550101"}, roles=frozenset({"lead"}))
BOSS = Contact(name="boss", addresses={"sms": "+15550102", "phone": "+15550102"}, roles=frozenset({"manager"}))
CTO = Contact(name="cto", addresses={"email": "cto@example.com", "phone": "+15550104"}, tier="secondary")
CONTACTS = {one.name: one for one in (LEAD, BOSS, CTO)}

WAIT = timedelta(minutes=15)
CRITICAL = Chain(
    name="critical",
    when=Condition(severities=frozenset({Severity.HIGH, Severity.CRITICAL})),
    steps=(
        Step(to=("lead",), by=("email",), wait=WAIT),
        Step(to=("manager",), by=("sms",), wait=WAIT),
        Step(to=("everyone",), by=("email", "sms", "phone"), wait=WAIT, bridge=True),
    ),
)
ROSTER = Roster(contacts=CONTACTS, chains=(CRITICAL,), bridge="+15550199")


class Book:
    """The silences of record, in memory."""

    def __init__(self) -> None:
        self.known: dict[str, Silence] = {}

    async def in_force(self, now: datetime) -> Sequence[Silence]:
        return [one for one in self.known.values() if one.over_at > now]


def silence(*matchers: str, minutes: int = 60, begins: int = 0, critical_passes: bool = False) -> Silence:
    return Silence(
        id=f"sil_{'-'.join(matchers)}",
        matchers=tuple(parse_matcher(text) for text in matchers),
        owner="ops",
        reason="deploy",
        created_at=NOON,
        starts_at=NOON + timedelta(minutes=begins),
        ends_at=NOON + timedelta(minutes=begins + minutes),
        critical_passes=critical_passes,
    )


class Callout:
    """Everything between a detection and the people who are told."""

    def __init__(
        self, store: MemoryStore | None = None, *, now: datetime = NOON, inhibitions: Sequence[Inhibition] = ()
    ) -> None:
        self.clock, self.book, self.seen = FakeClock(now), Book(), Recorder()
        self.store = store or MemoryStore()
        self.messengers = {name: FakeMessenger(name) for name in ("email", "sms", "phone")}
        self.notifiers = [FakeNotifier(name) for name in SERVICES]
        self.lanes = with_people(self.notifiers, self.messengers, CONTACTS)
        self.telling = Telling(roster=ROSTER, inhibitions=inhibitions)
        self.record = Record(
            grouping=Grouping(new_id=Ids()),
            store=self.store.incidents,
            plan=self._plan,
            clock=self.clock,
            observe=self.seen,
            telling=self.telling,
        )
        self.desk = Desk(self.record, clock=self.clock)
        self.watch = Watch(
            record=self.record,
            telling=self.telling,
            silences=self.book,
            unsent=self.store.outbox,
            clock=self.clock,
        )

    def _plan(self, incident: Incident, change: object, *, now: datetime) -> tuple[Delivery, ...]:
        return deliveries(
            incident,
            change,  # type: ignore[arg-type]
            services=SERVICES,
            now=now,
            link_base="https://aegis.example",
            bridge=ROSTER.bridge,
        )

    async def opens(
        self, *, severity: Severity = Severity.HIGH, host: str = "web-1", rule: str = "ssh-brute-force"
    ) -> str:
        """An incident about a host; its id."""
        about = Observable("host", host)
        made = detection(rule, severity=severity, entity=about, at=self.clock.now())
        return (await self.record.fold([made])).incidents[0].id

    async def after(self, minutes: int) -> None:
        """Time goes by, and is looked at every minute."""
        for _ in range(minutes):
            self.clock.pass_ms(60_000)
            await self.watch.turn()

    async def send(self) -> None:
        """Send everything that is due, once."""
        for lane in self.lanes:
            now = self.clock.now()
            for one in await self.store.outbox.claim(lane.name, limit=100, now=now, lease_ms=1_000):
                receipt = await lane.notify(one.notification, remote_id=one.remote_id)
                await self.store.outbox.done(one, receipt, now=now)

    def queued(self, incident_id: str, *, alone: bool) -> list[tuple[str, str, str]]:
        """(service, change, state) of what was queued, to single people or to everybody, in order."""
        return [
            (one.notification.recipient or one.service, one.notification.change, one.state.value)
            for one in self.store.outbox.known.values()
            if one.incident_id == incident_id and bool(one.notification.recipient) is alone
        ]

    async def incident(self, incident_id: str) -> Incident:
        found = await self.store.incidents.get(incident_id)
        assert found is not None
        return found

    def told(self, channel: str) -> list[str]:
        """The addresses that were told by a channel, in order."""
        return [to for to, _, _ in self.messengers[channel].told]


def matchers(*texts: str) -> tuple[Matcher, ...]:
    return tuple(parse_matcher(text) for text in texts)
