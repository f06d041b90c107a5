"""A store's operations, written once for sync and async code.

An operation is a generator that yields what it wants done elsewhere, and does no I/O of its own:

    def load(self, name):
        fields = yield Command("load", "HGETALL", name)
        return Record(fields)

    record = finish(store.load(name))           # in a thread
    record = await afinish(store.load(name))    # in an event loop, without leaving it for Redis
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from asgiref.sync import sync_to_async

T = TypeVar("T")


class Step(Protocol):
    """Something to be done, by either way."""

    def run(self) -> Any: ...

    async def arun(self) -> Any: ...


Steps: TypeAlias = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Blocking:
    """A function that waits, as the ORM does; async code gives it a thread."""

    function: Callable[[], Any]

    def run(self) -> Any:
        return self.function()

    async def arun(self) -> Any:
        return await sync_to_async(self.function)()


def finish(steps: Steps[T]) -> T:
    """Run an operation to its end."""
    try:
        step = next(steps)
        while True:
            try:
                answer = step.run()
            except Exception as error:  # noqa: BLE001 - the operation decides what to make of it
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def afinish(steps: Steps[T]) -> T:
    """Run an operation to its end, from async code."""
    try:
        step = next(steps)
        while True:
            try:
                answer = await step.arun()
            except Exception as error:  # noqa: BLE001 - the operation decides what to make of it
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
