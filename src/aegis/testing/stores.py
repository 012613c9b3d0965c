"""The stores of the incident path in memory: the same promises as the real ones, proven by the same tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from aegis.core.deliveries import (
    ALONE,
    carry_on,
    in_place,
    is_for_the_unaware,
    is_held_back,
    is_page,
    place_of,
    rank,
    stand_in_mark,
)
from aegis.core.errors import StoreError
from aegis.core.incidents import Event, Incident, Status
from aegis.core.notifications import Delivery, DeliveryState, Receipt
from aegis.core.ports import Work

READY, LEASED, DONE = DeliveryState.READY, DeliveryState.LEASED, DeliveryState.DONE
DEAD, SUPERSEDED = DeliveryState.DEAD, DeliveryState.SUPERSEDED


class MemoryEvents:
    """The port `Events`."""

    def __init__(self) -> None:
        self.known: dict[str, Event] = {}
        self.done: set[str] = set()

    async def accept(self, events: Sequence[Event]) -> int:
        before = len(self.known)
        for event in events:
            self.known.setdefault(event.id, event)
        return len(self.known) - before

    async def pending(self, limit: int) -> Sequence[Event]:
        return [event for event in self.known.values() if event.id not in self.done][:limit]

    async def worked_since(self, at: datetime, limit: int) -> Sequence[Event]:
        worked = [event for event in self.known.values() if event.id in self.done and event.at >= at]
        return sorted(worked, key=lambda event: event.at)[-limit:]


class MemoryIncidents:
    """The port `Incidents`."""

    def __init__(self, events: MemoryEvents, outbox: MemoryOutbox) -> None:
        self._events, self._outbox = events, outbox
        self.known: dict[str, Incident] = {}
        self.held: dict[str, int] = {}

    async def commit(self, work: Work) -> None:
        kept = dict(self.known)
        for incident in work.incidents:
            if incident.id in kept and kept[incident.id].version >= incident.version:
                raise StoreError(f"Incident {incident.id} was changed elsewhere: read it again, then change it")
            kept[incident.id] = incident
        self.known = kept
        self._events.done.update(work.events_done)
        for silence_id, more in work.held.items():
            self.held[silence_id] = self.held.get(silence_id, 0) + more
        for incident_id in work.withdrawn:
            self._outbox.withdraw(incident_id)
        for incident_id in work.hushed:
            self._outbox.hush(incident_id)
        for delivery in work.deliveries:
            if not is_for_the_unaware(delivery, self._outbox.reached(delivery.incident_id)):
                self._outbox.put(delivery)

    async def unresolved(self) -> Sequence[Incident]:
        return sorted((one for one in self.known.values() if one.status is not Status.RESOLVED), key=lambda i: i.id)

    async def get(self, incident_id: str) -> Incident | None:
        return self.known.get(incident_id)

    async def recent(self, limit: int) -> Sequence[Incident]:
        return sorted(self.known.values(), key=lambda one: (one.opened_at, one.id), reverse=True)[:limit]


class MemoryOutbox:
    """The port `Outbox`."""

    def __init__(self) -> None:
        self.known: dict[str, Delivery] = {}
        self._leases: dict[str, datetime] = {}
        self._ended: dict[str, datetime] = {}
        self._remotes: dict[tuple[str, str], tuple[int, str]] = {}

    def put(self, delivery: Delivery) -> None:
        """Put a delivery into its lane, in the place of older ones that wait; one that is known is left alone."""
        if delivery.id in self.known:
            return
        place = place_of(delivery)
        for older in self._others(delivery) if place.change not in ALONE else ():
            if older.notification.change in ALONE:
                continue
            if older.state is READY and older.notification.version < delivery.notification.version:
                self.known[older.id] = replace(older, state=SUPERSEDED)
                place = carry_on(place, place_of(older))
        self.known[delivery.id] = in_place(delivery, place)

    def withdraw(self, incident_id: str) -> None:
        """Take back what waits for single people about an incident."""
        for one in list(self.known.values()):
            if one.incident_id == incident_id and one.notification.recipient and one.state is READY:
                self.known[one.id] = replace(one, state=SUPERSEDED)

    def reached(self, incident_id: str) -> Sequence[str]:
        """To whom something about an incident has left."""
        left = [one for one in self.known.values() if one.incident_id == incident_id and one.state in (LEASED, DONE)]
        return [one.notification.recipient for one in left if one.notification.recipient]

    def hush(self, incident_id: str) -> None:
        """Take back what waits about an incident, but for records and closing words."""
        for one in list(self.known.values()):
            waits = one.incident_id == incident_id and one.state is READY
            if waits and is_held_back(one.service, one.notification.change):
                self.known[one.id] = replace(one, state=SUPERSEDED)

    def _others(self, delivery: Delivery) -> list[Delivery]:
        """The other messages of the same incident to the same service, oldest first."""
        same = [one for one in self.known.values() if _about(one) == _about(delivery) and one.id != delivery.id]
        return sorted(same, key=lambda one: one.notification.version)

    async def claim(
        self, service: str, *, limit: int, now: datetime, lease_ms: int, fresh: bool = False
    ) -> Sequence[Delivery]:
        lane = [one for one in self.known.values() if one.service == service]
        for one in lane:
            if one.state is LEASED and self._leases[one.id] <= now:
                self._wait(replace(one, state=READY, doubtful=True))
        lane = [one for one in self.known.values() if one.service == service]
        busy = {_about(one) for one in lane if one.state is LEASED}
        due = [one for one in lane if one.state is READY and one.due_at <= now and _about(one) not in busy]
        due = [one for one in due if not (fresh and (one.notification.recipient or self._remote(one)))]
        due.sort(key=lambda one: (-rank(one.priority, now - one.created_at), one.created_at, one.id))
        claimed = [
            replace(one, state=LEASED, attempts=one.attempts + 1, remote_id=self._remote(one)) for one in due[:limit]
        ]
        for one in claimed:
            self.known[one.id] = one
            self._leases[one.id] = now + timedelta(milliseconds=lease_ms)
        return claimed

    def _wait(self, delivery: Delivery) -> None:
        """Put a delivery back, unless a newer one waits: then that one goes in its place."""
        newer = [
            one
            for one in self._others(delivery)
            if one.state is READY
            and one.notification.version > delivery.notification.version
            and not ALONE & {one.notification.change, delivery.notification.change}
        ]
        if newer:
            self.known[delivery.id] = replace(delivery, state=SUPERSEDED)
            self.known[newer[-1].id] = in_place(newer[-1], carry_on(place_of(newer[-1]), place_of(delivery)))
        else:
            self.known[delivery.id] = delivery

    def _remote(self, delivery: Delivery) -> str:
        if delivery.notification.recipient:
            return ""
        return self._remotes.get((delivery.incident_id, delivery.service), (0, ""))[1]

    async def due(self, service: str, *, now: datetime, most: int) -> int:
        lane = [one for one in self.known.values() if one.service == service and one.state is READY]
        return min(most, sum(one.due_at <= now for one in lane))

    async def unheard(self, service: str, *, to: str, before: datetime, limit: int) -> Sequence[Delivery]:
        found = [
            one
            for one in self.known.values()
            if one.service == service
            and one.state in (READY, LEASED, DEAD)
            and one.created_at < before
            and is_page(one)
            and one.id + stand_in_mark(to) not in self.known
        ]
        return sorted(found, key=lambda one: (one.created_at, one.id))[:limit]

    async def place(self, deliveries: Sequence[Delivery]) -> None:
        for one in deliveries:
            self.put(one)

    async def next_due(self, service: str) -> datetime | None:
        lane = [one for one in self.known.values() if one.service == service]
        times = [one.due_at for one in lane if one.state is READY]
        return min(times + [self._leases[one.id] for one in lane if one.state is LEASED], default=None)

    async def done(self, delivery: Delivery, receipt: Receipt, *, now: datetime) -> None:
        if delivery.id in self.known:
            self._end(replace(self.known[delivery.id], state=DONE, last_error=""), now)
        key, version = (delivery.incident_id, delivery.service), delivery.notification.version
        if receipt.remote_id and not delivery.notification.recipient and version >= self._remotes.get(key, (0, ""))[0]:
            self._remotes[key] = (version, receipt.remote_id)

    def _end(self, delivery: Delivery, now: datetime) -> None:
        self.known[delivery.id] = delivery
        self._ended[delivery.id] = now

    def _held(self, delivery: Delivery) -> Delivery | None:
        """The delivery as it stands, while the caller's attempt is the newest."""
        found = self.known.get(delivery.id)
        return found if found and found.state is LEASED and found.attempts == delivery.attempts else None

    async def retry(self, delivery: Delivery, *, due_at: datetime, error: str, doubtful: bool = False) -> None:
        if held := self._held(delivery):
            doubt = held.doubtful or doubtful
            self._wait(replace(held, state=READY, due_at=due_at, last_error=error, doubtful=doubt))

    async def bury(self, delivery: Delivery, *, error: str, now: datetime, doubtful: bool = False) -> None:
        if held := self._held(delivery):
            self._end(replace(held, state=DEAD, last_error=error, doubtful=held.doubtful or doubtful), now)

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        counted: dict[str, dict[str, int]] = {}
        for one in self.known.values():
            states = counted.setdefault(one.service, {})
            states[one.state.value] = states.get(one.state.value, 0) + 1
        return counted

    async def dead(self, limit: int) -> Sequence[Delivery]:
        letters = [replace(one, remote_id=self._remote(one)) for one in self.known.values() if one.state is DEAD]
        return sorted(letters, key=lambda one: (self._ended[one.id], one.id), reverse=True)[:limit]

    async def of_incident(self, incident_id: str) -> Sequence[Delivery]:
        found = [replace(one, remote_id=self._remote(one)) for one in self.known.values()]
        same = [one for one in found if one.incident_id == incident_id]
        return sorted(same, key=lambda one: (one.notification.version, one.service))

    async def replay(self, delivery_id: str, *, now: datetime) -> bool:
        found = self.known.get(delivery_id)
        if found is None or found.state is not DEAD:
            return False
        if any(
            one.notification.version > found.notification.version and one.state in (READY, LEASED, DONE)
            for one in self._others(found)
        ):
            self._end(replace(found, state=SUPERSEDED), now)
            return False
        self.known[delivery_id] = replace(found, state=READY, attempts=0, created_at=now, due_at=now)
        return True

    async def drop(self, delivery_id: str) -> bool:
        found = self.known.get(delivery_id)
        if found is None or found.state is not DEAD:
            return False
        del self.known[delivery_id]
        return True

    async def waiting(self, limit: int) -> Sequence[str]:
        return sorted({one.incident_id for one in self.known.values() if one.state is READY})[:limit]

    async def undelivered(self) -> int:
        return sum(one.state in (READY, LEASED) for one in self.known.values())


def _about(delivery: Delivery) -> tuple[str, str, str]:
    """What a newer delivery has in common with one that it overtakes."""
    return delivery.incident_id, delivery.service, delivery.notification.recipient


class MemoryStore:
    """All three over one state, as they are wired in an application."""

    def __init__(self) -> None:
        self.events = MemoryEvents()
        self.outbox = MemoryOutbox()
        self.incidents = MemoryIncidents(self.events, self.outbox)
