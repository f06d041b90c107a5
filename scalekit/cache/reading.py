"""Judging what was found: what threads and event loops share. A hit ends here; all else is for `stampede`."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Any

from scalekit.cache.conf import settings
from scalekit.cache.errors import copy_of
from scalekit.cache.events import CACHE_INVALIDATED, CACHE_READ
from scalekit.cache.exceptions import LoadTimedOut
from scalekit.cache.flights import View
from scalekit.cache.stampede import notes, states
from scalekit.cache.stampede.leading import Leader
from scalekit.cache.store import Store, store_of
from scalekit.cache.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from scalekit.cache.policy import Policy
    from scalekit.cache.stampede.leading import Found
    from scalekit.cache.stampede.packing import Landing
    from scalekit.cache.values import Entry


class Question:
    """One call of a cached function: its key and its names on the server, and what it is called in the process."""

    __slots__ = ("here", "key", "keys", "names", "since", "ticket")

    since: float  # when the server was asked

    def __init__(self, key: str, names: tuple[str, ...] = (), here: Hashable = None) -> None:
        self.key, self.names, self.here = key, names, here
        self.keys = (key, *names) if names else (key,)
        self.ticket = 0


class Reading:
    """What threads and loops share: judging what was found."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    @property
    def store(self) -> Store:
        return store_of(self.policy.alias)

    def judge(self, store: Store, question: Question, found: Found | None) -> Entry | None:
        """Return the entry that was found, if it may be believed."""
        if found is None:
            return None
        stored = found[0]
        if stored is None or stored[:4] in states.NO_VALUE:
            return None
        entry = store.unpack(question.key, stored)
        if entry is None or entry.created < store.believed_since:
            return None
        if not question.names:
            return entry
        stamps = states.joined(found[1:])
        return entry if stamps is not None and notes.depends_on(entry, stamps) else None

    def take(self, store: Store, question: Question, entry: Entry, now: float) -> Any:
        """Return the value of a valid entry, keeping it near. Raises the error that it may be."""
        self.announce("hit" if now < entry.soft_expiry else "stale", question.key)
        if notes.is_error(entry):
            raise entry.value
        if question.ticket:
            seconds = max(0.0, entry.soft_expiry - now)
            tier = store.local
            if tier is not None:
                tier.put(question.here, entry.value, question.keys, question.ticket, seconds)
        return entry.value

    def begin(self, store: Store, question: Question) -> None:
        """Note that the server is asked from now on."""
        question.since = monotonic()
        if question.here is not None and store.local is not None:
            question.ticket = store.local.begin()

    def view(self, store: Store, question: Question, found: Found | None) -> View:
        """Return what a running load has to be like to be joined."""
        if found is None:
            return View()
        stamps = states.joined(found[1:]) if question.names else b""
        if any(map(states.is_held, found)):
            return View(question.since, stamps, demands=True)
        if not store.server.has_leases:
            return View(0.0, stamps)
        stored = found[0]
        if stored is not None and stored[:4] == states.LEASE:
            return View(question.since, stamps, stored[states.TOKEN])
        return View(question.since, stamps, demands=bool(states.facts_in(stored)))

    def leader(self, store: Store, question: Question) -> Leader:
        return Leader(store, self.policy, question.key, question.names)

    def landed(self, store: Store, question: Question, landing: Landing, *, joined: bool) -> Any:
        """Return the value that a flight brought, or `MISSING` if this call must load its own; raise its error."""
        if landing.error is not None:
            raise copy_of(landing.error) if joined else landing.error
        value = landing.value
        if joined:
            entry = store.unpack(question.key, landing.packed)  # to each its own copy
            if entry is None:  # it can be pickled, but not unpickled
                return MISSING
            value = entry.value
        result = "joined" if joined and landing.result == "miss" else landing.result
        self.announce(result, question.key)
        return value

    def deadline(self) -> float:
        return monotonic() + settings.MAX_WAIT

    def timed_out(self) -> LoadTimedOut:
        msg = (
            f"{self.policy.function} took longer than its timeout of {self.policy.timeout} seconds."
        )
        return LoadTimedOut(msg)

    def begin_refresh(self, key: str) -> bool:
        """Return whether this process may refresh `key` now: it does not yet."""
        mark = object()
        return _refreshing.setdefault((self.policy.alias, key), mark) is mark

    def end_refresh(self, key: str) -> None:
        """Let it be refreshed again."""
        _refreshing.pop((self.policy.alias, key), None)

    def is_overtaken(self, landing: Landing, view: View, *, joined: bool) -> bool:
        """Return whether the flight that was joined loaded under older stamps than this call has seen."""
        return joined and view.stamps is not None and landing.stamps not in {view.stamps, None}

    def announce_misses(self, count: int) -> None:
        """Tell of values that were loaded together."""
        for _ in range(count):
            self.announce("miss")

    def announce_end(self) -> None:
        CACHE_INVALIDATED.emit(function=self.policy.function, alias=self.policy.alias)

    def announce(self, result: str, key: str | None = None) -> None:
        """Tell what became of a call."""
        policy = self.policy
        CACHE_READ.emit(function=policy.function, result=result, alias=policy.alias, key=key)


_refreshing: dict[tuple[str, str], object] = {}  # what this process refreshes
os.register_at_fork(after_in_child=_refreshing.clear)
