"""Reading for coroutine functions: natively on their event loop, with no hop to a thread on Redis or Valkey."""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from scalekit.cache.exceptions import LoadTimedOut
from scalekit.cache.flights import Lonely, View, loop_flights
from scalekit.cache.invalidation.base import ainvalidate, is_dirty, sees_commits
from scalekit.cache.reading import Reading
from scalekit.cache.stampede import notes
from scalekit.cache.stampede.doing import LoopDoer
from scalekit.cache.stampede.early import is_due
from scalekit.cache.stampede.loop_background import loop_background
from scalekit.cache.stampede.steps import adrive
from scalekit.cache.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from scalekit.cache.flights import Flight
    from scalekit.cache.reading import Question
    from scalekit.cache.stampede.leading import Found
    from scalekit.cache.stampede.packing import Landing
    from scalekit.cache.store import Store
    from scalekit.cache.values import Entry

    Call = partial[Any]  # a function and its arguments


class LoopReading(Reading):
    """For coroutine functions; see `ThreadReading`."""

    async def get(self, question: Question, call: Call) -> Any:
        store = self.store
        if is_dirty(question.keys):
            self.announce("bypassed")
            return await call()
        self.begin(store, question)
        found = await store.afetch(question.keys)
        return await self.decide(store, question, found, call)

    async def decide(
        self, store: Store, question: Question, found: Found | None, call: Call
    ) -> Any:
        """Return the value that was found, or else load it."""
        entry = self.judge(store, question, found)
        if entry is None:
            return await self.load(store, question, found, call)
        now = store.now()
        if is_due(entry, now):
            landing = await self._refreshed(store, question, entry, call)
            if landing is not None and landing.error is None:
                return self.landed(store, question, landing, joined=False)
        return self.take(store, question, entry, now)

    async def load(self, store: Store, question: Question, found: Found | None, call: Call) -> Any:
        """Return the value of a running load, ours if there is none that may be joined."""
        leader, deadline = self.leader(store, question), self.deadline()

        async def fly(flight: Flight) -> Landing:
            doer = LoopDoer(store, self.policy.function, call, flight)
            return await adrive(leader.fly(flight, found, deadline), doer)

        if not sees_commits():  # it is for nobody else
            return self.landed(store, question, await fly(Lonely()), joined=False)
        view = self.view(store, question, found)
        while True:
            landing, joined = await self._run(question, fly, view, deadline)
            if self.is_overtaken(landing, view, joined=joined):
                view = View(monotonic(), view.stamps)
                continue
            value = self.landed(store, question, landing, joined=joined)
            return await call() if value is MISSING else value

    async def refresh(self, question: Question, call: Call) -> Any:
        """Return what `call` returns now, and store it."""
        store = self.store
        if is_dirty(question.keys):
            return await call()
        if not sees_commits():  # it cannot be stored, so that the commit ends what is
            await ainvalidate(self.policy.alias, (question.key,))
            return await call()
        leader = self.leader(store, question)

        async def fly(flight: Flight) -> Landing:
            doer = LoopDoer(store, self.policy.function, call, flight)
            return await adrive(leader.refresh(flight), doer)

        landing, _ = await self._run(question, fly, None, self.deadline())
        return self.landed(store, question, landing, joined=False)

    async def renew(self, question: Question, call: Call) -> None:
        """Refresh what is stored if that is due, and nobody else does; be what a task worker runs."""
        store = self.store
        entry = self.judge(store, question, await store.afetch(question.keys))
        if entry is not None and is_due(entry, store.now()):
            doer = LoopDoer(store, self.policy.function, call)
            await adrive(self.leader(store, question).renew(entry), doer)

    async def peek(self, question: Question) -> Any:
        store = self.store
        entry = self.judge(store, question, await store.afetch(question.keys))
        return MISSING if entry is None or notes.is_error(entry) else entry.value

    async def invalidate(self, keys: Sequence[str]) -> None:
        await ainvalidate(self.policy.alias, keys)
        self.announce_end()

    async def _run(
        self,
        question: Question,
        fly: Callable[[Flight], Coroutine[Any, Any, Landing]],
        view: View | None,
        deadline: float,
    ) -> tuple[Landing, bool]:
        place = (self.policy.alias, question.key)
        try:
            return await loop_flights.run(place, fly, view, deadline, self.policy.timeout)
        except LoadTimedOut:
            raise self.timed_out() from None

    async def _refreshed(
        self, store: Store, question: Question, entry: Entry, call: Call
    ) -> Landing | None:
        """Refresh in the background; return what it brings if a stale value may wait for it, and not in vain."""
        patience = self.policy.timeout if store.now() >= entry.soft_expiry else None
        if not self.begin_refresh(question.key):
            return None

        async def renew() -> Landing | None:
            doer = LoopDoer(store, self.policy.function, call)
            return await adrive(self.leader(store, question).renew(entry), doer)

        end = partial(self.end_refresh, question.key)
        task = loop_background.submit(renew, end)
        if task is None:
            end()
            return None
        if not patience:
            return None
        await asyncio.wait([task], timeout=patience)
        return task.result() if task.done() and not task.cancelled() else None
