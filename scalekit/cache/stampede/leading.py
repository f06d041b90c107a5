"""Find a value or load it: the one algorithm, as steps. Whoever runs it does so for all who wait in its process."""

from __future__ import annotations

from secrets import token_bytes
from typing import TYPE_CHECKING, Any

from scalekit.cache.exceptions import Unreadable
from scalekit.cache.flights import Wait
from scalekit.cache.guarding import FAILED
from scalekit.cache.invalidation.base import sees_commits
from scalekit.cache.stampede import notes, states
from scalekit.cache.stampede.packing import Landing, Packing
from scalekit.cache.stampede.pauses import pauses
from scalekit.cache.stampede.renewing import LEASE_MS, renewals
from scalekit.cache.stampede.requests import Acquire, Claim, Fill, Granted, Stamp, Swap, Unclaim
from scalekit.cache.stampede.steps import Ask, Fetch, Keep, Load, Loaded, Pause, loading
from scalekit.cache.stampede.writing import FACTS_MS
from scalekit.cache.values import unpack

if TYPE_CHECKING:
    from collections.abc import Generator

    from scalekit.cache.flights import Flight
    from scalekit.cache.policy import Policy
    from scalekit.cache.stampede.steps import Step
    from scalekit.cache.store import Store
    from scalekit.cache.values import Entry

_FAILURE_MS = 2000  # how long those who wait for a load have, to hear that it failed
_STAMP_MS = 24 * 3600 * 1000  # a stamp lives a day longer than what depends on it, at least
_TRIES = 3  # of a refresh that is overtaken

Found = list["bytes | None"]


