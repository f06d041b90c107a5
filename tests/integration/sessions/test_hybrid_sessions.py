"""The hybrid engine: Redis makes it fast, and nothing that happens to Redis makes it wrong."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from time import monotonic

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.db import connection, connections, transaction
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from scalekit.sessions import SessionStoreUnavailable
from scalekit.sessions.checks import HYBRID
from scalekit.sessions.health import checks
from scalekit.sessions.records import Change, name_of
from scalekit.sessions.steps import Blocking, finish
from scalekit.sessions.stores import epochs as epochs_module
from scalekit.sessions.stores.hybrid import PREFIX, HybridStore
from scalekit.testing.fakes import captured_events
from tests.db.databases import rolled_back
from tests.integration.sessions.conftest import NAME, fresh
from tests.integration.sessions.threads import in_threads

pytestmark = [pytest.mark.servers, pytest.mark.urls("tests.integration.sessions.pages")]


@pytest.fixture
def redis_server(scalekit_servers, database, use_store):
    """Give a Valkey of the test's own, which keeps its data when it dies."""
    server = scalekit_servers.valkey("sessions", appendonly=True)
    use_store(server, HYBRID, timeout=0.5)
    fresh(HYBRID)
    return server


@pytest.fixture
def visitor(database):
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_user("ana"))
    assert [client.get("/who/").content for _ in range(2)] == [b"ana", b"ana"]
    return client


def copy_of(client):
    """Return another browser that has the same cookie."""
    other = Client(raise_request_exception=False)
    other.cookies["sessionid"] = client.cookies["sessionid"].value
    return other


def new_session(engine, **data):
    session = engine()
    session.update(data)
    session.save()
    engine(session.session_key).load()  # the first reader fills
    return session.session_key


def reads(session_key, engine):
    """Load a session, and say how Redis answered."""
    with captured_events("session_cache_read") as events:
        data = engine(session_key).load()
    return data, [event["result"] for event in events.named("session_cache_read")]


def run_until_truth_answered(steps):
    """Run an operation up to the answer of the database; return how to run the rest."""
    step = next(steps)
    while True:
        is_database = isinstance(step, Blocking)
        answer = step.run()
        if is_database:
            return lambda: finish(_rest(steps, answer))
        step = steps.send(answer)


def _rest(steps, answer):
    with suppress(StopIteration):
        step = steps.send(answer)
        while True:
            try:
                answer = yield step
            except Exception as error:  # noqa: BLE001 - as `finish` does
                step = steps.throw(error)
            else:
                step = steps.send(answer)


def test_a_read_asks_redis_alone(hybrid):
    key = new_session(hybrid, a=1)
    reads(key, hybrid)
    with CaptureQueriesContext(connection) as queries:
        assert reads(key, hybrid) == ({"a": 1}, ["hit"])
    assert len(queries) == 0


def test_a_save_is_seen_by_the_next_read(hybrid):
    key = new_session(hybrid, a=1)
    session = hybrid(key)
    session["a"] = 2
    session.save()
    assert reads(key, hybrid) == ({"a": 2}, ["hit"])


def test_a_save_is_one_statement_when_nobody_else_saves(hybrid):
    key = new_session(hybrid, a=1)
    session = hybrid(key)
    session["a"] = 2
    with CaptureQueriesContext(connection) as queries:
        session.save()
    assert [query["sql"].split()[0] for query in queries] == ["UPDATE"]


def test_a_reader_that_is_slow_does_not_bring_back_what_ended(hybrid, store):
    key = new_session(hybrid, user=1)
    store.flushdb()
    finish(hybrid.store.epochs.known())
    go_on = run_until_truth_answered(hybrid.store.load(name_of(key)))
    hybrid(key).flush()
    go_on()
    assert hybrid(key).load() == {}
    store.delete(PREFIX + name_of(key))  # the tombstone's time is over
    assert hybrid(key).load() == {}


def test_nor_when_redis_has_forgotten_the_logout_too(hybrid, store):
    key = new_session(hybrid, user=1)
    store.flushdb()
    finish(hybrid.store.epochs.known())
    go_on = run_until_truth_answered(hybrid.store.load(name_of(key)))
    hybrid(key).flush()
    store.flushdb()
    go_on()
    assert hybrid(key).load() == {}


def test_a_reader_that_is_slow_does_not_bring_back_what_was_changed(hybrid, store):
    key = new_session(hybrid, a=1)
    writer = hybrid(key)
    writer["a"] = 2
    store.flushdb()
    go_on = run_until_truth_answered(hybrid.store.load(name_of(key)))
    writer.save()
    go_on()
    assert hybrid(key)["a"] == 2


