"""Reading for synchronous functions: the first of the threads that miss a value loads it."""

from __future__ import annotations

from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any

from scalekit.cache.exceptions import LoadTimedOut
from scalekit.cache.flights import Lonely, View, thread_flights
from scalekit.cache.invalidation.base import invalidate, is_dirty, sees_commits
from scalekit.cache.reading import Reading
from scalekit.cache.stampede import notes, tasks
from scalekit.cache.stampede.background import background
from scalekit.cache.stampede.doing import ThreadDoer
from scalekit.cache.stampede.early import is_due
from scalekit.cache.stampede.steps import drive
from scalekit.cache.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from functools import partial

    from scalekit.cache.flights import Flight
    from scalekit.cache.reading import Question
    from scalekit.cache.stampede.leading import Found
    from scalekit.cache.stampede.packing import Landing
    from scalekit.cache.store import Store
    from scalekit.cache.values import Entry

    Call = partial[Any]  # a function and its arguments


class ThreadReading(Reading):
    """For synchronous functions."""

    def get(self, question: Question, call: Call) -> Any:
        store = self.store
        if is_dirty(question.keys):
            self.announce("bypassed")
            return call()
        self.begin(store, question)
        found = store.fetch(question.keys)
        return self.decide(store, question, found, call)

    def decide(self, store: Store, question: Question, found: Found | None, call: Call) -> Any:
        """Return the value that was found, or else load it."""
        entry = self.judge(store, question, found)
        if entry is None:
            return self.load(store, question, found, call)
        now = store.now()
        if is_due(entry, now):
            landing = self._refreshed(store, question, entry, call)
            if landing is not None and landing.error is None:
                return self.landed(store, question, landing, joined=False)
        return self.take(store, question, entry, now)

    def load(self, store: Store, question: Question, found: Found | None, call: Call) -> Any:
        """Return the value of a running load, ours if there is none that may be joined."""
        leader, deadline = self.leader(store, question), self.deadline()

        def fly(flight: Flight) -> Landing:
            doer = ThreadDoer(store, self.policy.function, call, flight)
            return drive(leader.fly(flight, found, deadline), doer)

        if not sees_commits():  # it is for nobody else
            return self.landed(store, question, fly(Lonely()), joined=False)
        view = self.view(store, question, found)
        while True:
            landing, joined = self._run(question, fly, view, deadline)
            if self.is_overtaken(landing, view, joined=joined):
                view = View(monotonic(), view.stamps)
                continue
            value = self.landed(store, question, landing, joined=joined)
            return call() if value is MISSING else value

    def refresh(self, question: Question, call: Call) -> Any:
        """Return what `call` returns now, and store it."""
        store = self.store
        if is_dirty(question.keys):
            return call()
        if not sees_commits():  # it cannot be stored, so that the commit ends what is
            invalidate(self.policy.alias, (question.key,))
            return call()
        leader = self.leader(store, question)

        def fly(flight: Flight) -> Landing:
            doer = ThreadDoer(store, self.policy.function, call, flight)
            return drive(leader.refresh(flight), doer)

        landing, _ = self._run(question, fly, None, self.deadline())
        return self.landed(store, question, landing, joined=False)

    def renew(self, question: Question, call: Call) -> None:
        """Refresh what is stored if that is due, and nobody else does; be what a task worker runs."""
        store = self.store
        entry = self.judge(store, question, store.fetch(question.keys))
        if entry is not None and is_due(entry, store.now()):
            doer = ThreadDoer(store, self.policy.function, call)
            drive(self.leader(store, question).renew(entry), doer)

    def peek(self, question: Question) -> Any:
        store = self.store
        entry = self.judge(store, question, store.fetch(question.keys))
        return MISSING if entry is None or notes.is_error(entry) else entry.value

    def invalidate(self, keys: Sequence[str]) -> None:
        invalidate(self.policy.alias, keys)
        self.announce_end()

    def _run(
        self,
        question: Question,
        fly: Callable[[Flight], Landing],
        view: View | None,
        deadline: float,
    ) -> tuple[Landing, bool]:
        place = (self.policy.alias, question.key)
        try:
            return thread_flights.run(place, fly, view, deadline, self.policy.timeout)
        except LoadTimedOut:
            raise self.timed_out() from None

    def _refreshed(
        self, store: Store, question: Question, entry: Entry, call: Call
    ) -> Landing | None:
        """Refresh in the background; return what it brings if a stale value may wait for it, and not in vain."""
        patience = self.policy.timeout if store.now() >= entry.soft_expiry else None
        if patience is None and tasks.enqueue(store, self.policy, question.key, call):
            return None
        if not self.begin_refresh(question.key):
            return None
        leader, arrived, landings = self.leader(store, question), Event(), []

        def renew() -> None:
            try:
                doer = ThreadDoer(store, self.policy.function, call)
                landings.append(drive(leader.renew(entry), doer))
            finally:
                self.end_refresh(question.key)
                arrived.set()

        if not background.submit(renew):
            self.end_refresh(question.key)
            return None
        return landings[0] if patience and arrived.wait(patience) and landings else None
