"""Leases and holds on a real Valkey: what raced a write is never kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from django.core.cache import caches

from scalekit.cache import MISSING, cached, invalidate_tags
from scalekit.cache.invalidation.naming import on_server, tag_name
from scalekit.cache.stampede import doing, states
from scalekit.cache.stampede.writing import Release
from scalekit.cache.store import store_of

pytestmark = pytest.mark.servers

OPTIONS = {"SOCKET_TIMEOUT": 5, "SOCKET_CONNECT_TIMEOUT": 5}
row = {"value": "old"}
runs: list[str] = []


class Gate:
    """Stops a load after it has read, until it is told to go on."""

    def __init__(self):
        self.read, self.go = threading.Event(), threading.Event()
        self.go.set()

    def __call__(self):
        value = row["value"]
        runs.append(value)
        self.read.set()
        assert self.go.wait(10)
        return value


gate = Gate()


@cached(ttl=60, tags=["rows"])
def load(argument):
    return gate()


@pytest.fixture(autouse=True)
def on_valkey(valkey, settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": valkey.url,
            "OPTIONS": OPTIONS,
        }
    }
    settings.SCALEKIT_CACHE_STATISTICS = ""
    caches["default"].clear()
    gate.__init__()
    runs.clear()
    row["value"] = "old"
    yield
    gate.go.set()


@pytest.fixture
def store():
    return store_of("default")


@pytest.fixture
def key(store):
    return store.made_key(load._key((1,), {}))


@pytest.fixture
def tag():
    return on_server("default", [tag_name("rows")])[0]


@pytest.fixture
def client():
    return caches["default"].client.get_client()


@pytest.fixture
def racing():
    """Start a load and stop it after it has read the old row."""
    gate.go.clear()
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(load, 1)
        assert gate.read.wait(10)
        yield reader
        gate.go.set()


def write(value="new"):
    row["value"] = value


@pytest.mark.parametrize("end", [lambda: load.invalidate(1), lambda: invalidate_tags("rows")])
def test_a_load_that_raced_an_invalidation_is_not_kept(racing, end):
    write()
    end()
    gate.go.set()
    assert racing.result(10) == "old"
    assert load(1) == "new"


def test_who_comes_after_the_invalidation_does_not_join_the_old_load(racing, store, key):
    write()
    gate.read.clear()
    store.run(
        "invalidate", Release((key,), "", True)
    )  # as another process, which knows no flight of ours
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(load, 1)
        assert gate.read.wait(10)
        gate.go.set()
        assert later.result(10) == "new"


def test_a_tag_that_another_process_ends_lets_nobody_join(racing, store, tag):
    write()
    store.run("invalidate", Release((tag,), "", True))
    gate.read.clear()
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(load, 1)
        assert gate.read.wait(10)
        gate.go.set()
        assert later.result(10) == "new"
    assert load(1) == "new"


@pytest.mark.parametrize("name", ["key", "tag"])
def test_between_commit_and_release_everybody_loads_and_nothing_is_kept(store, name, request):
    names = [request.getfixturevalue(name)]
    load(1)
    assert store.hold(names, 30, holder="writer")
    assert load(1) == "old"
    write()  # COMMIT
    assert [load(1), load(1)] == ["new", "new"]
    store.release(names, holder="writer", changed=True)
    assert [load(1), load(1)] == ["new", "new"]
    assert runs == ["old", "old", "new", "new", "new"]


@pytest.mark.parametrize("name", ["key", "tag"])
def test_a_rollback_leaves_what_was_there(store, name, request):
    names = [request.getfixturevalue(name)]
    load(1)
    store.hold(names, 30, holder="writer")
    store.release(names, holder="writer", changed=False)
    assert load(1) == "old"
    assert runs == ["old"]


@pytest.mark.parametrize("name", ["key", "tag"])
def test_a_load_that_began_before_the_hold_is_not_believed_after_it(racing, store, name, request):
    names = [request.getfixturevalue(name)]
    store.hold(names, 30, holder="writer")
    write()
    gate.go.set()
    racing.result(10)
    assert load(1) == "new"
    store.release(names, holder="writer", changed=True)
    assert load(1) == "new"


@pytest.mark.parametrize("name", ["key", "tag"])
def test_a_writer_that_died_after_its_commit_leaves_nothing_stale(store, name, request):
    names = [request.getfixturevalue(name)]
    load(1)
    store.hold(names, 0.2, holder="killed")
    write()
    assert load(1) == "new"
    threading.Event().wait(0.25)
    assert [load(1), load(1)] == ["new", "new"]
    assert runs == ["old", "new", "new"]


def test_the_first_of_two_writers_ends_only_its_own_hold(store, key):
    store.hold([key], 30, holder="one")
    store.hold([key], 30, holder="other")
    store.release([key], holder="one", changed=False)
    load(1)
    assert load.peek(1) is MISSING
    store.release([key], holder="other", changed=False)
    load(1)
    assert load.peek(1) == "old"


@pytest.mark.parametrize("name", ["key", "tag"])
def test_a_rollback_beside_a_commit_does_not_bring_the_old_value_back(store, name, request):
    names = [request.getfixturevalue(name)]
    load(1)
    store.hold(names, 30, holder="commits")
    store.hold(names, 30, holder="rolls back")
    write()
    store.release(names, holder="commits", changed=True)
    store.release(names, holder="rolls back", changed=False)
    assert load(1) == "new"


def test_a_dead_writer_beside_a_rollback_counts_as_a_change(store, tag):
    load(1)
    store.hold([tag], 0.1, holder="killed")
    store.hold([tag], 30, holder="rolls back")
    threading.Event().wait(0.15)
    write()
    store.release([tag], holder="rolls back", changed=False)
    assert load(1) == "new"


def test_an_evicted_stamp_is_a_miss(client, tag):
    load(1)
    write()
    client.delete(tag)
    assert load(1) == "new"
    invalidate_tags("rows")
    client.delete(tag)
    assert load(1) == "new"


def test_a_stamp_outlives_what_depends_on_it(client, key, tag):
    load(1)
    assert client.pttl(tag) > client.pttl(key)


@cached(ttl=7 * 24 * 3600, tags=["rows"], many=lambda arguments: dict.fromkeys(arguments, "many"))
def late(argument):
    return "late"


@pytest.mark.parametrize("fill", [lambda: late(1), lambda: late.many([1]), lambda: late.refresh(1)])
def test_a_stamp_that_a_write_or_another_function_made_outlives_it_as_well(
    client, store, tag, fill
):
    load(1)
    fill()
    assert client.pttl(tag) > 7 * 24 * 3600 * 1000
    store.invalidate([tag], facts={"n": 1})
    fill()
    assert client.pttl(tag) > 7 * 24 * 3600 * 1000


def test_a_refresh_lets_the_stamp_live_on(client, tag):
    late(1)
    client.pexpire(tag, 1000)
    late.refresh(1)
    assert client.pttl(tag) > 7 * 24 * 3600 * 1000


def test_flushall_during_a_load_keeps_its_value_out(racing, client):
    write()
    client.flushall()
    gate.go.set()
    racing.result(10)
    assert load(1) == "new"


def test_facts_of_the_write_reach_the_next_load(store, key, tag, monkeypatch):
    seen = []
    monkeypatch.setattr(doing, "seeing", lambda facts: seen.append(list(facts)) or nullcontext())
    load(1)
    store.invalidate([tag], facts={"of": "tag"})
    store.invalidate([key], facts={"of": "key"})
    load(1)
    assert seen == [[], [{"of": "key"}, {"of": "tag"}]]
    load.refresh(1)
    assert seen[2] == seen[1]


def test_facts_of_several_writers_gather(store, tag, client):
    store.hold([tag], 30, holder="one")
    store.hold([tag], 30, holder="other")
    store.release([tag], holder="one", changed=True, facts={"n": 1})
    assert states.facts_in(client.get(tag)) == ({"n": 1},)
    store.release([tag], holder="other", changed=True, facts={"n": 2})
    store.invalidate([tag], facts={"n": 2})
    assert states.facts_in(client.get(tag)) == ({"n": 1}, {"n": 2})


@pytest.mark.parametrize("end", [SystemExit, GeneratorExit, KeyboardInterrupt, ValueError])
def test_no_load_leaves_its_lease_behind(client, key, end):
    @cached(ttl=60, key=lambda: 1)
    def fails():
        raise end

    with pytest.raises(end):
        fails()
    stored = client.get(store_of("default").made_key(fails._key((), {})))
    assert stored is None or stored.startswith(states.FAILURE)


def test_a_full_server_still_takes_invalidations(client, key, tag, store):
    load(1)
    write()
    client.config_set("maxmemory", "1")
    try:
        store.hold([tag], 30, holder="writer")
        store.release([tag], holder="writer", changed=True, facts={"n": 1})
        store.invalidate([key], facts={"n": 1})
        assert load(1) == "new"
        assert not store.is_down
    finally:
        client.config_set("maxmemory", "0")


def test_a_function_that_asks_itself_does_not_wait_for_its_own_lease():
    depth = []

    @cached(key=lambda: "recursive")
    def recursive():
        depth.append(1)
        return recursive() if len(depth) < 3 else "deep"

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(recursive).result(5) == "deep"


def test_a_hung_load_is_taken_over(racing, settings):
    settings.SCALEKIT_CACHE_MAX_WAIT = 0.3
    gate.read.clear()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(load, 1)
        assert gate.read.wait(10)
        write()
        gate.go.set()
        assert other.result(10) == racing.result(10) == "old"
    assert load.peek(1) == "old"
    assert runs == ["old", "old"]


def test_garbage_under_every_kind_is_overwritten(client, key, tag):
    for kind in (b"Lsk\x01", b"Hsk\x01", b"Ssk\x01", b"Fsk\x01", b"Vsk\x01", b"H", b"x"):
        for name in (key, tag):
            client.set(name, kind + b"garbage", px=300)
            assert load(1) == "old"
    threading.Event().wait(0.3)
    assert [load(1), load(1)] == ["old", "old"]


def test_garbage_does_not_keep_a_writer_from_its_word(client, store, key):
    client.set(key, b"Hsk\x01garbage")
    store.hold([key], 30, holder="writer")
    store.release([key], holder="writer", changed=True)
    assert client.get(key) is None
