"""The process's own memory in front of a shared cache: small, short-lived, and off while it is deaf.

    value = tier.get(key)                       # MISSING: ask the shared cache
    ticket = tier.begin()                       # before the question is sent
    ...
    tier.put(key, value, names, ticket)         # kept only if none of `names` changed meanwhile
    tier.drop(names)                            # changed here; the listener calls it for all others

A *name* is a key of the shared cache as its server knows it: the entry's own, and the stamps of its tags.
Nobody has to publish anything: the server tells the listener which names change (see `listener`), so that
a change by a program without scalekit is heard as well.

The order of one reading decides whether it may be kept. The ticket is taken before the question goes out;
an invalidation that is heard later than the ticket may mean that the answer was given before it. Facebook's
leases keep such answers from the shared cache (Nishtala et al., Scaling Memcache at Facebook, NSDI 2013);
here the same rule keeps them from the process.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any

from scalekit.cache.copies import Kept
from scalekit.cache.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

NO_TICKET = 0  # what begins while the tier is off can never be kept
_REMEMBERED = 10_000  # names whose last change is known; a reading that began before is not kept


class _Entry(Kept):
    __slots__ = ("names", "until", "used")

    def __init__(self, value: Any, names: tuple[str, ...], until: float, size: int) -> None:
        super().__init__(value)
        self.names, self.until, self.used = names, until, False
        self.size = max(self.size, size)


class LocalTier:
    """Values by key, at most `max_entries` and about `max_bytes` of them, each at most `ttl` seconds old.

    It begins switched off and is switched on by its listener; `wanted` is called for each reading that
    begins while it is off. When it is full the oldest entry goes that was not read since it was last passed
    over ("second chance", which comes near least-recently-used and costs a hit next to nothing).
    """

    def __init__(
        self,
        *,
        max_entries: int = 1000,
        max_bytes: int = 16 * 1024 * 1024,
        ttl: float = 5.0,
        wanted: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.max_entries, self.max_bytes, self.ttl = max_entries, max_bytes, ttl
        self.wanted = wanted
        self._clock = clock
        self._now = 1  # counts what happened; tickets are its readings
        self.forget_after_fork()

    def forget_after_fork(self) -> None:
        """Be empty and off, in a child whose listener does not exist, whoever held the lock in the parent."""
        self._lock = RLock()  # a finalizer may ask the cache while its thread holds it
        self._floor = self._now = self._now + 1
        self._process = os.getpid()
        self._enabled = False
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._dependents: dict[str, set[Hashable]] = {}
        self._changed: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        """Tell whether `get` would find it, without making a copy."""
        entry = self._entries.get(key)
        return entry is not None and entry.until > self._clock()

    @property
    def enabled(self) -> bool:
        """Tell whether values are kept; if not, the listener learns that they are wanted."""
        if not self._enabled:
            self.wanted()
        return self._enabled

    @property
    def bytes(self) -> int:
        """About how much memory the values take."""
        return self._bytes

    def get(self, key: Hashable) -> Any:
        """Return the value, which is the caller's to change, or `MISSING`. Takes no lock."""
        entry = self._entries.get(key)
        if entry is None or entry.until <= self._clock():
            return MISSING
        entry.used = True
        give = entry.give
        return entry.value if give is None else give()

    def begin(self) -> int:
        """Return the ticket of a reading of the shared cache that is sent after this call."""
        if self._process != os.getpid():  # a server that forks without Python's hooks, as uWSGI may
            self.forget_after_fork()
        return self._now if self.enabled else NO_TICKET

    def put(
        self,
        key: Hashable,
        value: Any,
        names: Iterable[str],
        ticket: int,
        seconds: float | None = None,
        size: int = 0,
    ) -> bool:
        """Keep what a reading found, unless one of `names` changed since it began; tell whether it is kept.

        It ends after `seconds` or `ttl`, whichever is less (None: `ttl`). `size` is what is known of its
        size in bytes. A value that cannot be copied is not kept.
        """
        lifetime = self.ttl if seconds is None else min(seconds, self.ttl)
        if lifetime <= 0 or ticket == NO_TICKET:
            return False
        try:
            entry = _Entry(value, tuple(names), self._clock() + lifetime, size)
        except Exception:  # noqa: BLE001 - pickling may raise anything, and nobody asked for it
            return False
        with self._lock:
            if entry.size > self.max_bytes or self._is_late(entry.names, ticket):
                return False
            self._remove(key)
            self._add(key, entry)
            self._shrink()
        return True

    def drop(self, names: Iterable[str]) -> None:
        """Forget all that depends on `names`, which have changed, and what is being read of them."""
        with self._lock:
            for name in names:
                self._now += 1
                self._changed.pop(name, None)
                self._changed[name] = self._now
                for key in list(self._dependents.get(name, ())):
                    self._remove(key)
            while len(self._changed) > _REMEMBERED:
                _, self._floor = self._changed.popitem(last=False)

    def clear(self) -> None:
        """Forget everything, and all that is being read."""
        with self._lock:
            self._clear()

    def switch_on(self) -> None:
        """Begin to keep values: every change from now on will be told by `drop` or `clear`."""
        with self._lock:
            self._clear()
            self._enabled = True

    def switch_off(self) -> None:
        """Forget everything and keep nothing: changes may go untold."""
        with self._lock:
            self._enabled = False
            self._clear()

    def _is_late(self, names: tuple[str, ...], ticket: int) -> bool:
        if ticket < self._floor or not self._enabled:
            return True
        return any(self._changed.get(name, 0) > ticket for name in names)

    def _add(self, key: Hashable, entry: _Entry) -> None:
        self._entries[key] = entry
        self._bytes += entry.size
        for name in entry.names:
            self._dependents.setdefault(name, set()).add(key)

    def _remove(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._bytes -= entry.size
        for name in entry.names:
            keys = self._dependents.get(name)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._dependents[name]

    def _shrink(self) -> None:
        while len(self._entries) > self.max_entries or self._bytes > self.max_bytes:
            key, entry = next(iter(self._entries.items()))
            if entry.used and entry.until > self._clock():
                entry.used = False
                self._entries.move_to_end(key)
            else:
                self._remove(key)

    def _clear(self) -> None:
        self._now += 1
        self._floor = self._now
        self._entries.clear()
        self._dependents.clear()
        self._changed.clear()
        self._bytes = 0
