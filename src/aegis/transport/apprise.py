"""Tells addresses of the Apprise library, the only place that knows it: in a worker thread, imported when it is needed.

Policy: the library opens its own connections, so it is asked for nothing but the addresses of the configuration; it logs
addresses, so its log is shut, and so are its HTTP client's requests; what it says about a failure is only that there was
one. It follows no redirect (an address may ask for that with `redirect=yes`): a channel's secret goes to its host alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Final

import anyio
import anyio.to_thread

from aegis.core.errors import Billed, ConfigError, ServiceError
from aegis.core.ports import Clock
from aegis.core.secret import Secret
from aegis.core.telemetry import Observer, ServiceAnswered

AT_ONCE: Final = 4
TOTAL_S: Final = 40
"""For one address; below the 45 s that a delivery may take. The thread itself ends by the library's own 4 s time-outs."""


def installed() -> Any:
    """The library. Raises `ConfigError` when it is missing."""
    try:
        return import_module("apprise")
    except ImportError as error:
        raise ConfigError("apprise needs its library; run: pip install 'aegis[apprise]'") from error


class AppriseLibrary:
    """The port `CatchAll`. `load` gives the library; with a clock, `observer` hears how each message went: the library
    tells no status, so it is 200 when it was taken and 0 when not.
    """

    def __init__(
        self,
        load: Callable[[], Any] = installed,
        *,
        clock: Clock | None = None,
        observer: Observer = lambda _happened: None,
    ) -> None:
        self._load, self._clock, self._observer = load, clock, observer
        self._threads = anyio.CapacityLimiter(AT_ONCE)

    def check(self, address: Secret) -> bool:
        return bool(self._open().Apprise().add(address.reveal()))

    async def tell(self, service: str, address: Secret, *, title: str, text: str, kind: str) -> None:
        """One message to one address. Raises `ServiceError`: nobody knows what it was told before it failed."""
        began_ns = self._clock.monotonic_ns() if self._clock else 0
        told: bool | None = False
        try:
            with anyio.fail_after(TOTAL_S):
                told = await anyio.to_thread.run_sync(
                    partial(self._tell, address, title, text, kind), limiter=self._threads, abandon_on_cancel=True
                )
        except TimeoutError:
            raise ServiceError(service, "did not answer in time", retryable=True, billed=Billed.UNKNOWN) from None
        finally:
            self._heard(service, 200 if told else 0, began_ns)
        if told is None:
            raise ServiceError(service, "an address is of no kind that the library knows", retryable=False)
        if not told:
            raise ServiceError(service, "an address did not take it", retryable=True, billed=Billed.UNKNOWN)

    def _heard(self, service: str, status: int, began_ns: int) -> None:
        if self._clock is not None:
            took_ms = (self._clock.monotonic_ns() - began_ns) // 1_000_000
            self._observer(ServiceAnswered(at=self._clock.now(), service=service, status=status, took_ms=took_ms))

    def _tell(self, address: Secret, title: str, text: str, kind: str) -> bool | None:
        library = self._open()
        one = library.Apprise(asset=library.AppriseAsset(http_redirects=False))
        if not one.add(address.reveal()):
            return None
        try:
            return bool(
                one.notify(title=title, body=text, notify_type=kind, body_format="text", interpret_escapes=False)
            )
        except Exception:  # noqa: BLE001 - a hundred plugins raise what they like, and their texts hold addresses
            return False

    def _open(self) -> Any:
        library = self._load()
        log = logging.getLogger("apprise")
        log.disabled, log.propagate = True, False
        requests = logging.getLogger("urllib3.connectionpool")
        requests.setLevel(max(requests.level, logging.INFO))  # below that it writes the path of each request
        return library
