"""Who may have what a flight brings that waits for another process: nobody who came after an invalidation."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from django.core.cache import caches

from scalekit.cache import cached
from scalekit.cache.stampede import notes, states
from scalekit.cache.stampede.requests import Acquire, Granted, Swap
from scalekit.cache.stampede.writing import Release
from scalekit.cache.store import store_of
from scalekit.cache.values import pack

pytestmark = pytest.mark.servers

TOKEN = b"another "
runs: list[int] = []


@cached(ttl=60)
def load(argument):
    runs.append(argument)
    return "new"


@pytest.fixture(autouse=True)
def store(valkey, settings):
    settings.CACHES = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": valkey.url}
    }
    settings.SCALEKIT_CACHE_STATISTICS = ""
    caches["default"].clear()
    runs.clear()
    return store_of("default")


@pytest.fixture
def key(store):
    return store.made_key(load._key((1,), {}))


@pytest.fixture
def other(store, key):
    """Load as another process does, which knows no flight of ours; return what stores its value."""
    acquire = Acquire(key, TOKEN, states.digest_of(b""), b"", 4000)
    assert isinstance(store.server.run(acquire), Granted)
    entry = pack("old", key=key, soft_ttl=60, stamps=notes.note(b"", ()))
    return lambda: store.server.run(Swap(key, states.LEASE + TOKEN, entry, 60_000))


class Looking:
    """Stops whoever has fetched a value, before they know it."""

    def __init__(self, fetch):
        self.fetch, self.questions = fetch, 0
        self.begun, self.fetched, self.go = (threading.Event() for _ in range(3))

    def __call__(self, keys):
        found = self.fetch(keys)
        self.questions += 1
        self.begun.set()
        if (found[0] or b"").startswith(b"V") and not self.fetched.is_set():
            self.fetched.set()
            assert self.go.wait(10)
        return found


@pytest.fixture
def looking(store, monkeypatch):
    looking = Looking(store.server.fetch)
    monkeypatch.setattr(store.server, "fetch", looking)
    yield looking
    looking.go.set()


def test_who_comes_after_an_invalidation_is_not_given_what_a_flight_has_fetched(
    store, key, other, looking
):
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(load, 1)
        assert looking.begun.wait(10)
        assert other()
        assert looking.fetched.wait(10)
        store.server.run(Release((key,), "", True))
        late = pool.submit(load, 1)
        wait([late], 2)  # it is given nothing as long as it waits for the first
        looking.go.set()
        assert early.result(10) == "old"  # which asked before
        assert late.result(10) == "new"


def test_who_has_seen_the_lease_that_a_flight_waits_for_waits_with_it(store, other, looking):
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(load, 1) for _ in range(8)]
        assert looking.begun.wait(10)
        wait(calls, 0.3)
        asked = looking.questions
        assert other()
        looking.go.set()
        assert [call.result(10) for call in calls] == ["old"] * 8
    assert asked < 30  # eight that look for themselves ask some eighty times
    assert runs == []
