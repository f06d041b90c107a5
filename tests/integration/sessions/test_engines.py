"""What all three engines promise, on a real Valkey and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.db import connection, connections

from scalekit.core.exceptions import SettingInvalid
from scalekit.sessions import SessionTooLarge, logout_everywhere, sessions_of
from scalekit.sessions.records import name_of
from scalekit.testing.fakes import captured_events
from tests.integration.sessions.threads import in_threads

pytestmark = pytest.mark.servers


def test_forty_requests_at_once_keep_forty_keys(engine, new_session):
    key = new_session(start=True)
    barrier = threading.Barrier(40)

    def visit(number: int) -> None:
        session = engine(key)
        session.get("start")
        barrier.wait(20)
        session[f"key {number}"] = number
        session.save()

    in_threads(40, visit)
    after = engine(key)
    assert {after.get(f"key {number}") for number in range(40)} == set(range(40))


def test_a_change_deep_inside_is_seen_and_spares_the_neighbours(engine, new_session):
    key = new_session(cart={"items": [1]}, theme="light")
    one, other = engine(key), engine(key)
    one["cart"]["items"].append(2)
    other["theme"] = "dark"
    assert one.modified
    one.save(), other.save()
    after = engine(key)
    assert (after["cart"], after["theme"]) == ({"items": [1, 2]}, "dark")
    assert not after.modified


def test_a_key_deleted_by_one_request_is_not_brought_back_by_another(engine, new_session):
    key = new_session(a=1, b=1)
    one, other = engine(key), engine(key)
    other["b"] = other["b"] + 1
    del one["a"]
    one.save(), other.save()
    assert dict(engine(key).items()) == {"b": 2}


def test_a_request_that_saves_twice_spares_what_others_saved_in_between(engine, new_session):
    key = new_session(start=True)
    one, other = engine(key), engine(key)
    one["a"] = 1
    other["b"] = 1
    other.save()
    one.save()
    one["a"] = 2
    one.save()
    assert dict(engine(key).items()) == {"start": True, "a": 2, "b": 1}
    other["b"] = 2
    other.save()
    assert dict(engine(key).items()) == {"start": True, "a": 2, "b": 2}


def test_of_the_same_key_the_later_save_wins(engine, new_session):
    key = new_session(a=1)
    one, other = engine(key), engine(key)
    one["a"], other["a"] = 2, 3
    one.save(), other.save()
    assert engine(key)["a"] == 3


@pytest.mark.parametrize("change", ["flush", "delete", "cycle_key"])
def test_a_save_never_revives_a_session_that_ended_meanwhile(engine, new_session, change):
    key = new_session(user=1)
    late = engine(key)
    late["seen"] = True
    getattr(engine(key), change)()
    with pytest.raises(UpdateError):
        late.save()
    assert engine(key).load() == {}


def test_a_save_that_replaces_everything_revives_nothing_either(engine, new_session):
    key = new_session(user=1)
    late = engine(key)
    late.clear()
    late["seen"] = True
    engine(key).flush()
    with pytest.raises(UpdateError):
        late.save()
    assert engine(key).load() == {}


def test_logout_racing_two_hundred_saves_leaves_nothing(engine, new_session):
    for _ in range(20):
        key = new_session(user=1)
        barrier = threading.Barrier(11)

        def visit(number, key=key, barrier=barrier) -> None:
            session = engine(key)
            session["seen"] = number
            barrier.wait(20)
            if number == 10:
                session.flush()
                return
            with suppress(UpdateError):
                session.save()

        in_threads(11, visit)
        assert engine(key).load() == {}


def test_an_empty_session_exists(engine):
    session = engine()
    session.create()
    again = engine(session.session_key)
    assert again.exists(session.session_key)
    assert again.load() == {}
    assert again.session_key == session.session_key


def test_clear_without_reading_first_replaces_everything(engine, new_session):
    key = new_session(a=1, b=2)
    session = engine(key)
    session.clear()
    session["c"] = 3
    session.save()
    assert dict(engine(key).items()) == {"c": 3}


def test_a_taken_key_is_not_created_again(engine, new_session):
    key = new_session(a=1)
    with pytest.raises(CreateError):
        engine(key).save(must_create=True)
    assert engine(key)["a"] == 1


def test_keys_that_json_turns_into_text(engine):
    session = engine()
    session[5], session[True] = "five", "yes"
    session.save()
    after = engine(session.session_key)
    assert dict(after.items()) == {"5": "five", "true": "yes"}
    after["5"] = "six"
    after.save()
    assert engine(session.session_key)["5"] == "six"


@pytest.mark.parametrize("seconds", [-1, -100])
def test_a_lifetime_that_is_over_ends_the_session(engine, new_session, seconds):
    key = new_session(a=1)
    session = engine(key)
    session.set_expiry(seconds)
    session.save()
    assert engine(key).load() == {}


@pytest.mark.parametrize("cookie", ["\ud800" * 10, "é" * 20, "a\x00\r\n" * 10, "x" * 10_000])
def test_hostile_cookies_find_nothing(engine, cookie):
    session = engine(cookie)
    assert session.load() == {}
    assert session.session_key is None


def test_no_stored_name_is_a_cookie(engine, new_session, store, database):
    key = new_session(user=1)
    names = [name.decode() for name in store.keys("*")]
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, data FROM scalekit_sessions_session")
        rows = [str(value) for row in cursor.fetchall() for value in row]
    stored = [part for text in (*names, *rows) for part in (text, *text.split(":"))]
    assert name_of(key) in stored
    assert key not in "".join(stored)
    for guess in stored:
        assert engine(guess).load() == {}


def run(visits):
    async def closing():
        await visits
        await sync_to_async(connections.close_all)()

    asyncio.run(closing())


def test_async_requests(engine):
    async def visit():
        session = engine()
        await session.aset("a", 1)
        await session.asave()
        again = engine(session.session_key)
        assert await again.aget("a") == 1
        await again.aset("b", 2)
        await session.aset("c", 3)
        await again.asave()
        await session.asave()
        assert set(await engine(session.session_key).akeys()) == {"a", "b", "c"}
        await again.acycle_key()
        with pytest.raises(UpdateError):
            await session.asave()
        await again.aflush()

    run(visit())
    run(visit())  # each loop has a client of its own


def test_async_requests_at_once_keep_every_key(engine, new_session):
    key = new_session(start=True)

    async def visit(number):
        session = engine(key)
        await session.aget("start")
        await session.aset(f"key {number}", number)
        await session.asave()

    async def visits():
        await asyncio.gather(*(visit(number) for number in range(20)))

    run(visits())
    assert len(engine(key).keys()) == 21


def test_a_users_sessions_are_listed_and_ended(engine, new_session):
    keys = [new_session(_auth_user_id="7", n=n) for n in range(3)]
    stranger = new_session(_auth_user_id="8")
    new_session(anonymous=True)
    assert {s.name for s in sessions_of(7)} == {name_of(key) for key in keys}
    assert logout_everywhere(7, keep=keys[0]) == 2
    assert [s.name for s in sessions_of(7)] == [name_of(keys[0])]
    assert [bool(engine(key).load()) for key in keys] == [True, False, False]
    assert engine(stranger)["_auth_user_id"] == "8"


def test_what_has_ended_is_listed_no_more(engine, new_session):
    gone, over = new_session(_auth_user_id="7"), new_session(_auth_user_id="7")
    engine(gone).flush()
    session = engine(over)
    session.set_expiry(-1)
    session.save()
    assert sessions_of(7) == []


def test_a_session_says_when_it_began_and_ends(engine, new_session, settings):
    settings.SESSION_COOKIE_AGE = 1000
    new_session(_auth_user_id="7")
    (session,) = sessions_of("7")
    assert abs(session.created - session.saved) < 5
    assert 990 < session.expires - session.created < 1010


def test_an_absolute_lifetime_is_not_renewed(engine, new_session, settings):
    settings.SCALEKIT_SESSIONS_ABSOLUTE_SECONDS = 500
    key = new_session(_auth_user_id="7")
    session = engine(key)
    session["a"] = 1
    session.save()
    (listed,) = sessions_of("7")
    assert listed.expires - listed.created < 510


def test_a_session_older_than_a_new_limit_is_over(engine, new_session, settings, monkeypatch):
    key = new_session(a=1)
    settings.SCALEKIT_SESSIONS_ABSOLUTE_SECONDS = 500
    from scalekit.sessions import session as module

    now = module.time()
    monkeypatch.setattr(module, "time", lambda: now + 600)
    assert engine(key).load() == {}


def test_a_large_session_is_announced_and_a_huge_one_refused(engine, new_session, settings):
    settings.SCALEKIT_SESSIONS_WARN_BYTES, settings.SCALEKIT_SESSIONS_MAX_BYTES = 1000, 5000
    key = new_session(small=1)
    session = engine(key)
    session["report"] = "x" * 2000
    with captured_events("session_large") as events:
        session.save()
    assert events.named("session_large")[0]["key"] == "report"
    session["report"] = "x" * 6000
    with pytest.raises(SessionTooLarge, match="'report'"):
        session.save()
    assert len(engine(key)["report"]) == 2000


def test_a_serializer_that_makes_pickles_is_refused(engine, settings):
    settings.SESSION_SERIALIZER = f"{__name__}.Pickles"
    with pytest.raises(SettingInvalid, match="makes pickles"):
        engine()


class Pickles:
    def dumps(self, obj):
        return b"\x80\x05."

    def loads(self, data):
        raise AssertionError("a pickle was loaded")
