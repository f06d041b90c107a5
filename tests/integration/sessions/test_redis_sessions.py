"""Sessions on a real Valkey: what lies in the store, and what a request costs."""

from __future__ import annotations

import asyncio

import pytest
from django.core.management import CommandError, call_command

from scalekit.sessions import SessionStoreUnavailable, sessions_of
from scalekit.sessions.accounts import current_store
from scalekit.sessions.checks import check_eviction
from scalekit.sessions.records import name_of, name_of_user
from scalekit.sessions.redis import SessionStore
from scalekit.sessions.servers import Asking, current_server
from scalekit.sessions.steps import finish
from scalekit.sessions.stores.redis import INDEX, PREFIX
from scalekit.testing.fakes import captured_events

pytestmark = pytest.mark.servers


def new_session(**data) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return session.session_key


def stored_name(key: str) -> str:
    return PREFIX + name_of(key)


@pytest.fixture
def round_trips(store):
    """Count the commands that clients sent for sessions so far; those inside the script are none."""

    def sent() -> int:
        stats = store.info("commandstats")
        names = ("hgetall", "evalsha", "eval")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in names)

    return sent


def test_a_session_that_ended_leaves_nothing(store):
    key = new_session(_auth_user_id="7")
    SessionStore(key).flush()
    assert store.keys("*") == []


def test_the_store_forgets_a_session_when_its_time_is_over(store):
    session = SessionStore()
    session.set_expiry(100)
    session.save()
    assert 95 < store.ttl(stored_name(session.session_key)) <= 100
    session.set_expiry(-1)
    session.save()
    assert not store.exists(stored_name(session.session_key))


def test_each_save_starts_the_time_again(store):
    key = new_session(a=1)
    store.expire(stored_name(key), 5)
    session = SessionStore(key)
    session.load()
    session.save()
    assert store.ttl(stored_name(key)) > 1000


def test_the_index_of_a_user_lives_as_long_as_the_longest_session(store):
    new_session(_auth_user_id="7")
    short = SessionStore()
    short.update({"_auth_user_id": "7"})
    short.set_expiry(10)
    short.save()
    assert store.ttl(f"{INDEX}7") > 1000
    store.delete(stored_name(short.session_key))
    new_session(_auth_user_id="7")
    assert store.zcard(f"{INDEX}7") == 3
    assert len(sessions_of(7)) == 2
    assert store.zcard(f"{INDEX}7") == 2


def test_one_round_trip_to_load_and_one_to_save(store, round_trips):
    key = new_session(a=1)
    before = round_trips()
    session = SessionStore(key)
    session["a"] = 2
    session.save()
    assert round_trips() - before == 2


def test_as_many_from_an_event_loop(store, round_trips):
    key = new_session(a=1)
    before = round_trips()

    async def visit():
        session = SessionStore(key)
        await session.aset("a", 2)
        await session.asave()

    asyncio.run(visit())
    assert round_trips() - before == 2


def test_a_new_session_costs_one(store, round_trips):
    new_session(warm=True)
    before = round_trips()
    new_session(a=1)
    assert round_trips() - before == 1


def test_a_server_that_lost_its_scripts_gets_them_again(store):
    key = new_session(a=1)
    store.script_flush()
    session = SessionStore(key)
    session["a"] = 2
    session.save()
    assert SessionStore(key)["a"] == 2


def test_a_save_sends_what_changed_and_no_more(store):
    key = new_session(big="x" * 10_000, small=1)
    session = SessionStore(key)
    session["small"] = 2
    before = store.info("stats")["total_net_input_bytes"]
    session._get_session()
    session.save()
    assert store.info("stats")["total_net_input_bytes"] - before < 2_000


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "9"},
        {"key:a": "{}"},
        {"format": "1", "key:a": "no json"},
        {"format": "1", "key:a": b"\x80\x05."},
    ],
)
def test_what_cannot_be_read_is_no_session(store, fields):
    store.hset(stored_name("k" * 32), mapping=fields)
    session = SessionStore("k" * 32)
    with captured_events("session_unreadable") as unreadable:
        assert session.load() == {}
    assert session.session_key is None
    assert len(unreadable) == 1


