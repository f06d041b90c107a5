"""Random interleavings of readers, writers, deaths and evictions against a model, on the real scripts.

A row has a number that only grows. Readers read it at one moment and store it at a later one, or die between;
writers hold, commit, and release at three moments, or die between. The promise: nobody is given a number
smaller than the one committed before they asked, and a reader that waits has somebody to wait for.
"""

from __future__ import annotations

from secrets import token_bytes

import pytest
from django.core.cache import caches
from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from scalekit.cache.stampede import notes, states
from scalekit.cache.stampede.requests import Acquire, Granted, Stamp, Swap
from scalekit.cache.stampede.writing import Hold, Release
from scalekit.cache.store import store_of
from scalekit.cache.values import pack

pytestmark = pytest.mark.servers

KEYS = ["key:a", "key:b"]
TAGS = ["tag:x", "tag:y"]
LONG = 100_000  # ms: what ends in a test, ends because the test says so


class Writer:
    """A transaction that changes the row, and tells so by some of its names."""

    def __init__(self, names):
        self.names, self.holder, self.committed = tuple(names), token_bytes(4).hex(), False


class Reader:
    """A load that has its lease and has read the row."""

    def __init__(self, key, token, stamps, value):
        self.key, self.token, self.stamps, self.value = key, token, stamps, value


class Leases(RuleBasedStateMachine):
    readers, writers = Bundle("readers"), Bundle("writers")

    def __init__(self):
        super().__init__()
        self.store = store_of("default")
        caches["default"].clear()
        self.row = 0
        self.holding: list[Writer] = []
        self.loading: list[Reader] = []

    def fetch(self, key):
        return self.store.server.fetch([key, *TAGS])

    def given(self, key, found):
        """Return the number that a reader would be given from the cache, or None."""
        stored, stamps = found[0], states.joined(found[1:])
        if stored is None or stored[:4] in states.NO_VALUE or stamps is None:
            return None
        entry = self.store.unpack(key, stored)
        return entry.value if entry is not None and notes.depends_on(entry, stamps) else None

    @rule(target=readers, key=strategies.sampled_from(KEYS))
    def read(self, key):
        found = self.fetch(key)
        value = self.given(key, found)
        if value is not None:
            assert value == self.row
            return Reader(key, b"", b"", value)
        stamps = self.store.server.run(Stamp(tuple(TAGS), LONG))
        if any(map(states.is_held, [found[0], *stamps])):
            return Reader(key, b"", b"", self.row)
        joined = states.joined(stamps)
        if states.is_worth_waiting(found[0], joined):
            assert any(reader.token == found[0][states.TOKEN] for reader in self.loading)
            return Reader(key, b"", b"", self.row)
        token = token_bytes(8)
        void = (found[0] or b"")[: states.SEEN]
        answer = self.store.server.run(Acquire(key, token, states.digest_of(joined), void, LONG))
        reader = Reader(key, token, joined, self.row)
        if isinstance(answer, Granted):
            self.loading.append(reader)
        return reader

    @rule(reader=consumes(readers))
    def fill(self, reader):
        if reader in self.loading:
            self.loading.remove(reader)
            packed = pack(reader.value, key=reader.key, stamps=notes.note(reader.stamps, ()))
            self.store.server.run(Swap(reader.key, states.LEASE + reader.token, packed, LONG))

    @rule(reader=consumes(readers))
    def die_loading(self, reader):
        """The renewals end with the process, and the lease with them."""
        if reader in self.loading:
            self.loading.remove(reader)
            self.store.server.run(Swap(reader.key, states.LEASE + reader.token, b""))

    @rule(target=writers, names=strategies.sets(strategies.sampled_from(KEYS + TAGS), min_size=1))
    def hold(self, names):
        if not names & set(TAGS):
            names = names | set(KEYS)  # a change of the row is told to all that was made of it
        writer = Writer(names)
        self.store.server.run(Hold(writer.names, writer.holder, LONG))
        self.holding.append(writer)
        return writer

    @rule(writer=writers)
    def commit(self, writer):
        if writer in self.holding and not writer.committed:
            writer.committed = True
            self.row += 1

    @rule(writer=consumes(writers), facts=strategies.sampled_from(["", '{"n":1}']))
    def release(self, writer, facts):
        if writer in self.holding:
            self.holding.remove(writer)
            request = Release(writer.names, writer.holder, writer.committed, facts)
            self.store.server.run(request)

    @rule(writer=consumes(writers))
    def die_writing(self, writer):
        """Nobody releases: let its holds end now, as they do by their deadline."""
        if writer in self.holding:
            self.holding.remove(writer)
            self.store.server.run(Hold(writer.names, writer.holder, 0))
            self.store.server.run(Release(writer.names, "nobody", False))

    @rule(names=strategies.sets(strategies.sampled_from(TAGS), min_size=1))
    def write_at_once(self, names):
        self.row += 1
        self.store.server.run(Release(tuple(names), "", True))

    @rule(name=strategies.sampled_from(KEYS + TAGS))
    def evict(self, name):
        """All but holds: they are the youngest and the most used, and what is lost with them is documented."""
        client = self.store.server.client
        if not states.is_held(client.get(name)):
            client.delete(name)

    @rule()
    def flush(self):
        if not self.holding:
            self.store.server.client.flushall()

    @invariant()
    def nobody_is_given_anything_old(self):
        for key in KEYS:
            value = self.given(key, self.fetch(key))
            assert value is None or value == self.row

    @invariant()
    def every_lease_has_somebody_who_loads(self):
        alive = {reader.token for reader in self.loading}
        for key in KEYS:
            stored = self.fetch(key)[0]
            if stored is not None and stored[:4] == states.LEASE:
                assert stored[states.TOKEN] in alive


def test_no_stale_read_and_no_lost_wake_up(valkey, settings_of_django):
    run_state_machine_as_test(
        Leases,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def settings_of_django(valkey, settings):
    settings.CACHES = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": valkey.url}
    }
    settings.SCALEKIT_CACHE_STATISTICS = ""
