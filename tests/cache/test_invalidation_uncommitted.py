"""What a transaction is known to have written, and that nothing that it loads is for anybody else."""

from __future__ import annotations

import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, connections, transaction
from django.test import TestCase

from scalekit.cache import MISSING, cached, invalidate_tags
from scalekit.cache.invalidation.base import sees_commits
from scalekit.cache.invalidation.transactions import has_written
from tests.cache.shop.models import Photo, Unrelated
from tests.db.databases import rolled_back

pytestmark = pytest.mark.usefixtures("photos")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE gallery_unrelated SET name = 'x'",
        "/* why */ DELETE FROM gallery_unrelated",
        "CREATE TABLE other (id INTEGER)",
        "WITH x AS (SELECT 1) INSERT INTO gallery_unrelated (name) SELECT 'x'",
        f"UPDATE gallery_unrelated SET name = '{'x' * 9000}'",
    ],
)
def test_whatever_writes_is_noted_until_the_end(sql):
    with rolled_back():
        assert not has_written()
        with connection.cursor() as cursor:
            cursor.execute(sql)
        assert has_written()
    assert not has_written()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "/* why */ SELECT 1",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "(SELECT 1); ",
        "PRAGMA user_version",
        "EXPLAIN SELECT 1",
    ],
)
def test_what_reads_is_not(sql):
    with transaction.atomic(), connection.cursor() as cursor:
        if sql[0] != "(":  # SQLite knows no such brackets
            cursor.execute(sql)
        assert not has_written()


def test_what_a_savepoint_has_taken_back_is_not_written():
    with transaction.atomic():
        with rolled_back():
            Unrelated.objects.create(name="x")
            assert has_written()
        assert not has_written()
        with transaction.atomic():
            Unrelated.objects.create(name="x")
        assert has_written()
    assert not has_written()


def test_what_a_transaction_did_before_anybody_looked_counts_as_a_write():
    connection.execute_wrappers.clear()  # as where nothing has been cached yet
    with transaction.atomic():
        Unrelated.objects.create(name="x")
        assert not has_written()
        assert not sees_commits()
        assert has_written()
    assert sees_commits()


def test_a_write_outside_transactions_is_committed():
    Unrelated.objects.create(name="x")
    assert not has_written()
    assert sees_commits()


def test_another_thread_s_transaction_has_written_for_itself():
    found = []
    with transaction.atomic():
        Unrelated.objects.create(name="x")
        thread = threading.Thread(target=lambda: found.append(has_written()))
        thread.start()
        thread.join()
    assert found == [False]


def test_async_code_inside_a_transaction_knows_that_it_has_written():
    async def ask():
        return sees_commits()

    with transaction.atomic():
        Unrelated.objects.create(name="x")
        assert not async_to_sync(ask)()
    assert async_to_sync(ask)()


def test_what_a_test_case_makes_ready_is_not_written_by_the_tested_code():
    class Case(TestCase):
        def runTest(self):  # noqa: N802 - unittest's name
            Photo.objects.create(title="sea")
            Unrelated.objects.create(name="x")
            assert sees_commits()
            with transaction.atomic():
                assert not has_written()
                Unrelated.objects.create(name="y")
                assert has_written()
            with transaction.atomic():
                assert not has_written()
            with self.captureOnCommitCallbacks() as callbacks:
                Unrelated.objects.update(name="z")
            assert len(callbacks) == 1  # of the names: it is a listed model

    result = unittest.TestResult()
    unittest.TestSuite([Case()]).run(result)
    assert result.wasSuccessful(), [*result.errors, *result.failures]


def test_a_connection_that_nobody_looks_at_may_have_written():
    with transaction.atomic():
        connection.execute_wrappers.clear()
        assert not sees_commits()
    assert sees_commits()
    connection.close()


def test_a_begin_that_was_executed_is_an_open_transaction(told):
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        assert not sees_commits()
        cursor.execute("UPDATE gallery_photo SET likes = 1")
        invalidate_tags("a")
        cursor.execute("COMMIT")
    assert told.words == ["hold", "hold"]  # which end by themselves, as a change
    assert sees_commits()


def test_a_refresh_in_a_transaction_is_not_kept_and_ends_what_is():
    @cached(ttl=60, key=lambda: 1)
    def count():
        return Photo.objects.count()

    assert count() == 0
    with transaction.atomic():
        Photo.objects.create(title="sea")
        assert count.refresh() == 1
    assert count.peek() is MISSING
    assert count() == 1


def test_a_load_in_a_transaction_is_joined_by_nobody():
    begun, go_on = threading.Event(), threading.Event()

    @cached(ttl=60, key=lambda: 1)
    def titles():
        found = list(Photo.objects.values_list("title", flat=True))
        if found:
            begun.set()
            assert go_on.wait(20)
        return found

    def write():
        with rolled_back():
            Photo.objects.create(title="never")
            titles()
        connections.close_all()

    with ThreadPoolExecutor(1) as executor:
        writer = executor.submit(write)
        assert begun.wait(20)
        try:
            assert titles() == []
        finally:
            go_on.set()
        writer.result(20)
    assert titles() == []
