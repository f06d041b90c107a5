"""Sessions on a real Valkey: what two requests do to one session, and what lies in the store."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256

import pytest
from django.contrib.sessions.backends.base import CreateError, UpdateError

from scalekit.core.events import events
from scalekit.sessions.redis import SessionStore
from scalekit.sessions.stores.redis import PREFIX

pytestmark = pytest.mark.servers


def new_session(**data) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return session.session_key


def stored_name(key: str) -> str:
    return PREFIX + sha256(key.encode()).hexdigest()


@pytest.fixture
def round_trips(store):
    """Count the commands that clients sent for sessions so far; those inside the script are none."""

    def sent() -> int:
        stats = store.info("commandstats")
        names = ("hgetall", "evalsha", "eval")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in names)

    return sent


def test_forty_requests_at_once_keep_forty_keys(store):
    key = new_session(start=True)
    barrier = threading.Barrier(40)

    def visit(number: int) -> None:
        session = SessionStore(key)
        session.get("start")
        barrier.wait(20)
        session[f"key {number}"] = number
        session.save()

    with ThreadPoolExecutor(40) as pool:
        list(pool.map(visit, range(40)))
    after = SessionStore(key)
    assert {after.get(f"key {number}") for number in range(40)} == set(range(40))


def test_a_change_deep_inside_is_seen_and_spares_the_neighbours(store):
    key = new_session(cart={"items": [1]}, theme="light")
    one, other = SessionStore(key), SessionStore(key)
    one["cart"]["items"].append(2)
    other["theme"] = "dark"
    one.save(), other.save()
    after = SessionStore(key)
    assert (after["cart"], after["theme"]) == ({"items": [1, 2]}, "dark")


def test_a_key_deleted_by_one_request_is_not_brought_back_by_another(store):
    key = new_session(a=1, b=1)
    one, other = SessionStore(key), SessionStore(key)
    other["b"] = other["b"] + 1
    del one["a"]
    one.save(), other.save()
    assert dict(SessionStore(key).items()) == {"b": 2}


@pytest.mark.parametrize("change", ["flush", "delete", "cycle_key"])
def test_a_save_never_revives_a_session_that_ended_meanwhile(store, change):
    key = new_session(user=1)
    late = SessionStore(key)
    late["seen"] = True
    getattr(SessionStore(key), change)()
    with pytest.raises(UpdateError):
        late.save()
    assert not store.exists(stored_name(key))


def test_logout_racing_two_hundred_saves_leaves_nothing(store):
    for _ in range(20):
        key = new_session(user=1)
        barrier = threading.Barrier(11)

        def save(key=key, barrier=barrier) -> None:
            session = SessionStore(key)
            session["seen"] = threading.get_ident()
            barrier.wait(20)
            with suppress(UpdateError):
                session.save()

        with ThreadPoolExecutor(10) as pool:
            saves = [pool.submit(save) for _ in range(10)]
            barrier.wait(20)
            SessionStore(key).flush()
            for one in saves:
                one.result(20)
        assert not store.exists(stored_name(key))


def test_no_stored_key_is_a_cookie(store):
    key = new_session(user=1)
    names = [name.decode() for name in store.keys("*")]
    assert names == [stored_name(key)]
    for name in names:
        for guess in (name, name.removeprefix(PREFIX)):
            assert SessionStore(guess).load() == {}


def test_an_empty_session_exists(store):
    session = SessionStore()
    session.create()
    again = SessionStore(session.session_key)
    assert again.exists(session.session_key)
    assert again.load() == {}
    assert again.session_key == session.session_key


def test_clear_without_reading_first_replaces_everything(store):
    key = new_session(a=1, b=2)
    session = SessionStore(key)
    session.clear()
    session["c"] = 3
    session.save()
    assert dict(SessionStore(key).items()) == {"c": 3}


def test_a_taken_key_is_not_created_again(store):
    key = new_session(a=1)
    with pytest.raises(CreateError):
        SessionStore(key).save(must_create=True)
    assert SessionStore(key)["a"] == 1


def test_keys_that_json_turns_into_text(store):
    session = SessionStore()
    session[5], session[True] = "five", "yes"
    session.save()
    after = SessionStore(session.session_key)
    assert dict(after.items()) == {"5": "five", "true": "yes"}
    after["5"] = "six"
    after.save()
    assert SessionStore(session.session_key)["5"] == "six"


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


def test_one_round_trip_to_load_and_one_to_save(store, round_trips):
    key = new_session(a=1)
    before = round_trips()
    session = SessionStore(key)
    session["a"] = 2
    session.save()
    assert round_trips() - before == 2


def test_a_save_sends_what_changed_and_no_more(store):
    key = new_session(big="x" * 10_000, small=1)
    session = SessionStore(key)
    session["small"] = 2
    before = store.info("stats")["total_net_input_bytes"]
    session._get_session()
    session.save()
    assert store.info("stats")["total_net_input_bytes"] - before < 2_000


@pytest.mark.parametrize(
    "fields", [{"format": "9"}, {"key:a": "{}"}, {"format": "1", "key:a": "no json"}]
)
def test_what_cannot_be_read_is_no_session(store, fields):
    unreadable = []
    stop = events["session_unreadable"].subscribe(lambda event, payload: unreadable.append(payload))
    store.hset(stored_name("k" * 32), mapping=fields)
    session = SessionStore("k" * 32)
    assert session.load() == {}
    assert session.session_key is None
    assert len(unreadable) == 1
    stop()


@pytest.mark.parametrize("cookie", ["\ud800" * 10, "é" * 20, "a\x00\r\n" * 10, "x" * 10_000])
def test_hostile_cookies_find_nothing(store, cookie):
    assert SessionStore(cookie).load() == {}


def test_async_requests(store):
    async def visit():
        session = SessionStore()
        await session.aset("a", 1)
        await session.asave()
        again = SessionStore(session.session_key)
        assert await again.aget("a") == 1
        await again.aflush()
        with pytest.raises(UpdateError):
            await session.asave()

    asyncio.run(visit())
