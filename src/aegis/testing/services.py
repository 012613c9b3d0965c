"""Outside services that follow a script and remember what they were told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aegis.core.errors import Refused, ServiceError
from aegis.core.notifications import MetricPoint, Notification, Receipt
from aegis.core.ports import HttpAnswer, HttpRequest
from aegis.core.telemetry import Happened


class ScriptedHttp:
    """The port `Http`: gives the answers of its script in order, an error by raising it, and keeps the requests.

    More requests than answers fail the test.
    """

    def __init__(self, *script: HttpAnswer | ServiceError) -> None:
        self._script = list(script)
        self.requests: list[HttpRequest] = []

    @staticmethod
    def answer(status: int, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """An answer in short."""
        return HttpAnswer(status=status, headers=headers or {}, body=body)

    def then(self, *script: HttpAnswer | ServiceError) -> None:
        """Go on with these."""
        self._script += script

    async def send(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        assert self._script, f"request {len(self.requests)} to {request.service} is not in the script"
        next_one = self._script.pop(0)
        if isinstance(next_one, ServiceError):
            raise next_one
        return next_one


class FakeNotifier:
    """The port `Notifier`: follows its script, then takes everything. `told` and `remote_ids` keep what came."""

    def __init__(self, name: str, script: Iterable[Receipt | ServiceError] = ()) -> None:
        self.name = name
        self._script = list(script)
        self.told: list[Notification] = []
        self.remote_ids: list[str] = []
        self.taken: list[Notification] = []

    def then(self, *script: Receipt | ServiceError) -> None:
        """Go on with these."""
        self._script += script

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:
        self.told.append(notification)
        self.remote_ids.append(remote_id)
        next_one = self._script.pop(0) if self._script else Receipt()
        if isinstance(next_one, ServiceError):
            raise next_one
        self.taken.append(notification)
        return next_one


class FakeMessenger:
    """The port `Messenger`: follows its script, then takes everything. `told` keeps recipient, notification, bridge."""

    def __init__(self, name: str = "sms", script: Iterable[Receipt | ServiceError | Refused] = ()) -> None:
        self.name = name
        self._script = list(script)
        self.told: list[tuple[str, Notification, str]] = []

    def accepts(self, to: str) -> bool:
        return "@" in to if self.name == "email" else to.startswith("+")

    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt:
        self.told.append((to, notification, bridge))
        next_one = self._script.pop(0) if self._script else Receipt()
        if isinstance(next_one, ServiceError | Refused):
            raise next_one
        return next_one


class FakeSink:
    """The port `MetricSink`: follows its script of errors (None: take it), then takes everything."""

    def __init__(self, name: str = "datadog", script: Iterable[ServiceError | None] = ()) -> None:
        self.name = name
        self._script = list(script)
        self.pushed: list[Sequence[MetricPoint]] = []

    async def push(self, points: Sequence[MetricPoint]) -> None:
        error = self._script.pop(0) if self._script else None
        if error is not None:
            raise error
        self.pushed.append(tuple(points))


class Recorder:
    """An observer that keeps what happened."""

    def __init__(self) -> None:
        self.happened: list[Happened] = []

    def __call__(self, happened: Happened) -> None:
        self.happened.append(happened)
