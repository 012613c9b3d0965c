"""boto3's Athena client, governed: a query is held when it starts and settled when its end is seen.

Athena bills a query at its end, and the caller looks for that end itself. A query whose end nobody looked at counts
at what was held, once the client is closed or too many are open.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from threading import Lock
from typing import Any, Final

from aegis.core.calls import Usage
from aegis.core.errors import ServiceError, UnknownPrice
from aegis.governor.reservation import Reservation
from aegis.library.athena_bill import ENDED, billed_bytes, hold, state
from aegis.library.faces import Terms, Translated, Untranslated, settle
from aegis.library.operations import Bounded, Operation

OPEN_MAX: Final = 1_000
"""Queries whose end is awaited; the oldest beyond counts at what was held."""
_START = Operation(
    name="StartQueryExecution",
    bound=lambda request, _: Bounded(request=request, model="", worst={}),
    usage=lambda _: None,
)
_FREE = ("get_", "list_", "batch_get_", "stop_query_execution", "can_paginate", "meta", "exceptions")


class AthenaFace:
    """Stands before an Athena client."""

    def __init__(self, client: Any, terms: Terms, *, open_max: int = OPEN_MAX) -> None:
        self._client, self._terms, self._open_max = client, terms, open_max
        self._open: OrderedDict[str, tuple[ExitStack, Reservation]] = OrderedDict()
        self._holds: dict[str, int] = {}
        self._lock = Lock()

    def start_query_execution(self, **request: Any) -> Any:
        """Starts a query when the governor admits it. Raises `Refused`."""
        worst: Usage = {"bytes_scanned": self._hold(request.get("WorkGroup", "primary"))}
        bounded = Bounded(request=request, model="", worst=worst)
        with ExitStack() as stack:
            stack.enter_context(Untranslated())
            reservation = stack.enter_context(self._terms.governor.admit(self._terms.call("athena", _START, bounded)))
            stack.enter_context(Translated("athena"))
            answer = self._client.start_query_execution(**request)
            with self._lock:
                self._open[answer["QueryExecutionId"]] = (stack.pop_all(), reservation)
        while len(self._open) > self._open_max:
            self._end(next(iter(self._open)), None)
        return answer

    def get_query_execution(self, **request: Any) -> Any:
        """The client's answer; a query seen at its end is settled."""
        answer = self._client.get_query_execution(**request)
        execution = answer.get("QueryExecution", {})
        if state(execution) in ENDED:
            self._end(request.get("QueryExecutionId", ""), {"bytes_scanned": billed_bytes(execution)})
        return answer

    def close(self) -> None:
        """Count what is still open at what was held, and close the client."""
        while self._open:
            self._end(next(iter(self._open)), None)
        self._client.close()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name.startswith(_FREE):
            return found
        return _refusing(name)

    def _end(self, query: str, usage: Usage | None) -> None:
        with self._lock:
            stack, reservation = self._open.pop(query, (ExitStack(), None))
        if reservation is not None:
            settle(reservation, usage)
        stack.close()

    def _hold(self, workgroup: str) -> int:
        if workgroup not in self._holds:
            answer: Mapping[str, Any] = {}
            with suppress(ServiceError), Translated("athena"):  # it may not be ours to read
                answer = self._client.get_work_group(WorkGroup=workgroup)
            self._holds[workgroup] = hold(answer)
        return self._holds[workgroup]


def _refusing(name: str) -> Callable[..., Any]:
    def refused(**_request: Any) -> Any:
        raise UnknownPrice(f"athena: {name} is not governed, so nobody can say beforehand what it may cost")

    return refused