@pytest.mark.parametrize("forgetting", [False, True])
def test_a_writer_that_is_slow_does_not_bring_back_what_ended(hybrid, store, forgetting):
    key = new_session(hybrid, a=1)
    record = finish(hybrid.store.load(name_of(key)))
    change = Change("update", {**record.fields, b"key:b": b'{"b":1}'}, record, 1000)
    go_on = run_until_truth_answered(hybrid.store.save(name_of(key), change))
    hybrid(key).flush()
    if forgetting:
        store.flushdb()
    go_on()
    assert hybrid(key).load() == {}


def test_a_dead_redis_costs_no_login_and_no_page(redis_server, visitor):
    redis_server.kill()
    response = visitor.get("/who/")
    assert (response.status_code, response.content) == (HTTPStatus.OK, b"ana")
    assert not response.cookies
    assert [visitor.get("/count/").content for _ in range(2)] == [b"1", b"2"]
    redis_server.start()
    assert visitor.get("/count/").content == b"3"


def test_a_logout_while_redis_is_down_holds_for_every_old_cookie(redis_server, visitor):
    cookie = visitor.cookies["sessionid"].value
    redis_server.kill()
    copy = copy_of(visitor)
    visitor.get("/leave/")
    assert copy.get("/who/").content == b""
    redis_server.start()
    for _ in range(3):
        old = Client()
        old.cookies["sessionid"] = cookie
        assert old.get("/who/").content == b""


def test_a_logout_while_redis_is_frozen_holds_when_it_goes_on(redis_server, visitor):
    cookie = visitor.cookies["sessionid"].value
    with redis_server.frozen():
        assert visitor.get("/leave/").content == b"out"
    old = Client()
    old.cookies["sessionid"] = cookie
    assert old.get("/who/").content == b""


def test_a_redis_that_comes_back_with_old_data_is_not_believed(redis_server, hybrid_on):
    key = new_session(hybrid_on, a=1)
    assert reads(key, hybrid_on)[1] == ["hit"]
    redis_server.kill()
    session = hybrid_on(key)
    session["a"] = 2
    session.save()
    redis_server.start()
    assert reads(key, hybrid_on)[0] == {"a": 2}


def test_even_if_nobody_noticed_that_it_was_gone(redis_server, hybrid_on):
    key = new_session(hybrid_on, a=1)
    redis_server.kill()
    redis_server.start()
    assert reads(key, hybrid_on)[1] != ["hit"]
    reads(key, hybrid_on)
    assert reads(key, hybrid_on) == ({"a": 1}, ["hit"])


@pytest.fixture
def hybrid_on(redis_server):
    return fresh(HYBRID)


def test_a_server_cut_off_from_redis_is_heard_by_the_others(hybrid, store, settings):
    key = new_session(hybrid, user=1)
    others = HybridStore()
    assert finish(others.load(name_of(key)))
    with override_settings(SCALEKIT_SESSIONS_REDIS_URL="redis://127.0.0.1:1/0"):
        fresh(HYBRID)(key).flush()
    settings.SCALEKIT_SESSIONS_EPOCH_SECONDS = 0  # their time to go without asking is over
    assert store.exists(PREFIX + name_of(key))
    assert finish(others.load(name_of(key))) is None


def test_after_an_outage_redis_is_used_again(hybrid, settings, monkeypatch):
    monkeypatch.setattr(epochs_module, "WINDOW", 0.2)
    settings.SCALEKIT_SESSIONS_EPOCH_SECONDS = 0
    key = new_session(hybrid, a=1)
    finish(hybrid.store.epochs.distrust())
    assert reads(key, hybrid) == ({"a": 1}, [])
    deadline = monotonic() + 20
    while reads(key, hybrid)[1] != ["hit"]:
        assert monotonic() < deadline
    assert reads(key, hybrid)[0] == {"a": 1}


def test_an_outage_is_told_to_the_database_once(redis_server, hybrid_on):
    keys = [new_session(hybrid_on, n=n) for n in range(5)]
    redis_server.kill()
    with captured_events("session_cache_distrusted") as told:
        for key in keys:
            session = hybrid_on(key)
            session["n"] = "changed"
            session.save()
    assert len(told) == 1


def test_a_frozen_redis_costs_one_time_out_and_no_pile_up(redis_server, visitor, settings):
    settings.SCALEKIT_SESSIONS_BREAKER_SECONDS = 30

    def visit(number):
        started = monotonic()
        content = copy_of(visitor).get("/who/").content
        return content, monotonic() - started

    with redis_server.frozen():
        first = in_threads(8, visit)
        later = in_threads(8, visit)
    assert {content for content, _ in (*first, *later)} == {b"ana"}
    assert max(seconds for _, seconds in first) < 5
    assert sum(seconds for _, seconds in later) / 8 < 0.5  # less than one time-out: nobody waited


