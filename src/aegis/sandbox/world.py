"""The world outside, without its sockets: every service's memory, what it counted, and its faults.

One request goes: fault? -> the service checks, remembers and replies -> counted and journalled -> answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aegis.core.errors import BadInput, ConfigError
from aegis.core.money import usd
from aegis.core.ports import Clock
from aegis.sandbox.exchange import Asked, Reply, clip
from aegis.sandbox.faults import NOT_DONE, STATUS, Fault, Faults
from aegis.sandbox.journal import Journal
from aegis.sandbox.records import Record, Tally, secrets_of
from aegis.sandbox.registry import SERVICES
from aegis.sandbox.room import Document, Room, Terms
from aegis.sandbox.service import Service
from aegis.sandbox.services import bills

NOTED = ("prometheus",)
"""Services that are not spoken to over this HTTP: others count them with `World.note`."""


CHARGED_BY_AWS = ("bedrock", "athena")
ACCOUNTS = ("ce", "cloudwatch")
"""Where AWS tells what its services cost and how much of them was used."""


@dataclass(frozen=True, slots=True)
class Served:
    """A reply, and the fault that spoils its delivery (None: none)."""

    reply: Reply
    fault: Fault | None = None


class World:
    """All services. With `journal` (a path) it remembers over restarts; `close` ends that file.

    `clock` times requests and quotas; `terms` holds the price list and the quotas.
    """

    def __init__(self, *, clock: Clock, terms: Terms | None = None, journal: Path | None = None) -> None:
        self.clock = clock
        self._terms = terms or Terms()
        self._faults = Faults()
        self._start_empty()
        self._journal = Journal(journal) if journal else None
        if self._journal:
            try:
                for entry in self._journal.read():
                    self._replay(entry)
            except (KeyError, TypeError, ValueError) as error:
                raise ConfigError(f"{journal} is no journal of a sandbox") from error

    def _start_empty(self) -> None:
        self._tallies = {name: Tally() for name in (*SERVICES, *NOTED)}
        self._rooms = {name: Room(self._terms) for name in SERVICES}

    # --- requests ----------------------------------------------------------------------------------------------

    def receive(self, name: str, asked: Asked) -> Served:
        """Work one request to service `name` (one of `SERVICES`)."""
        service, fault = SERVICES[name], self._faults.take(name)
        if fault is not None and fault.mode in NOT_DONE:
            reply = service.failure(STATUS.get(fault.mode, 500), fault.retry_after_s)
        else:
            reply = service.answer(asked, self._rooms[name])
        self._keep(service, asked, reply, fault)
        return Served(reply, fault)

    def _keep(self, service: Service, asked: Asked, reply: Reply, fault: Fault | None) -> None:
        tally, word = self._tallies[service.name], fault.mode.value if fault else ""
        secrets = secrets_of(asked, service.secrets(asked))
        record = Record.of(asked, reply, number=tally.number + 1, fault=word, secrets=secrets)
        changes = self._rooms[service.name].take_changes()
        tally.add(record, reply.usage)
        self._write({"service": service.name, "record": record, "usage": reply.usage, "changes": changes})
        for account in ACCOUNTS if service.name in CHARGED_BY_AWS and reply.usage else ():
            bills.keep(self._rooms[account], asked, service.name, reply.billed, reply.usage)
            self._write({"service": account, "changes": self._rooms[account].take_changes()})

    def note(self, name: str, line: str) -> None:
        """Count something that a service got in another way (a scrape)."""
        self._tallies[name].add_noted(clip(line))
        self._write({"service": name, "noted": clip(line)})

    # --- memory ------------------------------------------------------------------------------------------------

    def _write(self, entry: dict[str, Any]) -> None:
        if self._journal and self._journal.append(entry):
            self._journal.rewrite(self._snapshot())

    def _snapshot(self) -> Iterator[dict[str, Any]]:
        """Everything that is remembered, as journal entries."""
        for name, tally in self._tallies.items():
            kept = {**tally.to_json(), "records": list(tally.records)}
            yield {"service": name, "tally": kept}
        for name, room in self._rooms.items():
            for change in room.all_documents():
                yield {"service": name, "changes": [change]}

    def _replay(self, entry: Mapping[str, Any]) -> None:
        name = entry.get("service")
        if name not in self._tallies:
            return
        if "tally" in entry:
            kept = dict(entry["tally"])
            records, billed = kept.pop("records"), usd(kept.pop("billed_usd"))
            self._tallies[name] = Tally(**kept, billed=billed)
            self._tallies[name].records.extend(Record(**record) for record in records)
        elif "record" in entry:
            self._tallies[name].add(Record(**entry["record"]), entry["usage"])
        elif "noted" in entry:
            self._tallies[name].add_noted(entry["noted"])
        for kind, key, document in entry.get("changes", ()):
            self._rooms[name].apply((kind, key, document))

    def own(self) -> None:
        """Make the journal this process's own, before the first request needs it. Raises `ConfigError` when a running
        sandbox has it; a world that only reads never does this.
        """
        if self._journal:
            self._journal.own()

    def reset(self) -> None:
        """Forget everything, faults too."""
        self._faults.clear()
        self._start_empty()
        if self._journal:
            self._journal.rewrite(())

    def close(self) -> None:
        """End the journal; nothing may be received afterwards."""
        if self._journal:
            self._journal.close()
            self._journal = None

    # --- faults ------------------------------------------------------------------------------------------------

    def fault(
        self,
        name: str,
        mode: str,
        *,
        count: int | None = None,
        retry_after_s: int | None = None,
        delay_ms: int | None = None,
        after: int = 0,
    ) -> None:
        """Let a service (or `all`) fail for the next `count` requests, or until changed, once `after` requests have
        passed. Raises `BadInput`.
        """
        wish = {
            "mode": mode,
            "count": count,
            "retry_after_s": retry_after_s,
            "delay_ms": delay_ms,
            "after": after,
        }
        self.put_fault(name, Fault.parse(wish))

    def put_fault(self, name: str, fault: Fault) -> None:
        if name != "all" and name not in SERVICES:
            raise BadInput(f"{clip(name, 40)} is no service of the sandbox", code="no_such_service")
        for service in SERVICES if name == "all" else (name,):
            self._faults.put(service, fault)

    def faults(self) -> Mapping[str, Fault]:
        return self._faults.all()

    # --- what it knows -----------------------------------------------------------------------------------------

    def received(self, name: str) -> Tally:
        """What a service counted. Raises `BadInput` for an unknown name."""
        if name not in self._tallies:
            raise BadInput(f"{clip(name, 40)} is no service of the sandbox", code="no_such_service")
        return self._tallies[name]

    def tallies(self) -> Mapping[str, Tally]:
        return dict(self._tallies)

    def documents(self, name: str, kind: str) -> Sequence[Document]:
        """What a service remembers of a kind (`pagerduty`, `incident`), oldest first."""
        return list(self._rooms[name].every(kind).values())
