"""Cached functions in the tests of your site: docs/howto/cache_views_and_fragments.md.

    with fresh_cache():                      # nothing from other tests, nothing left for them
        with cache_reads() as reads:
            profile(7); profile(7)
        assert reads == {"miss": 1, "hit": 1}
        assert_cached(profile, 7)
        with fake_clock() as clock:
            clock.move(301)                  # its ttl and one second
            assert_not_cached(profile, 7)

All work in `TestCase`, `TransactionTestCase` and pytest. What a `TestCase` has written is not committed, and
so read past the cache: `settle()` lets it count as committed, and so does Django's
``captureOnCommitCallbacks(execute=True)`` for what is written inside it.
"""

from __future__ import annotations

from .clock import FakeClock, fake_clock
from .isolation import fresh_cache, settle
from .reads import assert_cached, assert_hits, assert_loads, assert_not_cached, cache_reads

__all__ = [
    "FakeClock",
    "assert_cached",
    "assert_hits",
    "assert_loads",
    "assert_not_cached",
    "cache_reads",
    "fake_clock",
    "fresh_cache",
    "settle",
]
