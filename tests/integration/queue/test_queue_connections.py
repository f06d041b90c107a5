"""The database connections of workers, on a real PostgreSQL."""

from __future__ import annotations

import pytest

from tests.integration.queue.conftest import eventually
from tests.integration.queue.project.tasks import note_connection, note_connection_of_async_code

pytestmark = pytest.mark.servers


def test_jobs_use_one_connection_a_thread_also_from_async_code(broker, start_worker, journal):
    for _ in range(20):
        note_connection.enqueue()
        note_connection_of_async_code.enqueue()
    start_worker().ready()
    assert eventually(lambda: len(journal()) == 40)
    assert len(set(journal())) <= 2


def test_connection_that_the_server_closed_fails_no_job(
    broker, start_worker, journal, postgres_primary
):
    start_worker("--threads=1").ready()
    note_connection.enqueue()
    assert eventually(lambda: len(journal()) == 1)
    postgres_primary.execute("SELECT pg_terminate_backend(%s)", [int(journal()[0])])
    note_connection.enqueue()
    assert eventually(lambda: len(journal()) == 2)


def test_connection_is_closed_after_the_job_where_none_may_be_kept(
    queue_database, broker, start_worker, journal, postgres_primary
):
    queue_database["CONN_MAX_AGE"] = 0
    start_worker().ready()
    note_connection.enqueue()
    assert eventually(lambda: len(journal()) == 1)
    alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    assert eventually(lambda: postgres_primary.execute(alive, [int(journal()[0])]) == [(0,)])
