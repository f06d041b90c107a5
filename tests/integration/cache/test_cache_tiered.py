"""`TieredCache` over a real Valkey that other processes change: what is seen, and how soon."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from django.core.cache import caches
from tiers import TIERED, eventually, is_up_to_date

from scalekit.cache.backends.tiered import TieredCache, stop_listening
from scalekit.testing.fakes import captured_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.testing.servers import Valkey

pytestmark = pytest.mark.servers

SHARED = {
    "django_redis.cache.RedisCache": {"SOCKET_TIMEOUT": 0.25, "SOCKET_CONNECT_TIMEOUT": 0.25},
    "django.core.cache.backends.redis.RedisCache": {
        "socket_timeout": 0.25,
        "socket_connect_timeout": 0.25,
    },
}
SEEN = 0.05  # seconds in which a foreign change shows, at most


def config(url: str, backend: str = "django_redis.cache.RedisCache", **options) -> dict:
    return {
        "shared": {"BACKEND": backend, "LOCATION": url, "OPTIONS": dict(SHARED[backend])},
        "default": {"BACKEND": TIERED, "OPTIONS": {"over": "shared", **options}},
    }


def hears(cache: TieredCache) -> bool:
    """Wait until the listener of this process is subscribed."""
    return eventually(lambda: cache.local.enabled)


def keep(cache: TieredCache, key: str, value: object) -> None:
    """Have a value in the shared cache and in this process, with nothing left to be heard of it."""
    assert hears(cache)
    cache.set(key, value)
    assert is_up_to_date(cache)
    assert cache.get(key) == value
    assert key_of(cache, key) in cache.local


def key_of(cache: TieredCache, key: str) -> str:
    return str(cache.make_key(key))


@pytest.fixture(params=SHARED, ids=["django_redis", "django"])
def cache(valkey: Valkey, settings, request):
    settings.CACHES = config(valkey.url, request.param)
    caches["default"].clear()
    assert hears(caches["default"])
    yield caches["default"]
    stop_listening()


@pytest.fixture
def own(scalekit_servers, settings):
    """A server of this test alone, and a cache over it that hears."""
    server = scalekit_servers.valkey("cache")
    settings.CACHES = config(server.url)
    assert hears(caches["default"])
    yield server
    stop_listening()


FOREIGN = """
import json, sys
from django.conf import settings
settings.configure(CACHES=json.loads(sys.argv[1]))
from django.core.cache import caches
for line in sys.stdin:
    alias, method, *arguments = json.loads(line)
    print(json.dumps(getattr(caches[alias], method)(*arguments)), flush=True)
