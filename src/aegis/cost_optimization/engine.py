"""What all parts of the cost optimiser stand on: one governor on its own portal, with the quotas as budgets.

Policy: nothing is opened before the first use. The quotas, the throttle and the money are the governor's; this file
only says what they are, and keeps the last alerts for people.
"""

from __future__ import annotations

import atexit
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, TypeVarTuple

from aegis.app.system import SystemClock, random_ids
from aegis.config.home import make_state_folder, state_folder
from aegis.core.budgets import Amounts, Budget
from aegis.core.calls import Call, Priority, Usage
from aegis.core.errors import ConfigError
from aegis.core.money import USD, usd
from aegis.core.ports import Clock
from aegis.core.prices import MILLION, Price, PriceBook, free
from aegis.core.telemetry import Happened, LevelCrossed
from aegis.core.windows import WindowPolicy
from aegis.cost_optimization.models import GB, FreeTierLimits, ServiceType, ThrottlingConfig
from aegis.governor.policies import ServicePolicy
from aegis.governor.pricing import load_prices
from aegis.sync import SyncGovernor, open_governor
from aegis.transport.aws import Aws

T = TypeVar("T")
Args = TypeVarTuple("Args")

MEMORY = ":memory:"
FILE = "cost_optimization.db"
PURPOSE = "cost_optimization"
"""The scope of every call made here: an emergency of the optimiser stops its own calls and nobody else's."""
FUNCTION = "function"
"""The model name of a function that somebody else wrote: what it spends it has to account for itself."""
ALERTS_MAX = 100
WAIT_MS = 60_000
"""How long a throttled call waits for its turn: six of the longest delays."""

S3_RATES: Mapping[str, str] = {"get_requests": "0.40", "put_requests": "5.00"}
"""USD per million requests (aws.amazon.com/s3/pricing, us-east-1, S3 Standard)."""
S3_STORAGE_PER_MILLION = -(-usd("0.023") * MILLION // GB)
"""0.023 USD per GB-month (same page), for a million bytes kept a month, rounded up."""


class Engine:
    """One governor for one set of AWS clients. `home` is a folder, or `":memory:"`; None is Aegis' own state folder."""

    def __init__(
        self,
        clients: Mapping[str, Any],
        *,
        limits: FreeTierLimits | None = None,
        throttling: ThrottlingConfig | None = None,
        home: str | Path | None = None,
        prices: PriceBook | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.clients, self.limits = clients, limits or FreeTierLimits()
        self.throttling = throttling or ThrottlingConfig()
        self.clock = clock or SystemClock()
        self.aws = Aws()
        self.alerts: deque[LevelCrossed] = deque(maxlen=ALERTS_MAX)
        self.watch: list[Callable[[Happened], None]] = [self._notice]
        self._budgets = tuple(quotas(self.limits, self.throttling))
        self._home, self._prices = home, prices
        self._new_id = random_ids(self.clock)
        self._opened: SyncGovernor | None = None
        self._stack = ExitStack()
        self._lock = Lock()

    @property
    def governor(self) -> SyncGovernor:
        """The governor, opened at the first use. Raises `ConfigError` and `StoreError`."""
        with self._lock:
            if self._opened is None:
                folder = self._folder()
                self._opened = self._stack.enter_context(self._open(folder))
                atexit.register(self._at_exit)
            return self._opened

    def configure(self, throttling: ThrottlingConfig) -> None:
        """Use another throttling, before the first use."""
        if throttling == self.throttling:
            return
        if self._opened is not None:
            raise ConfigError("throttling is set before the first call: pass it to the first part that you make")
        self.throttling = throttling
        self._budgets = tuple(quotas(self.limits, throttling))

    def close(self) -> None:
        """Report everything and close the store; using it again opens it again."""
        with self._lock:
            self._opened = None
            self._stack.close()
        atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        # The interpreter starts no threads any more, so the store cannot say goodbye; by then everything is reported.
        with suppress(RuntimeError):
            self.close()

    def call(
        self,
        service: str,
        operation: str,
        worst: Usage,
        *,
        models: tuple[str, ...] = (),
        priority: Priority = Priority.MEDIUM,
        wait_ms: int = WAIT_MS,
    ) -> Call:
        """A call as this face makes it."""
        return Call(
            id=self._new_id("call"),
            service=service,
            operation=operation,
            worst=worst,
            models=models,
            scope={"purpose": PURPOSE},
            priority=priority,
            wait_ms=wait_ms,
        )

    def ask(self, work: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
        """Run on the governor's loop and wait."""
        return self.governor.run(work, *args)

    async def ask_async(self, work: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
        """Run on the governor's loop, from a loop of the caller's."""
        return await self.governor.run_async(work, *args)

    def _open(self, folder: Path | None) -> AbstractContextManager[SyncGovernor]:
        return open_governor(
            None if folder is None else folder / FILE,
            budgets=self._budgets,
            prices=with_prices(self._prices or load_prices(folder)),
            services={service.value: ServicePolicy(cache_ms=0) for service in ServiceType},
            observers=(self._observe,),
            clock=self.clock,
        )

    def _folder(self) -> Path | None:
        if self._home == MEMORY:
            return None
        return make_state_folder(state_folder(os.environ) if self._home is None else Path(self._home))

    def _observe(self, happened: Happened) -> None:
        for watcher in self.watch:
            watcher(happened)

    def _notice(self, happened: Happened) -> None:
        if isinstance(happened, LevelCrossed):
            self.alerts.append(happened)


def budget_name(service: ServiceType, meter: str) -> str:
    """The name of a quota's budget."""
    return f"quota {service} {meter}"


def quotas(limits: FreeTierLimits, throttling: ThrottlingConfig) -> Iterator[Budget]:
    """Each quota as a monthly budget on its meter: a warning where throttling begins, critical where it blocks."""
    curve = throttling.curve()
    for service, meters in limits.quotas().items():
        for meter, units in meters.items():
            amounts = Amounts(
                window=WindowPolicy(kind="month"),
                warning=units * curve.light // 100,
                critical=units * curve.block // 100,
                emergency=units,
            )
            yield Budget(
                name=budget_name(service, meter),
                windows=(amounts,),
                scope={"service": service.value, "purpose": PURPOSE},
                unit=meter,
                throttle=curve,
            )


def with_prices(book: PriceBook) -> PriceBook:
    """The price book with what this face adds: S3, and functions that count for nothing by themselves."""
    rates = {meter: ((0, usd(dollars)),) for meter, dollars in S3_RATES.items()}
    storage = {"stored_bytes": ((0, S3_STORAGE_PER_MILLION),)}
    s3 = Price(service="s3", model="", rates={**rates, **storage}, source="aws.amazon.com/s3/pricing")
    added = {("s3", ""): s3, ("bedrock", FUNCTION): free("bedrock", FUNCTION), ("freetier", ""): free("freetier")}
    return PriceBook(listed=book.listed, overrides={**added, **book.overrides})


def dollars(nanos: int) -> float:
    """An amount for screens and metrics; the exact one is in the ledger."""
    return nanos / USD
