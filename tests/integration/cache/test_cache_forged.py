"""What somebody else wrote into the cache is a miss at worst: no page fails by it, and nobody's word is stopped."""

from __future__ import annotations

import json

import pytest
from django.core.cache import caches

from scalekit.cache import cached, invalidate_tags
from scalekit.cache.invalidation.naming import on_server, tag_name
from scalekit.cache.stampede import states
from scalekit.cache.stampede.writing import Release
from scalekit.cache.store import store_of

pytestmark = pytest.mark.servers


@cached(ttl=60, tags=["rows"])
def load(argument):
    return argument


@pytest.fixture(autouse=True)
def store(valkey, settings):
    settings.CACHES = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": valkey.url}
    }
    settings.SCALEKIT_CACHE_STATISTICS = ""
    caches["default"].clear()
    return store_of("default")


@pytest.fixture
def client():
    return caches["default"].client.get_client()


@pytest.fixture(params=["key", "tag"])
def name(request, store):
    if request.param == "key":
        return store.made_key(load._key((1,), {}))
    return on_server("default", [tag_name("rows")])[0]


def hold(known):
    text = json.dumps(known).encode()
    return states.HOLD + b"%08x" % len(text) + text


FORGED = [
    states.STAMP + b"12345678" + b'["1"]',
    states.STAMP + b"12345678" + b'["{\\"at\\":1e999,\\"demands\\":{\\"x\\":1}}"]',
    states.STAMP + b"12345678" + json.dumps([json.dumps({"at": 10**400, "demands": {}})]).encode(),
    states.STAMP + b"12345678" + b"[" * 200_000,
    states.STAMP + b"12345678" + b"[" * 60_000,
    states.LEASE + b"12345678" * 2 + b"[" * 60_000,
    states.LEASE + b"12345678" * 2 + b'{"a": 1}',
    hold({"holders": {"a": "soon"}, "facts": ["{}"]}),
    hold({"holders": {"a": {}}, "facts": {"b": [1]}, "ends": "never"}),
    hold({"holders": 1, "facts": 2}),
    hold({"holders": {"a": 1e300}, "facts": [[], 1, "[1]"]}),
    hold({"holders": [1, 2], "facts": [], "changed": "yes", "ends": -1}),
]


@pytest.mark.parametrize("forged", FORGED)
def test_a_page_survives_what_is_forged_and_so_does_a_writer(client, store, name, forged):
    client.set(name, forged, px=60_000)
    assert load(1) == 1
    assert load.refresh(1) == 1
    store.hold([name], 30, holder="writer")
    store.release([name], holder="writer", changed=True, facts={"n": 1})
    assert load(1) == 1
    assert load.peek(1) == 1
    client.set(name, forged, px=60_000)
    invalidate_tags("rows")
    load.invalidate(1)
    assert load(1) == load.peek(1) == 1
    assert not store.is_down
    assert not store.debts


def test_a_name_of_which_the_server_hears_nothing_is_removed(client, store, monkeypatch):
    client.set("bad", "what no script reads")
    said = Release.calls

    def calls(self):
        bad = [("INCR", name) for name in self.names if name == "bad"]
        return bad or said(self)

    monkeypatch.setattr(Release, "calls", calls)
    client.set("good", b"Vsk\x01")
    store.debts.owe(["bad", "good"], "")
    assert store.fetch(["any"]) == [None]
    assert not store.debts
    assert not store.is_down
    assert client.exists("bad", "good") == 0
