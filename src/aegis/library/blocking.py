"""Governed calls of plain clients: the admission is a `with` around the call, or around the stream it returns."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from aegis.governor.reservation import Reservation
from aegis.library.faces import Terms, Translated, Untranslated, settle, shrink
from aegis.library.operations import Fold, Operation, Vendor


def drive(vendor: Vendor, operation: Operation, terms: Terms, method: Callable[..., Any]) -> Callable[..., Any]:
    """The governed form of a method that blocks."""

    def call(**request: Any) -> Any:
        bounded = operation.bound(request, terms.output_tokens_max)
        admission = _Admission(vendor, terms.governor.admit(terms.call(vendor.service, operation, bounded)))
        if operation.manager:
            return BlockingManager(admission, operation, method, bounded.request)
        with ExitStack() as stack:
            reservation = stack.enter_context(admission)
            answer = method(**bounded.request)
            if operation.fold is None or not operation.streams(request):
                settle(reservation, operation.usage(answer), operation.tier(answer))
                return answer
            stream = answer[operation.part] if operation.part else answer
            governed = BlockingStream(stream, operation.fold(bounded), stack.pop_all(), reservation, terms.governor)
            return {**answer, operation.part: governed} if operation.part else governed

    return call


class _Admission:
    """One admitted call, its vendor's errors read for the bill on the way out and given back to the caller."""

    def __init__(self, vendor: Vendor, admission: Any) -> None:
        self._vendor, self._admission = vendor, admission
        self._stack = ExitStack()

    def __enter__(self) -> Reservation:
        with ExitStack() as stack:
            stack.enter_context(Untranslated())
            reservation: Reservation = stack.enter_context(self._admission)
            stack.enter_context(Translated(self._vendor.service))
            self._stack = stack.pop_all()
        return reservation

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


class BlockingStream:
    """A stream that settles at its end; one that is left earlier counts at the worst case."""

    def __init__(self, stream: Any, fold: Fold, stack: ExitStack, reservation: Reservation, governor: Any) -> None:
        self._stream, self._fold, self._stack, self._reservation = stream, fold, stack, reservation
        self._governor = governor
        self._pieces = self._through()

    def __iter__(self) -> Iterator[Any]:
        return self._pieces

    def __next__(self) -> Any:
        return next(self._pieces)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Leave the stream."""
        self._pieces.close()
        if hasattr(self._stream, "close"):
            self._stream.close()
        self._stack.close()

    def _through(self) -> Generator[Any, None, None]:
        with self._stack:
            for piece in self._stream:
                wanted = self._fold.see(piece)
                shrink(self._governor, self._reservation, self._fold)
                if wanted:
                    yield piece
            settle(self._reservation, self._fold.usage(), getattr(self._fold, "tier", ""))


class BlockingManager:
    """The vendor's own stream helper: its block is the call."""

    def __init__(self, admission: _Admission, operation: Operation, method: Callable[..., Any], request: Any) -> None:
        self._admission, self._operation, self._method, self._request = admission, operation, method, request
        self._stack = ExitStack()

    def __enter__(self) -> Any:
        with ExitStack() as stack:
            reservation = stack.enter_context(self._admission)
            stream = stack.enter_context(self._method(**self._request))
            stack.callback(lambda: settle(reservation, self._operation.usage(stream)))
            self._stack = stack.pop_all()
        return stream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
