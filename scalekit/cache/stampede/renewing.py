"""Keep the leases of long loads alive: a thread of the process that loads, so that both die together.

A lease ends `LEASE_MS` after its last renewal. That a load is slow is never taken for a dead process, and a
dead process never for a slow load (rueidis' client-side caching keeps a key for each client to the same end;
renewing the lease itself leaves one key, on one server of a cluster).
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from scalekit.cache.stampede.requests import Renew

if TYPE_CHECKING:
    from scalekit.cache.guarding import Guarded

LEASE_MS = 4000  # a value whose loader was killed can be loaded by the next after this, and is in 5 seconds
_BEAT = 1.0  # seconds between two renewals: three may fail
_IDLE = 10  # beats without a lease, after which the thread ends

Lease = tuple[str, bytes]  # a key and a token


class Renewals:
    """The leases this process holds. Each store has a thread of its own: one that hangs keeps no other waiting."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # the parent's loads are the parent's

    def _reset(self) -> None:
        self._beats: WeakKeyDictionary[Guarded, _Beat] = WeakKeyDictionary()

    def add(self, store: Guarded, lease: Lease) -> None:
        """Renew `lease` from now on."""
        if not store.server.has_leases:
            return
        beat = self._beats.get(store) or self._beats.setdefault(store, _Beat(store))
        beat.add(lease)

    def remove(self, store: Guarded, lease: Lease) -> None:
        """Renew it no more."""
        beat = self._beats.get(store)
        if beat is not None:
            beat.leases.pop(lease, None)


class _Beat:
    """The leases of one store, and the thread that renews them, which ends when there was none for a while."""

    def __init__(self, store: Guarded) -> None:
        self._store = ref(store)
        self.leases: dict[Lease, float] = {}
        self._is_running = False
        self._lock = threading.Lock()

    def add(self, lease: Lease) -> None:
        with self._lock:
            self.leases[lease] = time.monotonic()
            is_new, self._is_running = not self._is_running, True
        if is_new:
            threading.Thread(target=self._run, name="scalekit-cache-leases", daemon=True).start()

    def _run(self) -> None:
        try:
            self._renew()
        except BaseException:  # a greenlet is killed; the next lease has another
            self._is_running = False
            raise

    def _renew(self) -> None:
        idle = 0
        while idle < _IDLE or not self._ends():
            time.sleep(_BEAT)
            idle = 0 if self.leases else idle + 1
            store, due = self._store(), self._due()
            if store is not None and due:
                store.run("renew", Renew(due, LEASE_MS))

    def _ends(self) -> bool:
        with self._lock:
            self._is_running = bool(self.leases)
            return not self._is_running

    def _due(self) -> tuple[Lease, ...]:
        """Return the leases that are older than a beat; most loads end before their lease is."""
        oldest = time.monotonic() - _BEAT / 2
        return tuple(lease for lease, since in list(self.leases.items()) if since < oldest)


renewals = Renewals()