class Leader(Packing):
    """Finds and loads the value of one call, whose entry is `key` and depends on `names`."""

    def __init__(self, store: Store, policy: Policy, key: str, names: tuple[str, ...]) -> None:
        super().__init__(store, policy, key)
        self.names, self.keys = names, (key, *names)

    def valid(self, found: Found) -> tuple[Entry, bytes] | None:
        """Return the entry and its stamps, if it may be believed."""
        stored = found[0]
        if stored is None or stored[:4] in states.NO_VALUE:
            return None
        stamps = states.joined(found[1:]) if self.names else b""
        entry = None if stamps is None else self.store.unpack(self.key, stored)
        if entry is None or stamps is None or entry.created < self.store.believed_since:
            return None
        return (entry, stamps) if notes.depends_on(entry, stamps) else None

    def fly(
        self, flight: Flight, found: Found | None, deadline: float
    ) -> Generator[Step, Any, Landing]:
        """Return the value that is there, or that another process loads, or else load it.

        `found` is what the caller has seen, and not believed. A load that takes until `deadline` is taken over;
        who finds that another has done so waits for that, once.
        """
        rests, awaited, is_news, waits = pauses(), b"", False, Wait(deadline)
        while found is not None:
            landing = self._given(found, awaited) if is_news else None
            if landing is not None:
                return landing
            is_news = True
            if _goes_alone(flight, found):
                break
            stamps = states.joined(found[1:])
            if stamps is None:
                found = yield from self._stamped(found[0])
                continue
            if states.is_worth_waiting(found[0], stamps) and waits.left() > 0:
                awaited = _token(found[0])
                flight.follow(stamps, awaited)
                yield Pause(next(rests))
                flight.begin()
                found = yield Fetch(self.keys)
                continue
            own = flight.ask(stamps, token_bytes(8))
            answer = yield Ask("lease", self.acquisition(own, stamps, found[0]))
            if isinstance(answer, Granted):
                flight.begin()
                return (yield from self.lead(own, answer.facts, found, stamps))
            if answer is FAILED or (waits.left() <= 0 and not waits.goes_on()):
                return (yield from self.aside(flight, found, is_limited=True))
            if states.is_worth_waiting(answer, stamps) or states.is_held(answer):
                found = [answer, *found[1:]]
            else:
                flight.begin()
                found = yield Fetch(self.keys)
        is_limited = found is None or flight.is_limited
        return (yield from self.aside(flight, found, is_limited=is_limited))

    def lead(
        self, token: bytes, granted: states.Facts, found: Found, stamps: bytes
    ) -> Generator[Step, Any, Landing]:
        """Load under the lease of `token`, and store what comes of it; leave no lease behind in any case."""
        lease = (self.key, token)
        is_current = sees_commits()
        renewals.add(self.store, lease)
        try:
            loaded = yield Load(granted + _facts(found[1:]), frozenset({token}))
            return (yield from self._settle(loaded, token, granted, stamps, is_current))
        except BaseException:  # the thread ends, or its task is cancelled
            renewals.remove(self.store, lease)
            yield Keep(self.resignation(token, granted))
            raise
        finally:
            renewals.remove(self.store, lease)

    def aside(
        self, flight: Flight, found: Found | None, *, is_limited: bool
    ) -> Generator[Step, Any, Landing]:
        """Load and keep nothing: a transaction is changing it, or the cache gives no answer.

        In the second case, and after waiting for others in vain, only so many load at once as the database bears.
        """
        result = "down" if self.store.is_down else "bypassed"
        flight.ask(b"", b"")
        flight.begin()
        loaded = yield Load(_facts(found or ()), frozenset({b""}), is_limited)
        if loaded.error is not None:
            return Landing(None, loaded.error, None, result)
        try:
            packed = self.pack(loaded, b"", (), None)
        except Exception as error:  # noqa: BLE001 - it is what a caller gets who finds the cache up
            return Landing(None, error, None, result)
        return Landing(loaded.value, None, packed, result)

    def refresh(self, flight: Flight) -> Generator[Step, Any, Landing]:
        """Load, whatever is stored, and store it: over what was loaded before, not over what came after."""
        found: Found | None = None
        for _ in range(_TRIES):
            found = yield Fetch(self.keys)
            if found is None or any(map(states.is_held, found)):
                break
            stamps = states.joined(found[1:])
            if stamps is None:
                found = yield from self._stamped(found[0])
                stamps = None if found is None else states.joined(found[1:])
            if found is None or stamps is None:
                break
            valid = self.valid(found)
            if valid is not None:
                flight.ask(stamps, b"")
                flight.begin()
                return (yield from self._replace(found, stamps, valid[0]))
            own = flight.ask(stamps, token_bytes(8))
            answer = yield Ask("lease", self.acquisition(own, stamps, found[0]))
            if isinstance(answer, Granted):
                flight.begin()
                return (yield from self.lead(own, answer.facts, found, stamps))
        is_held = found is not None and any(map(states.is_held, found))
        landing = yield from self.aside(flight, None, is_limited=not is_held)
        if self.store.is_down:
            self.store.owe((self.key,), "")
        return landing

    def renew(self, entry: Entry) -> Generator[Step, Any, Landing | None]:
        """Load an entry again that is still served, if nobody else does; None if there was nothing to do.

        After an error the right to do so is kept, so that the next try comes a few seconds later.
        """
        name, token = self.key + ":r", token_bytes(8)
        try:
            if (yield Ask("lease", Claim(name, token, LEASE_MS))) is not True:
                return None
            renewals.add(self.store, (name, token))
            found: Found | None = yield Fetch(self.keys)
            valid = None if found is None else self.valid(found)
            landing = None
            if found is not None and valid is not None and valid[0].id == entry.id:
                landing = yield from self._replace(found, valid[1], valid[0])
        except BaseException:  # the thread ends, or its loop: another may do it at once
            yield Ask("lease", Unclaim(name, token))
            raise
        finally:
            renewals.remove(self.store, (name, token))
        if landing is None or landing.error is None:
            yield Ask("lease", Unclaim(name, token))
        return landing

    def _replace(self, found: Found, stamps: bytes, entry: Entry) -> Generator[Step, Any, Landing]:
        """Load what is stored again; swap it for the entry it was, so that an invalidation meanwhile wins."""
        stored = found[0] or b""
        granted = notes.facts_of(entry, stamps)
        is_current = sees_commits()
        loaded: Loaded = yield Load(granted + _facts(found[1:]), frozenset({b""}))
        began = self.store.now() - loaded.seconds
        if loaded.error is not None and not self.policy.keeps_error(loaded.error):
            return Landing(None, loaded.error, None, "miss", stamps)
        packed, ms, landing = self.packed(loaded, stamps, granted)
        if packed is None or not is_current:
            return landing
        for _ in range(_TRIES):
            swapped = yield Keep(self.filling(stored[: states.SEEN], packed, ms))
            if swapped is FAILED:
                self.store.owe((self.key,), "")
            if swapped is not False:
                break
            found = (yield Fetch(self.keys)) or [None]
            valid = self.valid(found) if len(found) == len(self.keys) else None
            if valid is None or valid[0].created >= began:
                break
            stored = found[0] or b""
        return landing

    def _stamped(self, stored: bytes | None) -> Generator[Step, Any, Found | None]:
        """Return what is found, with stamps where there were none."""
        stamps = yield Ask("stamp", Stamp(self.names, self.stamp_ms()))
        return None if stamps is FAILED else [stored, *stamps]

    def stamp_ms(self) -> int:
        """Return how long the stamps must live: longer than the entry."""
        ttl = self.policy.ttl
        longest = ttl if isinstance(ttl, (int, float)) else 30 * 24 * 3600
        return round((longest + self.policy.stale) * 1000) + _STAMP_MS

    def filling(self, seen: bytes, packed: bytes, ms: int) -> Swap | Fill:
        """Return how to store an entry for `ms` where `seen` is; the stamps have to outlive it."""
        swap = Swap(self.key, seen, packed, ms)
        if not self.names:
            return swap
        return Fill(swap, Stamp(self.names, max(self.stamp_ms(), ms + _STAMP_MS)))

    def acquisition(self, token: bytes, stamps: bytes, stored: bytes | None) -> Acquire:
        """Return how to ask for the lease; what is `stored` now is void, or a load that nobody waits for."""
        void = b"" if stored is None else stored[: states.SEEN]
        return Acquire(self.key, token, states.digest_of(stamps), void, LEASE_MS)

    def resignation(self, token: bytes, granted: states.Facts) -> Swap:
        """Return how to end the lease with nothing; what the next load must see stays."""
        new = b""
        if granted:
            texts = [states.written(facts) for facts in granted]
            new = states.STAMP + token_bytes(8) + states.written_list(texts)
        return Swap(self.key, states.LEASE + token, new, FACTS_MS)

    def _settle(
        self,
        loaded: Loaded,
        token: bytes,
        granted: states.Facts,
        stamps: bytes,
        is_current: bool,
    ) -> Generator[Step, Any, Landing]:
        packed, ms, landing = self.packed(loaded, stamps, granted)
        if packed is not None and is_current:
            yield Keep(self.filling(states.LEASE + token, packed, ms))
        elif landing.error is not None and is_current and not granted:
            yield from self._fail(token, landing.error)
        else:
            yield Keep(self.resignation(token, granted))
        return landing

    def _fail(self, token: bytes, error: Exception) -> Generator[Step, Any, None]:
        """End the lease with the error, for those who wait for it in other processes."""
        packed = self.pack_error(Loaded(None, error, 0.0), b"", ())
        new = b"" if packed is None else states.FAILURE + token + packed
        if not self.store.server.has_leases:
            new = b""
        yield Keep(Swap(self.key, states.LEASE + token, new, _FAILURE_MS))

    def _given(self, found: Found, awaited: bytes) -> Landing | None:
        """Return what others brought meanwhile: the value, or the error of the load that was waited for."""
        valid = self.valid(found)
        if valid is not None:
            return _landed(valid[0], found[0], valid[1], "joined" if awaited else "hit")
        failure = self._failure(found[0], awaited)
        return None if failure is None else Landing(None, failure, None, "joined")

    def _failure(self, stored: bytes | None, awaited: bytes) -> Exception | None:
        """Return the error of the load that was waited for."""
        if not (awaited and stored and stored.startswith(states.FAILURE + awaited)):
            return None
        try:
            entry = unpack(stored[12:], serializer=self.store.serializer, key=self.key)
        except Unreadable:
            return None
        return entry.value if isinstance(entry.value, Exception) else None


def _landed(entry: Entry, stored: bytes | None, stamps: bytes, result: str) -> Landing:
    if notes.is_error(entry):
        return Landing(None, entry.value, None, result, stamps)
    return Landing(entry.value, None, stored, result, stamps)


def _goes_alone(flight: Flight, found: Found) -> bool:
    """Return whether to load without a lease: a transaction is at it, or this code runs inside its own load."""
    token = _token(found[0])
    is_own = bool(token) and token in loading.get()
    return flight.is_alone or is_own or any(map(states.is_held, found))


def _token(stored: bytes | None) -> bytes:
    return stored[states.TOKEN] if stored is not None and stored[:4] == states.LEASE else b""


def _facts(found: Any) -> states.Facts:
    return tuple(facts for stored in found for facts in states.facts_in(stored))
