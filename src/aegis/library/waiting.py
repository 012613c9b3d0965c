"""Governed calls of asynchronous clients: `library.blocking`, with awaits where that one blocks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from aegis.governor.reservation import Reservation
from aegis.library.faces import Terms, Translated, Untranslated, settle, shrink
from aegis.library.operations import Fold, Operation, Vendor


def drive(vendor: Vendor, operation: Operation, terms: Terms, method: Callable[..., Any]) -> Callable[..., Any]:
    """The governed form of a method that is awaited."""

    async def governed(**request: Any) -> Any:
        bounded = operation.bound(request, terms.output_tokens_max)
        admission = _Admission(vendor, terms.governor.admit(terms.call(vendor.service, operation, bounded)))
        async with AsyncExitStack() as stack:
            reservation = await stack.enter_async_context(admission)
            answer = await method(**bounded.request)
            if operation.fold is None or not operation.streams(request):
                settle(reservation, operation.usage(answer), operation.tier(answer))
                return answer
            return WaitingStream(answer, operation.fold(bounded), stack.pop_all(), reservation, terms.governor)

    def managed(**request: Any) -> Any:
        bounded = operation.bound(request, terms.output_tokens_max)
        admission = _Admission(vendor, terms.governor.admit(terms.call(vendor.service, operation, bounded)))
        return WaitingManager(admission, operation, method, bounded.request)

    return managed if operation.manager else governed


class _Admission:
    """One admitted call, its vendor's errors read for the bill on the way out and given back to the caller."""

    def __init__(self, vendor: Vendor, admission: Any) -> None:
        self._vendor, self._admission = vendor, admission
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Reservation:
        async with AsyncExitStack() as stack:
            stack.enter_context(Untranslated())
            reservation: Reservation = await stack.enter_async_context(self._admission)
            stack.enter_context(Translated(self._vendor.service))
            self._stack = stack.pop_all()
        return reservation

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)


class WaitingStream:
    """A stream that settles at its end; one that is left earlier counts at the worst case."""

    def __init__(self, stream: Any, fold: Fold, stack: AsyncExitStack, reservation: Reservation, governor: Any) -> None:
        self._stream, self._fold, self._stack, self._reservation = stream, fold, stack, reservation
        self._governor = governor
        self._pieces = self._through()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._pieces

    async def __anext__(self) -> Any:
        return await anext(self._pieces)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def close(self) -> None:
        """Leave the stream."""
        await self._pieces.aclose()
        if hasattr(self._stream, "close"):
            await self._stream.close()
        await self._stack.aclose()

    async def _through(self) -> AsyncGenerator[Any, None]:
        async with self._stack:
            async for piece in self._stream:
                wanted = self._fold.see(piece)
                shrink(self._governor, self._reservation, self._fold)
                if wanted:
                    yield piece
            settle(self._reservation, self._fold.usage(), getattr(self._fold, "tier", ""))


class WaitingManager:
    """The vendor's own stream helper: its block is the call."""

    def __init__(self, admission: _Admission, operation: Operation, method: Callable[..., Any], request: Any) -> None:
        self._admission, self._operation, self._method, self._request = admission, operation, method, request
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Any:
        async with AsyncExitStack() as stack:
            reservation = await stack.enter_async_context(self._admission)
            stream = await stack.enter_async_context(self._method(**self._request))
            stack.callback(lambda: settle(reservation, self._operation.usage(stream)))
            self._stack = stack.pop_all()
        return stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)
