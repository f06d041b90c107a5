"""The algorithm of reading, written once, asks for what it needs step by step; a thread or a loop does it.

A generator yields steps and is sent their outcomes. It knows no thread and no event loop; `drive` and `adrive` run it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from scalekit.cache.stampede.base import Request
    from scalekit.cache.stampede.states import Facts

T = TypeVar("T")

loading: ContextVar[frozenset[bytes]] = ContextVar("scalekit_cache_loading", default=frozenset())
"""The leases under whose loads this code runs: what waits for one of them would wait for itself."""


class Fetch(NamedTuple):
    """Read what is stored under the keys; the outcome is None if the cache gave no answer."""

    keys: tuple[str, ...]


class Ask(NamedTuple):
    """Ask the server; the outcome is its answer, or `FAILED`."""

    operation: str
    request: Request[Any]


class Keep(NamedTuple):
    """Ask the server to store something, unless the flight was forgotten."""

    request: Request[bool]


class Pause(NamedTuple):
    """Let others work for so many seconds."""

    seconds: float


class Load(NamedTuple):
    """Run the function; its reads must see `facts`. The outcome is a `Loaded`."""

    facts: Facts
    tokens: frozenset[bytes]
    is_limited: bool = False


class Loaded(NamedTuple):
    """What a function returned or raised, and after how many seconds."""

    value: Any
    error: Exception | None
    seconds: float


Step = Fetch | Ask | Keep | Pause | Load
Steps = "Generator[Step, Any, T]"


class Interrupted(BaseException):
    """What steps see when whoever runs them ends. A GeneratorExit would let them tidy up nothing."""


def drive(steps: Generator[Step, Any, T], do: Callable[[Step], Any]) -> T:
    """Run `steps` to their end, and return what they return. What `do` raises ends them, and is raised."""
    move: Callable[[Any], Step] = steps.send
    outcome: Any = None
    raised: BaseException | None = None
    while True:
        try:
            step = move(outcome)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # StopIteration knows no types
        except Interrupted:
            raise raised or Interrupted from None
        try:
            outcome, move = do(step), steps.send
        except BaseException as error:  # noqa: BLE001 - the steps tidy up first
            raised = raised or error
            outcome, move = Interrupted(), steps.throw


async def adrive(steps: Generator[Step, Any, T], do: Callable[[Step], Awaitable[Any]]) -> T:
    """Do as `drive` does, in a task."""
    move: Callable[[Any], Step] = steps.send
    outcome: Any = None
    raised: BaseException | None = None
    while True:
        try:
            step = move(outcome)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # as above
        except Interrupted:
            raise raised or Interrupted from None
        try:
            outcome, move = await do(step), steps.send
        except BaseException as error:  # noqa: BLE001 - as above
            raised = raised or error
            outcome, move = Interrupted(), steps.throw
