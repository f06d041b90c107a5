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

from scalekit.cache.stampede.requests import Renew

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.cache.guarding import Guarded

LEASE_MS = 4000  # a value whose loader was killed can be loaded by the next after this, and is in 5 seconds
_BEAT = 1.0  # seconds between two renewals: three may fail

Lease = tuple[str, bytes]  # a key and a token


class Renewals:
    """The leases this process holds, by their store."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # the parent's loads are the parent's

    def _reset(self) -> None:
        self._leases: dict[Lease, tuple[Guarded, float]] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def add(self, store: Guarded, lease: Lease) -> None:
        """Renew `lease` from now on."""
        if not store.server.has_leases:
            return
        self._leases[lease] = store, time.monotonic()
        if self._thread is None or not self._thread.is_alive():
            self._start()
        elif not self._wake.is_set():
            self._wake.set()

    def remove(self, lease: Lease) -> None:
        """Renew it no more."""
        self._leases.pop(lease, None)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name="scalekit-cache-leases", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while True:
            if not self._leases:
                self._wake.clear()
                if not self._leases:  # none came between
                    self._wake.wait()
            time.sleep(_BEAT)
            for store, leases in self._due():
                store.run("renew", Renew(leases, LEASE_MS))

    def _due(self) -> Iterator[tuple[Guarded, tuple[Lease, ...]]]:
        """Yield the leases that are older than a beat; most loads end before their lease is."""
        oldest = time.monotonic() - _BEAT / 2
        by_store: dict[Guarded, list[Lease]] = {}
        for lease, (store, since) in list(self._leases.items()):
            if since < oldest:
                by_store.setdefault(store, []).append(lease)
        yield from ((store, tuple(leases)) for store, leases in by_store.items())


renewals = Renewals()