def test_a_redis_that_refuses_is_logged_once_a_while(redis_server, visitor, settings):
    settings.SCALEKIT_SESSIONS_BREAKER_SECONDS = 30
    redis_server.kill()
    with captured_events("session_store_failed") as failures:
        assert {visitor.get("/who/").content for _ in range(10)} == {b"ana"}
    assert len(failures) == 1


def test_a_redis_that_lost_everything_costs_no_login(redis_server, visitor):
    redis_server.flush()
    assert visitor.get("/who/").content == b"ana"


def test_a_read_only_database_still_knows_its_visitors(hybrid, database, visitor):
    try:
        database.execute(f"ALTER DATABASE {NAME} SET default_transaction_read_only = on")
        connections.close_all()
        assert visitor.get("/who/").content == b"ana"
        response = visitor.get("/count/")
        assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert response["Retry-After"]
        assert not response.cookies
    finally:
        database.execute(f"ALTER DATABASE {NAME} RESET default_transaction_read_only")
        connections.close_all()
    assert visitor.get("/count/").content == b"1"


def test_without_the_database_what_redis_knows_is_served(hybrid, settings):
    settings.SCALEKIT_SESSIONS_EPOCH_SECONDS = 0
    key = new_session(hybrid, a=1)
    assert reads(key, hybrid) == ({"a": 1}, ["hit"])
    with gone_database():
        assert reads(key, hybrid) == ({"a": 1}, ["hit"])
        session = hybrid(key)
        session["a"] = 2
        with pytest.raises(SessionStoreUnavailable):
            session.save()
    assert reads(key, hybrid) == ({"a": 1}, ["hit"])


def gone_database():
    def refuse(execute, *args):
        from django.db import OperationalError

        raise OperationalError("the server is gone")

    return connection.execute_wrapper(refuse)


def test_what_is_rolled_back_was_never_seen(hybrid):
    key = new_session(hybrid, a=1)
    with rolled_back():
        session = hybrid(key)
        session["a"] = 2
        session.save()
        assert hybrid(key)["a"] == 2
    assert hybrid(key)["a"] == 1


def test_a_login_that_is_rolled_back_was_never_seen(hybrid):
    with rolled_back():
        session = hybrid()
        session["user"] = 1
        session.save()
        assert hybrid(session.session_key)["user"] == 1
    assert hybrid(session.session_key).load() == {}


@pytest.fixture
def snapshots(database):
    """Let each transaction see what was there when it began."""
    connection.close()
    connection.settings_dict["OPTIONS"] = {"isolation_level": IsolationLevel.REPEATABLE_READ}
    yield
    connection.close()
    connection.settings_dict["OPTIONS"] = {}


def test_a_transaction_that_sees_the_past_does_not_bring_it_back(hybrid, snapshots, store):
    key = new_session(hybrid, user=1)
    with transaction.atomic():
        assert User.objects.count() == 0  # the snapshot is taken
        in_threads(1, lambda _: hybrid(key).flush())
        store.flushdb()
        assert hybrid(key)["user"] == 1
    assert hybrid(key).load() == {}


def test_what_is_committed_is_seen(hybrid):
    key = new_session(hybrid, a=1)
    with transaction.atomic():
        session = hybrid(key)
        session["a"] = 2
        session.save()
    assert hybrid(key)["a"] == 2


def test_a_commit_that_redis_did_not_hear_of_is_told_to_the_database(hybrid, store, settings):
    settings.SCALEKIT_SESSIONS_TIMEOUT = 0.2
    key = new_session(hybrid, a=1)
    with captured_events("session_cache_distrusted") as distrusted:
        with transaction.atomic():
            hybrid(key).flush()
            settings.SCALEKIT_SESSIONS_REDIS_URL = "redis://127.0.0.1:1/0"
            assert not distrusted
        assert len(distrusted) == 1


def test_a_damaged_entry_is_a_miss(hybrid, store):
    key = new_session(hybrid, a=1)
    store.hset(PREFIX + name_of(key), "created", "yesterday")
    assert hybrid(key).load() == {"a": 1}


def test_a_late_save_is_refused_though_redis_still_has_the_session(hybrid, store, database):
    key = new_session(hybrid, a=1)
    session = hybrid(key)
    session["a"] = 2
    database.execute("DELETE FROM scalekit_sessions_session", database=NAME)
    with pytest.raises(UpdateError):
        session.save()


def test_redis_is_not_critical(hybrid):
    critical = {check.name: check.critical for check in checks()}
    assert critical == {"session store": False, "session database": True}
    for check in checks():
        check.run()
