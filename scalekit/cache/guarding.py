"""A server that may be down, slow or back: asked through a breaker, and not believed before it was told all."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scalekit.cache import clock
from scalekit.cache.conf import settings
from scalekit.cache.debts import Debt, Debts
from scalekit.cache.events import CACHE_BREAKER, CACHE_FAILED
from scalekit.cache.limiter import Limiter
from scalekit.cache.stampede.requests import Batch, Epoch
from scalekit.cache.stampede.writing import Release, Remove
from scalekit.core.breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from scalekit.cache.stampede.base import Request, Server

A = TypeVar("A")

_EPOCH_SECONDS = 1.0  # how often a process asks whether another has given up what was stored so far
_TOGETHER = 1000  # changes told in one round trip after an outage
_REFUSALS = (
    "OOM",
    "WRONGTYPE",
    "user_script",  # an error of a script of ours, about what somebody else wrote
)  # of one command; all else that a server refuses, it refuses to everyone

# What redis-py says when all connections of this process are in use; older releases in words alone.
_CROWDED = {"Too many connections", "No connection available."}
_CROWDED_KIND = "MaxConnectionsError"
_REFUSAL_KINDS = {"OutOfMemoryError"}  # what redis-py makes of the first, without saying OOM


class Failed:
    """The type of `FAILED`: the cache gave no answer."""


FAILED: Final = Failed()


class Guarded:
    """Ask `server` without ever raising for its sake.

    After an outage three things stand between a reader and what another process changed meanwhile. This
    process tells first what it could not tell. It gives the others time to do the same: for two windows of
    the breaker it believes nothing from before. And whoever had too much to tell raises the epoch of the
    cache, before which nobody believes anything; each process asks for it every second.
    """

    def __init__(self, alias: str, server: Server, epoch_key: str) -> None:
        self.alias, self.server = alias, server
        self.breaker = Breaker(lambda: settings.BREAKER_SECONDS)
        self.limiter = Limiter(lambda: settings.LOADS_WHILE_DOWN, lambda: settings.WAIT_WHILE_DOWN)
        self.debts = Debts()
        self.believed_since = 0.0  # what was stored earlier is not, by the server's clock
        self._epoch_key, self._epoch = epoch_key, 0.0
        self._next_question = self._distrusts_until = self._skew = 0.0
        self._place = server.place
        self._collector: threading.Thread | None = None

    @property
    def is_down(self) -> bool:
        return self.breaker.is_open

    def now(self) -> float:
        """Return seconds since the epoch by the clock of the server, on which all processes agree."""
        return clock.now() + self._skew

    def fetch(self, keys: Sequence[str]) -> list[bytes | None] | None:
        """Return what is stored under each key, in one round trip; None if the cache gave no answer."""
        if not self.breaker.allows():
            return None
        try:
            if self.debts or time.monotonic() > self._next_question:
                self._take(self._first())
            found = self.server.fetch(keys)
        except Exception as error:  # noqa: BLE001 - each client library has its own
            self._failed("read", error)
            return [None] * len(keys) if _is_refusal(error) else None
        if self.breaker.is_open:
            self._recovered()
        return found

    def run(self, operation: str, request: Request[A]) -> A | Failed:
        """Ask the server; `FAILED` if it gave no answer."""
        if not self.breaker.allows():
            return FAILED
        try:
            if self.debts:
                self._take(self._first())
            answer = self.server.run(request)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(operation, error)
            return FAILED
        if self.breaker.is_open:
            self._recovered()
        return answer

    async def afetch(self, keys: Sequence[str]) -> list[bytes | None] | None:
        """Do as `fetch` does."""
        if not self.breaker.allows():
            return None
        try:
            if self.debts or time.monotonic() > self._next_question:
                await self._atake(self._first())
            found = await self.server.afetch(keys)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("read", error)
            return [None] * len(keys) if _is_refusal(error) else None
        if self.breaker.is_open:
            self._recovered()
        return found

    async def arun(self, operation: str, request: Request[A]) -> A | Failed:
        """Do as `run` does."""
        if not self.breaker.allows():
            return FAILED
        try:
            if self.debts:
                await self._atake(self._first())
            answer = await self.server.arun(request)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(operation, error)
            return FAILED
        if self.breaker.is_open:
            self._recovered()
        return answer

    def owe(self, names: Sequence[str], facts: str) -> None:
        """Tell that `names` changed as soon as the cache is back, also if nobody asks for anything then."""
        self.debts.owe(names, facts)
        if self._collector is None or not self._collector.is_alive():
            self._collector = threading.Thread(
                target=self._collect, name=f"scalekit-cache-debts-{self.alias}", daemon=True
            )
            self._collector.start()

    def forgive(self) -> None:
        """Owe nothing any more: the settings name another server, and this one is asked no more."""
        self.debts = Debts()

    def _collect(self) -> None:
        while self.debts:
            time.sleep(max(0.1, settings.BREAKER_SECONDS))
            self.run("invalidate", Batch(()))

    def _first(self) -> Generator[Request[Any], Any, None]:
        """Yield what has to be told and asked before the next question."""
        self._look_who_answers()
        owed = list(self.debts.owed().items())
        for start in range(0, len(owed), _TOGETHER):
            some = dict(owed[start : start + _TOGETHER])
            try:
                yield Batch(tuple(map(_told, some.items())))
            except Exception as error:
                if not _is_answer(error):
                    raise
                yield from self._one_by_one(some)
            self.debts.paid(some)
        asked, overflows, owes_all = time.time(), self.debts.overflows(), self.debts.owes_all
        now, self._epoch = yield Epoch(self._epoch_key, owes_all)
        self.debts.raised(overflows)
        self._skew = now - (asked + time.time()) / 2
        self._next_question = time.monotonic() + _EPOCH_SECONDS
        is_over = time.monotonic() > self._distrusts_until
        self.believed_since = self._epoch if is_over else max(self.believed_since, self._epoch)

    def _one_by_one(self, owed: Mapping[str, Debt]) -> Generator[Request[Any], Any, None]:
        """Tell of one name after the other; remove one of which the server does not want to hear."""
        for debt in owed.items():
            try:
                yield _told(debt)
            except Exception as error:
                if not _is_answer(error):
                    raise
                yield Remove(debt[0])  # refused as well, it is no name's fault but an outage

    def _look_who_answers(self) -> None:
        if self.server.place != self._place:  # a failover that no call has noticed
            self._place = self.server.place
            self.debts.tell_again()

    def _take(self, steps: Generator[Request[Any], Any, None]) -> None:
        move: Callable[[Any], Request[Any]] = steps.send
        outcome: Any = None
        with suppress(StopIteration):
            while True:
                request = move(outcome)
                try:
                    move, outcome = steps.send, self.server.run(request)
                except Exception as error:  # noqa: BLE001 - the steps know what it means
                    move, outcome = steps.throw, error

    async def _atake(self, steps: Generator[Request[Any], Any, None]) -> None:
        move: Callable[[Any], Request[Any]] = steps.send
        outcome: Any = None
        with suppress(StopIteration):
            while True:
                request = move(outcome)
                try:
                    move, outcome = steps.send, await self.server.arun(request)
                except Exception as error:  # noqa: BLE001 - as above
                    move, outcome = steps.throw, error

    def _failed(self, operation: str, error: Exception) -> None:
        CACHE_FAILED.emit(alias=self.alias, operation=operation, error=repr(error))
        is_outage = not (_is_refusal(error) or _is_crowded(error))
        if is_outage and self.breaker.failed():
            self.debts.tell_again()  # another server may answer when it is back
            CACHE_BREAKER.emit(alias=self.alias, state="open")

    def _recovered(self) -> None:
        self._distrusts_until = time.monotonic() + 2 * settings.BREAKER_SECONDS + _EPOCH_SECONDS
        self.believed_since = self.now()
        if self.breaker.succeeded():
            CACHE_BREAKER.emit(alias=self.alias, state="closed")


def _told(debt: tuple[str, Debt]) -> Release:
    name, owed = debt
    return Release((name,), "", True, owed.facts)


def _is_answer(error: BaseException | None) -> bool:
    """Return whether the server has answered, if only with an error."""
    while error is not None:
        if any(kind.__name__ == "ResponseError" for kind in type(error).__mro__):
            return True
        error = error.__cause__
    return False


def _is_refusal(error: BaseException | None) -> bool:
    """Return whether the server refused this command alone, which is no reason to leave it alone."""
    while error is not None:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "ResponseError" in kinds:
            return bool(kinds & _REFUSAL_KINDS) or str(error).startswith(_REFUSALS)
        error = error.__cause__
    return False


def _is_crowded(error: BaseException | None) -> bool:
    """Return whether this process wanted more connections than it may have, of which the server knows nothing."""
    while error is not None:
        if type(error).__name__ == _CROWDED_KIND or str(error) in _CROWDED:
            return True
        error = error.__cause__
    return False
