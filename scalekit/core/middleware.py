"""FlowMiddleware: a middleware written once, as a generator, run under WSGI and ASGI.

    class Stopwatch(FlowMiddleware):
        def flow(self, request):
            started = perf_counter()
            response = yield                    # the rest of the site runs here
            response["X-Served-By"] = "web-1"   # headers can still be changed
            ending = yield response             # optional: the body goes out here, streams included
            log(ending.outcome, perf_counter() - started)

Returning a response before the first ``yield`` answers at once. The generator does no I/O of its own,
so one text serves both worlds and neither pays a thread hop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import FileResponse

from scalekit.core.context import Unit, current_unit, unit_of_work

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

Flow: TypeAlias = "Generator[HttpResponseBase | None, Any, HttpResponseBase | None]"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a response's body ended: all sent, broken by an exception, or given up by the client."""

    outcome: Literal["sent", "failed", "cancelled"] = "sent"
    error: BaseException | None = None
    bytes: int | None = None


class FlowMiddleware(ABC):
    """Run `flow` around each request, in one unit of work shared by all flows of that request."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    @abstractmethod
    def flow(self, request: HttpRequest) -> Flow:
        """Yield where the rest of the site runs; yield the response to see its body end."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self.__acall__(request)
        with _in_unit_of(request):
            run = _Run(self.flow(request))
            if run.response is None:
                with run:
                    response = self.get_response(request)
                run.take(response)
            return run.deliver()

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        with _in_unit_of(request):
            run = _Run(self.flow(request))
            if run.response is None:
                with run:
                    response = await self.get_response(request)
                run.take(response)
            return run.deliver()


def unit_of(request: object) -> Unit | None:
    """Return the unit of work of a request, also after it; None if no flow has seen the request."""
    unit: Unit | None = getattr(request, "__dict__", {}).get("_scalekit_unit")
    return unit


def _in_unit_of(request: HttpRequest) -> AbstractContextManager[Any]:
    """Enter the request's unit of work; a request sent from inside another has its own."""
    unit = unit_of(request)
    if unit is None:
        unit = request.__dict__["_scalekit_unit"] = {}
    return nullcontext() if unit is current_unit() else unit_of_work(unit)


class _Run:
    """One flow on its way through one request."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.response: HttpResponseBase | None = None
        self.open = True
        self._resume(lambda: next(flow))

    def _resume(self, step: Callable[[], HttpResponseBase | None]) -> None:
        try:
            response = step()
        except StopIteration as end:
            self.open = False
            response = end.value
        except BaseException:
            self.open = False
            raise
        if response is not None:
            self.response = response

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and self.open:
            self.open = False
            with suppress(StopIteration):  # ending is no answer: the error goes on
                self.flow.throw(error)

    def take(self, response: HttpResponseBase) -> None:
        self.response = response
        if self.open:
            self._resume(lambda: self.flow.send(response))

    def deliver(self) -> HttpResponseBase:
        response = self.response
        assert response is not None  # noqa: S101 - take() or an early answer has set it
        if self.open:
            self._await_body(response)
        return response

    def _await_body(self, response: HttpResponseBase) -> None:
        if not response.streaming:
            self.finish(Ending(bytes=len(response.content)))  # type: ignore[attr-defined]  # not a stream
        elif isinstance(response, FileResponse) and response.file_to_stream is not None:
            # Left alone, so that the server may still use sendfile; it calls close() when done.
            length = response.headers.get("Content-Length", "")
            ending = Ending(bytes=int(length) if length.isdecimal() else None)
            closing = partial(self._finish_in, _this_unit(), ending)
            response._resource_closers.append(closing)  # type: ignore[attr-defined]  # noqa: SLF001 - no stub
        else:
            _follow(response, self)

    def _finish_in(self, unit: Unit, ending: Ending) -> None:
        with unit_of_work(unit):
            self.finish(ending)

    def finish(self, ending: Ending) -> None:
        if self.open:
            self.open = False
            self._resume(lambda: self.flow.send(ending))
            self.flow.close()


def _follow(response: Any, run: _Run) -> None:
    stream = _AsyncStream if response.is_async else _Stream
    response.streaming_content = stream(response.streaming_content, _this_unit(), run.finish)


def _this_unit() -> Unit:
    unit = current_unit()
    return {} if unit is None else unit


class _Follower:
    """What following a stream needs: the unit of work again at each chunk, and how it ended."""

    def __init__(self, chunks: Any, unit: Unit, finish: Callable[[Ending], None]) -> None:
        self.chunks, self.unit, self.finish = chunks, unit, finish
        self.bytes = 0

    def ended(self, error: BaseException | None) -> None:
        if error is None or isinstance(error, (StopIteration, StopAsyncIteration)):
            self.finish(Ending("sent", bytes=self.bytes))
        elif isinstance(error, (CancelledError, GeneratorExit)):
            self.finish(Ending("cancelled", error, self.bytes))
        else:
            self.finish(Ending("failed", error, self.bytes))

    def close(self) -> None:
        """Hear from the response that it is closed: an unfinished body was given up by the client."""
        with unit_of_work(self.unit):
            self.finish(Ending("cancelled", bytes=self.bytes))


class _Stream(_Follower, Iterator[bytes]):
    def __next__(self) -> bytes:
        with unit_of_work(self.unit):
            try:
                chunk: bytes = next(self.chunks)
            except BaseException as error:
                self.ended(error)
                raise
        self.bytes += len(chunk)
        return chunk


class _AsyncStream(_Follower, AsyncIterator[bytes]):
    async def __anext__(self) -> bytes:
        with unit_of_work(self.unit):
            try:
                chunk: bytes = await anext(self.chunks)
            except BaseException as error:
                self.ended(error)
                raise
        self.bytes += len(chunk)
        return chunk
