"""Rows that are not committed, on a real Valkey and a real PostgreSQL: nobody else ever gets them from the cache."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import caches
from django.db import connection, connections, transaction

from scalekit.cache import MISSING, cached, invalidate_tags
from tests.cache.shop.database import photos_in, valkey_cache
from tests.cache.shop.models import Owner, Unrelated
from tests.db.databases import Interruption, rolled_back

pytestmark = pytest.mark.servers

DATABASE = "uncommitted"


def names():
    return sorted(Owner.objects.values_list("name", flat=True))


@cached(ttl=600, tags=["owners"])
def tagged():
    return names()


@cached(ttl=600)
def plain():
    return names()


@cached(ttl=600, tags=["owners"])
async def native():
    return sorted([name async for name in Owner.objects.values_list("name", flat=True)])


def by_async_code():
    return async_to_sync(native)()


def by_many():
    return batched.many([1])[0]


@cached(ttl=600, tags=["owners"], many=lambda keys: [names() for _ in keys])
def batched(_key):
    return names()


def end_plain():
    plain.invalidate()


def end_tag():
    invalidate_tags("owners")


EVERY = pytest.mark.parametrize(
    ("read", "end"),
    [(tagged, end_tag), (plain, end_plain), (by_async_code, end_tag), (by_many, end_tag)],
    ids=["tag", "key", "async", "many"],
)


@pytest.fixture(scope="module")
def database(postgres_primary, django_db_blocker):
    postgres_primary.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    postgres_primary.create_database(DATABASE)
    entry = postgres_primary.django_settings(NAME=DATABASE, CONN_MAX_AGE=None)
    with django_db_blocker.unblock(), photos_in({"default": entry}):
        yield


@pytest.fixture(autouse=True)
def stocked(database, valkey, settings):
    settings.CACHES = {"default": valkey_cache(valkey.url)}
    caches["default"].clear()
    Owner.objects.all().delete()
    Owner.objects.create(name="Ann")


def in_thread(function):
    def run():
        try:
            return function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(run).result(20)


@EVERY
def test_what_a_transaction_loads_and_rolls_back_is_nowhere(read, end):
    with suppress(Interruption), transaction.atomic():
        Owner.objects.update(name="never")
        assert read() == ["never"]
        assert in_thread(read) == ["Ann"]
        caches["default"].clear()
        assert read() == ["never"]
        end()
        assert read() == ["never"]
        raise Interruption
    assert in_thread(read) == read() == ["Ann"]


@EVERY
def test_what_a_savepoint_loads_and_rolls_back_is_nowhere(read, end):
    with transaction.atomic():
        with rolled_back():
            Owner.objects.update(name="never")
            assert read() == ["never"]
            end()
        assert read() == ["Ann"]
    assert in_thread(read) == read() == ["Ann"]


@EVERY
def test_what_a_transaction_loads_and_commits_is_loaded_again(read, end):
    with transaction.atomic():
        Owner.objects.update(name="Eve")
        assert read() == ["Eve"]
        end()
    assert in_thread(read) == read() == ["Eve"]


def test_what_no_statement_has_shown_ends_with_the_rollback():
    with rolled_back():
        connection.connection.execute("UPDATE gallery_owner SET name = 'unseen'")
        assert tagged() == ["unseen"]
        invalidate_tags("owners")
    assert tagged() == ["Ann"]


def test_a_transaction_that_only_reads_fills_the_cache():
    with transaction.atomic():
        assert tagged() == tagged.peek() == ["Ann"]


def test_a_transaction_that_has_written_is_given_what_is_stored():
    plain()
    with transaction.atomic():
        Unrelated.objects.create(name="x")
        assert plain() == ["Ann"]
        assert plain.peek() == ["Ann"]
        assert tagged() == ["Ann"]
        assert tagged.peek() is MISSING


def test_a_transaction_that_is_made_a_snapshot_by_a_statement_keeps_nothing():
    with transaction.atomic():
        connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert plain() == ["Ann"]
    assert plain.peek() is MISSING


def test_a_load_that_writes_in_an_open_transaction_is_not_kept():
    @cached(ttl=600, key=lambda: 1)
    def made():
        return Owner.objects.get_or_create(name="Eve")[0].pk

    with rolled_back():
        made()
        assert made.peek() is MISSING
    with transaction.atomic():
        pass
    assert made() == made.peek() == Owner.objects.get(name="Eve").pk


def test_a_begin_that_was_executed_holds_what_it_writes():
    @cached(ttl=600, depends_on=[Owner], key=lambda: 1)
    def owners():
        return names()

    owners()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE gallery_owner SET name = 'Eve'")
        assert in_thread(owners) == ["Ann"]
        assert plain() == ["Eve"]
        cursor.execute("COMMIT")
    assert owners() == in_thread(owners) == in_thread(plain) == ["Eve"]