"""


class Foreigner:
    """Another process with the same CACHES."""

    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process

    def call(self, alias: str, method: str, *arguments: object) -> object:
        self._process.stdin.write(json.dumps([alias, method, *arguments]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def foreigners():
    """The other processes, one for each set of CACHES."""
    with ExitStack() as stack:

        @lru_cache
        def start(caches_: str) -> Foreigner:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", FOREIGN, caches_],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.stdin.close)  # which ends it
            return Foreigner(process)

        yield start


@pytest.fixture
def foreigner(cache, settings, foreigners):
    other = foreigners(json.dumps(settings.CACHES))
    other.call("shared", "get", "warm")
    return other


def test_a_hit_asks_nobody(own):
    cache = caches["default"]
    keep(cache, "k", {"a": [1]})
    with own.frozen():
        assert cache.get("k") == {"a": [1]}
        assert cache.get_many(["k"]) == {"k": {"a": [1]}}
        assert cache.has_key("k")
        assert asyncio.run(cache.aget("k")) == {"a": [1]}
        assert asyncio.run(cache.ahas_key("k"))


@pytest.mark.parametrize("alias", ["default", "shared"])
@pytest.mark.parametrize(
    ("method", "arguments", "after"),
    [
        ("set", ["k", 2], 2),
        ("incr", ["k"], 2),
        ("delete", ["k"], None),
        ("touch", ["k", 0], None),
        ("set_many", [{"k": 3}], 3),
        ("delete_many", [["k"]], None),
        ("clear", [], None),
    ],
)
def test_a_foreign_change_is_seen_at_once(cache, foreigner, alias, method, arguments, after):
    keep(cache, "k", 1)
    foreigner.call(alias, method, *arguments)
    assert eventually(lambda: cache.get("k") == after, 1)  # how soon: the next test


def test_foreign_changes_are_seen_within_fifty_milliseconds(cache, foreigner):
    took = []
    for n in range(20):
        keep(cache, "k", n)
        foreigner.call("shared", "set", "k", "new")
        began = monotonic()
        assert eventually(lambda: cache.get("k") == "new", 1)
        took.append(monotonic() - began)
    assert sorted(took)[-2] < SEEN  # one may meet a machine that stalls


def test_a_program_without_scalekit_is_heard(cache, valkey):
    keep(cache, "k", 1)
    valkey.command_line("FLUSHALL")
    assert eventually(lambda: cache.get("k") is None, 1)


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (lambda cache: cache.set("k", 2), 2),
        (lambda cache: cache.set("k", 2, 0), None),
        (lambda cache: cache.set_many({"k": 2}), 2),
        (lambda cache: cache.incr("k", 5), 6),
        (lambda cache: cache.decr("k"), 0),
        (lambda cache: cache.touch("k", 0), None),
        (lambda cache: cache.delete("k"), None),
        (lambda cache: cache.delete_many(["k"]), None),
        (lambda cache: cache.incr_version("k"), None),
        (lambda cache: cache.clear(), None),
        (lambda cache: asyncio.run(cache.aset("k", 2)), 2),
        (lambda cache: asyncio.run(cache.aincr("k")), 2),
        (lambda cache: asyncio.run(cache.adelete("k")), None),
        (lambda cache: asyncio.run(cache.atouch("k", 0)), None),
        (lambda cache: asyncio.run(cache.aset_many({"k": 2})), 2),
        (lambda cache: asyncio.run(cache.adelete_many(["k"])), None),
        (lambda cache: asyncio.run(cache.aclear()), None),
    ],
)
def test_one_s_own_change_is_seen_by_the_very_next_line(cache, change, after):
    keep(cache, "k", 1)
    change(cache)
    assert cache.get("k") == after


def test_add_and_get_or_set_see_what_is_there(cache):
    assert cache.add("k", 1)
    assert not cache.add("k", 2)
    assert cache.get_or_set("k", lambda: 3) == 1
    assert cache.get_or_set("other", lambda: 3) == 3


def test_many_come_in_one_round_trip_and_are_kept(cache):
    cache.set_many({"a": 1, "b": None, "c": [3]})
    expected = {"a": 1, "b": None, "c": [3]}
    assert eventually(lambda: cache.get_many(["a", "b", "c", "d"]) == expected)
    assert eventually(lambda: cache.get_many(["a", "b", "c"]) and key_of(cache, "c") in cache.local)
    assert cache.get_many(iter(["a", "b", "c", "d"])) == expected


def test_a_value_ends_here_when_it_ends_there(cache):
    cache.set("k", 1, 1)
    assert eventually(lambda: cache.get("k") == 1 and key_of(cache, "k") in cache.local)
    assert cache.local._entries[key_of(cache, "k")].until <= monotonic() + 1


def test_a_list_that_was_changed_is_not_what_the_next_caller_gets(cache):
    keep(cache, "k", [1])
    cache.get("k").append(2)
    cache.get_many(["k"])["k"].append(3)
    assert cache.get("k") == [1]


def test_a_value_that_changed_while_it_was_fetched_is_not_kept(cache):
    caches["shared"].set("k", 1)  # as another process: this one hears of it by its listener alone
    assert is_up_to_date(cache)
    cache.local.clear()
    fetch = cache._shared.fetch

    def late(keys):
        found = fetch(keys)
        caches["shared"].set("k", 2)
        assert is_up_to_date(cache)
        return found

    cache._shared.fetch = late
    assert cache.get("k") == 1  # as it was when it was asked
    cache._shared.fetch = fetch
    assert key_of(cache, "k") not in cache.local
    assert cache.get("k") == 2


def test_a_listener_that_is_cut_off_is_off_at_once_and_comes_back(own):
    cache = caches["default"]
    keep(cache, "k", 1)
    with captured_events("cache_local_tier") as events:
        client = cache.client.get_client()
        assert client.client_kill_filter(_type="pubsub") == 1
        client.set(key_of(cache, "k"), 2)
        assert eventually(lambda: cache.get("k") == 2, 1)
        assert hears(cache)
        assert eventually(lambda: len(events) == 2)
    assert [event.payload["state"] for event in events] == ["off", "on"]
    keep(cache, "k", 3)


def test_nothing_is_kept_while_nothing_can_be_heard(own):
    cache = caches["default"]
    keep(cache, "k", 1)
    client = cache.client.get_client()
    client.execute_command("ACL", "SETUSER", "default", "-client|tracking")
    client.client_kill_filter(_type="pubsub")
    assert eventually(lambda: not cache.local.enabled)
    for value in range(20):
        client.set(key_of(cache, "k"), value)
        assert cache.get("k") == value
    assert len(cache.local) == 0
    client.execute_command("ACL", "SETUSER", "default", "+client|tracking")
    assert hears(cache)


def test_a_server_that_hangs_is_noticed_and_heard_again(own, monkeypatch):
    monkeypatch.setattr("scalekit.cache.listener.PATIENCE", 0.1)
    cache = caches["default"]
    keep(cache, "k", 1)
    with own.frozen():
        assert eventually(lambda: not cache.local.enabled)
        assert len(cache.local) == 0
    assert hears(cache)


def test_a_server_that_was_killed_is_heard_again(own):
    cache = caches["default"]
    keep(cache, "k", 1)
    own.kill()
    assert eventually(lambda: not cache.local.enabled)
    own.start()
    assert eventually(lambda: cache.local.enabled, 10)
    assert cache.get("k") is None
    keep(cache, "k", 2)


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in a forked process; return its exit status, 0 if it was true."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_begins_empty_and_hears_for_itself(own):
    cache = caches["default"]
    keep(cache, "k", 1)
    theirs = cache.client.get_client().client_list(_type="pubsub")[0]["addr"]

    def child() -> bool:
        begins_empty = len(cache.local) == 0 and not cache.local.enabled
        caches.close_all()
        keep(cache, "k", 2)
        listening = {c["addr"] for c in cache.client.get_client().client_list(_type="pubsub")}
        cache.client.get_client().set(key_of(cache, "k"), 3)
        return (
            begins_empty
            and len(listening) == 2
            and theirs in listening
            and eventually(lambda: cache.get("k") == 3, 1)
        )

    assert in_child(child) == 0
    assert eventually(lambda: cache.get("k") == 3, 1)
    (left,) = cache.client.get_client().client_list(_type="pubsub")
    assert left["addr"] == theirs


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_keeps_no_connection_of_its_parent_open(own):
    cache = caches["default"]
    port = own.port

    def child() -> bool:
        import psutil

        connections = psutil.Process().net_connections("tcp")
        listener = [c for c in connections if c.raddr and c.raddr.port == port]
        pooled = cache.client.get_client().connection_pool
        return len(listener) <= len(pooled._available_connections)

    assert in_child(child) == 0
    assert cache.local.enabled


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_forked_without_python_s_hooks_hears_for_itself_at_the_first_miss(own):
    cache = caches["default"]

    def child() -> bool:
        caches.close_all()
        listener = cache.local.wanted.__self__
        listener._process = cache.local._process = -1  # as it was before the fork
        cache.local._enabled = True
        return cache.local.begin() == 0 and hears(cache)

    assert in_child(child) == 0


def test_the_thread_does_not_outlive_its_settings(valkey, settings):
    def listeners() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t.name.startswith("scalekit-cache-")]

    before = set(listeners())
    settings.CACHES = config(valkey.url)
    assert hears(caches["default"])
    assert set(listeners()) - before
    settings.CACHES = {}
    assert eventually(lambda: not set(listeners()) - before)


def test_a_process_ends_though_it_listens(valkey):
    code = FOREIGN.partition("for line")[0] + (
        "cache = caches['default']; cache.get('k')\n"
        "import time; end = time.time() + 10\n"
        "while not cache.local.enabled and time.time() < end: time.sleep(0.01)\n"
        "print(cache.local.enabled)"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code]
    done = subprocess.run(
        [*command, json.dumps(config(valkey.url))],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_it_shares_keys_with_the_cache_below(cache):
    cache.set("k", 1)
    assert caches["shared"].get("k") == 1
    caches["shared"].set("k", 2, version=7)
    assert cache.get("k", version=7) == 2


def test_its_own_prefix_and_version_are_its_own(valkey, settings):
    caches_ = config(valkey.url)
    caches_["default"] |= {"KEY_PREFIX": "mine", "VERSION": 3, "TIMEOUT": 9}
    settings.CACHES = caches_
    valkey.flush()
    cache = caches["default"]
    cache.set("k", 1)
    assert key_of(cache, "k") == "mine:3:k"
    assert caches["shared"].get("k") is None
    assert 0 < cache.ttl("k") <= 9  # of the backend below
    assert hears(cache)
    keep(cache, "k", 2)
    stop_listening()


def by_tenant(key, prefix, version):
    return f"tenant:{key}:{version}"


def test_a_key_function_is_heard_of_too(valkey, settings):
    caches_ = config(valkey.url)
    caches_["shared"]["KEY_FUNCTION"] = by_tenant
    settings.CACHES = caches_
    cache = caches["default"]
    assert hears(cache)
    keep(cache, "k", 1)
    caches["shared"].set("k", 2)
    assert eventually(lambda: cache.get("k") == 2, 1)
    stop_listening()