@pytest.fixture
def full_at(store):
    """Return a function that sets the memory limit and what the server then does."""

    def full_at(size, policy):
        store.config_set("maxmemory", size)
        store.config_set("maxmemory-policy", policy)

    yield full_at
    full_at(0, "noeviction")


@pytest.mark.parametrize(
    ("size", "policy", "expected"),
    [
        (10**8, "allkeys-lru", ["scalekit.sessions.W005"]),
        (10**8, "volatile-ttl", ["scalekit.sessions.W005"]),
        (10**8, "noeviction", []),
        (0, "allkeys-lru", []),
    ],
)
def test_a_server_that_throws_sessions_away_is_found(full_at, size, policy, expected):
    full_at(size, policy)
    assert [message.id for message in check_eviction()] == expected


def test_a_full_server_says_no_and_keeps_what_it_has(store, full_at):
    key = new_session(a=1)
    full_at(1, "noeviction")
    session = SessionStore(key)
    session["b"] = 2
    with pytest.raises(SessionStoreUnavailable):
        session.save()
    full_at(0, "noeviction")
    assert SessionStore(key).load() == {"a": 1}


def test_statistics(store):
    for pk in ("7", "7", "8"):
        new_session(_auth_user_id=pk)
    figures = current_store().statistics()
    assert (figures["sessions"], figures["users"]) == (3, 2)
    assert figures["eviction_policy"] == "noeviction"


def test_a_session_of_many_keys(store):
    many = {f"key {number}": number for number in range(3000)}
    key = new_session(**many)
    session = SessionStore(key)
    assert session.load() == many
    session = SessionStore(key)
    for number in range(1000):
        del session[f"key {number}"]
    session.save()
    assert len(SessionStore(key).load()) == 2000


def test_an_answer_that_nobody_waited_for_is_nobody_elses(store, monkeypatch):
    key = new_session(a=1)
    server = current_server()

    class GaveUp(BaseException):
        """A worker's time limit, which may strike between any two lines."""

    def strike(*args, **kwargs):
        raise GaveUp

    with monkeypatch.context() as struck:
        struck.setattr(server._idle[-1], "read_response", strike)
        with pytest.raises(GaveUp):
            SessionStore("x" * 32).load()
    assert SessionStore(key).load() == {"a": 1}


def test_more_requests_at_once_than_a_pool_has_connections(store):
    key = new_session(a=1)

    async def visits():
        return await asyncio.gather(*(SessionStore(key).aget("a") for _ in range(150)))

    assert asyncio.run(visits()) == [1] * 150


def test_a_visitor_who_goes_away_is_no_sign_of_life(store):
    server = current_server()
    server.breaker.failed()
    with pytest.raises(asyncio.CancelledError), Asking(server, "load"):
        raise asyncio.CancelledError
    assert server.breaker.is_open
    server.breaker.succeeded()


def test_event_loops_leave_no_connection_behind(store):
    key = new_session(a=1)
    before = store.info("clients")["connected_clients"]
    for _ in range(40):
        asyncio.run(SessionStore(key).aload())
    assert store.info("clients")["connected_clients"] <= before + 2


def test_the_latest_comes_first(store):
    keys = [new_session(_auth_user_id="7") for _ in range(3)]
    for key, saved in zip(keys, (2, 1, 3), strict=True):
        store.hset(stored_name(key), "saved", saved)
    assert [session.saved for session in sessions_of(7)] == [3, 2, 1]


def test_a_tombstone_is_no_session_that_is_counted(store):
    new_session(a=1)
    finish(SessionStore.store.delete(name_of("x" * 32), 60))
    finish(SessionStore.store.delete(name_of_user("7"), 60))
    assert current_store().statistics()["sessions"] == 1


def test_statistics_of_a_server_that_is_down(store, settings):
    settings.SCALEKIT_SESSIONS_REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(CommandError, match="does not answer"):
        call_command("session_stats")
