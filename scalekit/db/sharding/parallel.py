"""Ask several shards at once."""

from __future__ import annotations

from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db import Error, InterfaceError, OperationalError, connections
from django.utils import timezone, translation
from django.utils.asyncio import async_unsafe

from scalekit.db.cluster import current_cluster
from scalekit.db.exceptions import ShardFailed
from scalekit.db.sharding.threads import crew, is_worker, tidy_connections
from scalekit.db.transactions import is_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

TRANSACTION_ROLLBACK = "40"  # the class of SQLSTATE: a deadlock, a serialization failure


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of one shard's part: a value, or the error that stands in its place."""

    alias: str
    value: T | None = None
    error: BaseException | None = None


def run_on_shards(aliases: Iterable[str], function: Callable[[str], T]) -> dict[str, T]:
    """Return ``{alias: function(alias)}``, in this order, having called it for all aliases at once.

    Waits for all of them. Then the first error is raised, in the order of the aliases, with a note that
    says on which shards the work was done nevertheless; a database that does not answer is `ShardFailed`.

    The calls run in threads that know the facts of this one (its tokens, `using_shard`, time zone); a
    shard on which this thread has a transaction open is asked in this thread. `function` takes part in no
    transaction that another thread has open, and what it shares with its other calls must bear that.
    """
    outcomes = outcomes_on_shards(aliases, function)
    for outcome in outcomes:
        if outcome.error is not None:
            raise _noted(outcome.error, outcomes)
    return {outcome.alias: outcome.value for outcome in outcomes}  # type: ignore[misc]  # no error, so a value


@async_unsafe("You cannot ask shards from an async context - use a thread or sync_to_async.")
def outcomes_on_shards(
    aliases: Iterable[str], function: Callable[[str], T], *, seconds: float | None = None
) -> tuple[Outcome[T], ...]:
    """Call ``function(alias)`` for all aliases at once; return what became of each, in this order.

    After `seconds`, a shard of several that has not answered is a failed one. Its thread goes on waiting,
    and others get its place when it is done.
    """
    named = list(dict.fromkeys(aliases))
    here = [alias for alias in named if stays_here(alias)]
    if not here and (seconds is None or len(named) == 1):
        here = named[:1]  # by the connection that this thread has anyway
    away = [alias for alias in named if alias not in here]
    answers: Answers[T] = Answers(len(away))
    for alias in _unsent(away, function, answers):
        answers.add(_outcome(alias, function))
    done = {alias: _outcome(alias, function) for alias in here} | answers.within(seconds)
    return tuple(
        done.get(alias) or Outcome(alias, error=silence(alias, seconds)) for alias in named
    )


class Answers(Generic[T]):
    """What threads have answered. Only the last wakes who waits for them."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._given: dict[str, Outcome[T]] = {}
        self._all: SimpleQueue[None] = SimpleQueue()
        self.too_late = False  # nobody waits any more

    def add(self, outcome: Outcome[T]) -> None:
        self._given[outcome.alias] = outcome
        if len(self._given) == self._expected:
            self._all.put(None)

    def within(self, seconds: float | None) -> dict[str, Outcome[T]]:
        """Return the answers, by alias, when there are all, or after so many seconds those there are."""
        if self._expected:
            try:
                self._all.get(timeout=seconds)
            except Empty:
                self.too_late = True
        return dict(self._given)


def stays_here(alias: str) -> bool:
    """Return whether only this thread may ask a database, since it alone would see what there is to see."""
    connection: Any = connections[alias]
    if is_worker() or connection.in_atomic_block or is_open(connection):
        return True
    if connection.force_debug_cursor:  # someone counts this connection's queries
        return True
    return bool(connection.vendor == "sqlite" and connection.is_in_memory_db())


def failure(alias: str, error: BaseException) -> BaseException:
    """Return `ShardFailed` for a database that does not answer; any other error is the query's own."""
    if not isinstance(error, (OperationalError, InterfaceError)) or _is_rolled_back(error):
        return error
    shard = current_cluster().owner.get(alias, alias)
    failed = ShardFailed(f"Shard {shard} did not answer: {str(error).strip()}", alias=shard)
    failed.__cause__ = error
    return failed


def silence(alias: str, seconds: float | None) -> ShardFailed:
    """Return the error of a shard that has not answered in time."""
    shard = current_cluster().owner.get(alias, alias)
    msg = (
        f"Shard {shard} did not answer within {seconds} seconds (SCALEKIT_DB_SCATTER_SECONDS). Look at the "
        "server, or give scatter(seconds=...) more time."
    )
    return ShardFailed(msg, alias=shard)


def in_these_circumstances() -> Callable[..., Any]:
    """Return what calls functions, in any thread, in the context, time zone and language of this one."""
    context = copy_context()
    # Not in the context: asgiref's Local, which holds them, belongs to the thread that set it.
    zone, language = timezone.get_current_timezone(), translation.get_language()

    def run(function: Callable[..., Any], *args: Any) -> Any:
        with timezone.override(zone), translation.override(language):
            return function(*args)

    return lambda function, *args: context.copy().run(run, function, *args)


def _unsent(aliases: list[str], function: Callable[[str], T], answers: Answers[T]) -> list[str]:
    """Give each shard's part to a thread; return those for which there is none to be had."""
    if not aliases:
        return []
    run, unsent = in_these_circumstances(), []

    def job(alias: str) -> None:
        if answers.too_late:  # or a server that thaws would be asked all that was asked meanwhile
            return
        outcome: Outcome[T] = run(_outcome, alias, function)
        tidy_connections()  # before the answer, on which a test may drop its databases
        answers.add(outcome)

    for alias in aliases:
        try:
            crew.submit(alias, partial(job, alias))
        except RuntimeError:  # the system gives no more threads
            unsent.append(alias)
    return unsent


def _outcome(alias: str, function: Callable[[str], T]) -> Outcome[T]:
    try:
        return Outcome(alias, function(alias))
    except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
        return Outcome(alias, error=failure(alias, error))


def _is_rolled_back(error: Error) -> bool:
    state = getattr(error.__cause__, "sqlstate", None) or ""
    return state.startswith(TRANSACTION_ROLLBACK)


def _noted(error: BaseException, outcomes: tuple[Outcome[Any], ...]) -> BaseException:
    failed = [outcome.alias for outcome in outcomes if outcome.error is not None]
    done = [outcome.alias for outcome in outcomes if outcome.error is None]
    error.add_note(f"Failed on {', '.join(failed)}; done on {', '.join(done) or 'no shard'}.")
    return error
