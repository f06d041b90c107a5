"""The counts of this process on their way to the server: in the background, one round trip every few seconds."""

from __future__ import annotations

import atexit
import time
from contextlib import suppress
from threading import Timer
from typing import TYPE_CHECKING, Any

from django.core.cache import caches
from django.core.signals import setting_changed

from scalekit.cache.conf import settings
from scalekit.cache.events import CACHE_LOADED, CACHE_READ
from scalekit.cache.guarding import Failed
from scalekit.cache.statistics.counting import Counts, Recorder
from scalekit.cache.statistics.requests import SECONDS, Gather, Share
from scalekit.cache.store import store_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.cache.store import Store


def share() -> None:
    """Add what this process has counted to what the server has; keep it if that fails."""
    store = _store()
    counts = Counts() if store is None else recorder.take()
    if store is None or not counts:
        return
    place = _place(store.alias, int(time.time()) // SECONDS)
    answer = store.run("statistics", Share(place, counts))
    if isinstance(answer, Failed):
        recorder.give_back(counts)


def gathered(alias: str, minutes: int) -> Counts:
    """Return what all processes counted in the last `minutes`, rounded up to five; this one's are shared first."""
    share()
    last = int(time.time()) // SECONDS
    count = max(1, -(-minutes * 60 // SECONDS))
    places = [_place(alias, bucket) for bucket in range(last - count + 1, last + 1)]
    found = store_of(alias).run("statistics", Gather(places))
    return Counts() if isinstance(found, Failed) else found


def watch() -> None:
    """Count from now on, unless and until SCALEKIT_CACHE_STATISTICS is empty."""
    unwatch()
    if settings.STATISTICS:
        _watching[:] = CACHE_READ.subscribe(recorder.read), CACHE_LOADED.subscribe(recorder.loaded)


def unwatch() -> None:
    """Count no more."""
    while _watching:
        _watching.pop()()


def _store() -> Store | None:
    """Return where counts are shared; None where nobody can add them up."""
    alias = settings.STATISTICS
    if alias not in caches.settings:
        return None
    store = store_of(alias)
    return store if store.server.has_leases else None


def _place(alias: str, bucket: int) -> str:
    return f"{caches[alias].key_prefix}:scalekit:statistics:{bucket}"


def _begin() -> None:
    """Share what is counted from now on, some seconds later and in a thread of its own."""
    if _store() is not None:
        timer = Timer(settings.STATISTICS_SECONDS, share)
        timer.daemon, timer.name = True, "scalekit-cache-statistics"
        with suppress(RuntimeError):  # the process ends, or has no room for a thread
            timer.start()


def _switch(*, setting: str, **_: Any) -> None:
    if setting == "SCALEKIT_CACHE_STATISTICS":
        watch()
    if setting in {"SCALEKIT_CACHE_STATISTICS", "CACHES"}:
        recorder.begun = False  # there may be a server now


_watching: list[Callable[[], None]] = []
recorder = Recorder(_begin)
atexit.register(share)
setting_changed.connect(_switch, dispatch_uid="scalekit.cache.statistics")
