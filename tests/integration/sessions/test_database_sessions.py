"""The database engine on PostgreSQL: failing over, lagging replicas, and a table of old sessions."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from io import StringIO
from time import perf_counter

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scalekit.sessions import sessions_of
from scalekit.sessions.checks import DATABASE
from scalekit.sessions.database import SessionStore
from scalekit.sessions.models import Session
from tests.db.databases import create_tables, databases, replica_of
from tests.integration.sessions.conftest import NAME

pytestmark = [pytest.mark.servers, pytest.mark.urls("tests.integration.sessions.pages")]


@pytest.fixture
def on_database(database, use_store, valkey):
    use_store(valkey, DATABASE)


@pytest.fixture
def visitor(on_database):
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_user("ana"))
    return client


def new_session(**data):
    session = SessionStore()
    session.update(data)
    session.save()
    return session.session_key


def test_a_load_and_a_save_are_one_statement_each(on_database):
    key = new_session(a=1)
    with CaptureQueriesContext(connection) as queries:
        session = SessionStore(key)
        session["a"] = 2
        session.save()
    assert [query["sql"].split()[0] for query in queries] == ["SELECT", "UPDATE"]


def test_a_database_that_fails_over_is_503_and_takes_no_cookie(database, visitor):
    try:
        database.execute(f"ALTER DATABASE {NAME} SET default_transaction_read_only = on")
        connections.close_all()
        response = visitor.get("/count/")
        assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert response["Retry-After"]
        assert not response.cookies
    finally:
        database.execute(f"ALTER DATABASE {NAME} RESET default_transaction_read_only")
        connections.close_all()
    assert visitor.get("/count/").content == b"1"


def test_a_database_that_is_gone_is_503_and_takes_no_cookie(visitor):
    settings = connection.settings_dict
    port = settings["PORT"]
    connection.close()
    settings["PORT"] = 1
    try:
        response = visitor.get("/who/")
        assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert not response.cookies
    finally:
        connection.close()
        settings["PORT"] = port
    assert visitor.get("/who/").content == b"ana"


def test_a_login_holds_although_the_replicas_lag(
    visitors_tables, postgres_replicas, on_database, settings
):
    replica, _ = postgres_replicas
    replica.catch_up()
    connections.settings["replica_1"] = connections.configure_settings(
        {
            "default": {},
            "replica_1": replica.django_settings(NAME=NAME)
            | {"SCALEKIT": replica_of("default"), "TEST": {}},
        }
    )["replica_1"]
    settings.DATABASE_ROUTERS = [f"{__name__}.ReadsFromReplica"]
    try:
        with replica.replay_paused():
            key = new_session(a=1)
            assert not Session.objects.exists()  # the replica has not heard of it
            assert SessionStore(key)["a"] == 1
            SessionStore(key).flush()
            assert SessionStore(key).load() == {}
    finally:
        connections["replica_1"].close()
        del connections["replica_1"], connections.settings["replica_1"]


def test_sessions_live_where_the_projects_router_writes_them(
    visitors_tables, postgres_primary, on_database, settings
):
    with elsewhere(postgres_primary), CaptureQueriesContext(connections["elsewhere"]) as queries:
        key = new_session(_auth_user_id="7")
        session = SessionStore(key)
        session["a"] = 1
        session.save()
        assert len(sessions_of(7)) == 1
        session.flush()
        call_command("clearsessions")
    assert len(queries) > 5
    assert not Session.objects.exists()


@contextmanager
def elsewhere(server):
    """Keep the sessions' app in a database of its own."""
    server.execute("DROP DATABASE IF EXISTS elsewhere WITH (FORCE)")
    server.create_database("elsewhere")
    names = {"default": NAME, "elsewhere": "elsewhere"}
    entries = {alias: server.django_settings(NAME=name) for alias, name in names.items()}
    with databases(entries, DATABASE_ROUTERS=[f"{__name__}.Elsewhere"]):
        create_tables("elsewhere", app="scalekit_sessions")
        yield


class Elsewhere:
    def db_for_write(self, model, **hints):
        return "elsewhere" if model._meta.app_label == "scalekit_sessions" else None


class ReadsFromReplica:
    def db_for_read(self, model, **hints):
        return "replica_1"

    def db_for_write(self, model, **hints):
        return "default"


def fill(count, *, age):
    """Make sessions that have been over for `age`."""
    then = timezone.now() - age
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO scalekit_sessions_session (name, data, version, owner, created, saved, expires, ended)"
            " SELECT md5(i::text), '{}', 1, '', %s, %s, %s, false FROM generate_series(1, %s) i",
            [then, then, then, count],
        )


def test_clearing_a_large_table_does_not_hold_up_logins(on_database):
    fill(50_000, age=timedelta(days=1))
    key = new_session(a=1)
    cleared = threading.Thread(target=clear)
    took = []
    cleared.start()
    while cleared.is_alive():
        started = perf_counter()
        new_session(a=1)
        took.append(perf_counter() - started)
    cleared.join(60)
    assert Session.objects.filter(expires__lt=timezone.now()).count() == 0
    assert SessionStore(key)["a"] == 1
    assert sorted(took)[int(len(took) * 0.99)] < 0.25


def clear():
    call_command("clear_expired_sessions", stdout=StringIO())
    connections.close_all()


def test_clearing_leaves_alone_what_somebody_has_locked(on_database):
    fill(3, age=timedelta(days=1))
    with transaction.atomic():
        locked = Session.objects.select_for_update().first()
        thread = threading.Thread(target=clear)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    assert [row.name for row in Session.objects.all()] == [locked.name]
